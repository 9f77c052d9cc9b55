package importer

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCRLF(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{"a\nb\r\nc", "a\r\nb\r\nc"},
		{"\n\n", "\r\n\r\n"},
		{"\r", "\r"},
		{"a\rb\n", "a\rb\r\n"},
		{"\r\r\n", "\r\r\n"},
		{"\x00\n\x00", "\x00\r\n\x00"},
		{strings.Repeat("x", 100_000) + "\n", strings.Repeat("x", 100_000) + "\r\n"},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "by octet": iotest.OneByteReader, "end at once": iotest.DataErrReader,
		} {
			got, err := io.ReadAll(newCRLFReader(wrap(strings.NewReader(c.in))))
			if err != nil || string(got) != c.want {
				t.Errorf("%.20q %s: got %.40q, %v", c.in, name, got, err)
			}
			got, err = io.ReadAll(iotest.OneByteReader(newCRLFReader(wrap(strings.NewReader(c.in)))))
			if err != nil || string(got) != c.want {
				t.Errorf("%.20q %s, asked by octet: got %.40q, %v", c.in, name, got, err)
			}
		}
	}
}

// What SaveMaildir writes Maildir reads back octet by octet, and with LF line
// ends unless that is impossible.
func TestWriteUnix(t *testing.T) {
	for _, c := range []struct {
		in  string
		raw bool
	}{
		{"", false},
		{"a: b\r\n\r\nc\r\n", false},
		{"no end", false},
		{"a\rb\r\n", false},
		{"a\r", false},
		{"a\r\r", false},
		{"\r\r\r\rx\r\n", false},
		{"a\nb\r\n", true},
		{"a\r\r\n", true},
		{"a\r\n\r\r\r\n", true},
		{"\n", true},
		{strings.Repeat("long \r\n", 50_000), false},
		{strings.Repeat("long \r\n", 50_000) + "\n", true},
	} {
		for chunk := range 4 {
			if raw := writeAndRead(t, c.in, chunk); raw != c.raw {
				t.Errorf("%.30q: raw is %t", c.in, raw)
			}
		}
	}
}

func writeAndRead(t *testing.T, text string, chunk int) bool {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	var r io.Reader = strings.NewReader(text)
	if chunk > 0 {
		r = &chunks{[]byte(text), chunk}
	}
	size, virtual, raw, err := writeUnix(name, r)
	if err != nil {
		t.Fatal(err)
	}
	f := maildirFile{dir: dir, name: "f", base: "f"}
	if raw {
		f.base += rawMark
	}
	got := readAll(t, f.message(nil))
	if got != text || virtual != int64(len(text)) {
		t.Fatalf("%.60q came back as %.60q, raw %t", text, got, raw)
	}
	if want := int64(len(text)); raw && size != want || !raw && size != want-int64(strings.Count(text, "\r\n")) {
		t.Errorf("%.30q: the file has %d octets, raw %t", text, size, raw)
	}
	return raw
}

// chunks gives so many octets at a time.
type chunks struct {
	rest []byte
	n    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(c.n, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

func FuzzLineEnds(f *testing.F) {
	for _, seed := range []string{"", "a\r\n", "a\n", "\r\r\n", "\r\n\n", "\r\r\r"} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, chunk uint8) {
		writeAndRead(t, string(data), int(chunk))
		got, err := io.ReadAll(newCRLFReader(&chunks{data, max(1, int(chunk))}))
		if err != nil {
			t.Fatal(err)
		}
		// What it gives has no LF without CR, and CRs were added and nothing else.
		if bytes.Contains(bytes.ReplaceAll(got, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("%q: a LF alone in %q", data, got)
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))) {
			t.Errorf("%q became %q", data, got)
		}
	})
}
