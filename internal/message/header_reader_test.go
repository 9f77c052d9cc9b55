package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeaderReader(t *testing.T) {
	in := crlf(" lost\nFrom x\n too\nSubject : a\n\tb\n  \nX-Empty:\nbad name: x\n more\nsubject:c\n\nBody: no\n")
	h := NewHeaderReader(iotest.OneByteReader(strings.NewReader(in)))
	var got []string
	for {
		f, err := h.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s|%q|%q", f.Name, f.Raw, f.Value()))
	}
	want := []string{
		`Subject|" a\r\n\tb\r\n  \r\n"|"a\tb"`,
		`X-Empty|"\r\n"|""`,
		`subject|"c\r\n"|"c"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := h.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestHeaderReaderLimits(t *testing.T) {
	in := "A:" + strings.Repeat("x", MaxField+10) + "\r\nB: y"
	h := NewHeaderReader(strings.NewReader(in))
	a, err := h.Next()
	if err != nil || len(a.Raw) != MaxField {
		t.Errorf("%d bytes, %v", len(a.Raw), err)
	}
	if b, err := h.Next(); err != nil || b.Name != "B" || b.Value() != "y" {
		t.Errorf("%+v, %v", b, err)
	}
	failure := errors.New("disk on fire")
	h = NewHeaderReader(io.MultiReader(strings.NewReader("A: x\r\n"), iotest.ErrReader(failure)))
	if _, err := h.Next(); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
}

func TestFilterHeader(t *testing.T) {
	long := "Long: " + strings.Repeat("x", 10_000) + "\n " + strings.Repeat("y", 5000) + "\n"
	header := "Received: one\nTo : a@b,\n\tc@d\nSubject: x\nno colon\nTO:\nReceived: two\n" + long
	tests := []struct {
		header string
		names  []string
		not    bool
		want   string
	}{
		{header + "\n", []string{"to", "Date"}, false, "To : a@b,\n\tc@d\nTO:\n\n"},
		{header + "\n", []string{"TO", "long"}, true, "Received: one\nSubject: x\nReceived: two\n\n"},
		{header + "\n", []string{"LONG"}, false, long + "\n"},
		{header, []string{"X"}, false, ""}, // no body and no blank line: none is made
		{header, []string{"received"}, false, "Received: one\nReceived: two\n"},
		{header + "\n", nil, false, "\n"},
		{header + "\n", nil, true, strings.Replace(header, "no colon\n", "", 1) + "\n"},
		{"\n", []string{"a"}, false, "\n"},
		{"", []string{"a"}, false, ""},
		{"To: x", []string{"to"}, false, "To: x"},
	}
	for i, test := range tests {
		for _, raw := range []func(string) string{crlf, func(s string) string { return s }} {
			var b bytes.Buffer
			if err := FilterHeader(&b, strings.NewReader(raw(test.header)), test.names, test.not); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != raw(test.want) {
				t.Errorf("%d: %q, not %v: got %.300q, want %.300q", i, test.names, test.not, got, raw(test.want))
			}
		}
	}
}
