package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/transform"
	"pgregory.net/rapid"
)

// TestQuickTextIsTheSame reads text that is, and is not, UTF-8 in any steps: it is what
// the charset's decoder makes of it.
func TestQuickTextIsTheSame(t *testing.T) {
	pieces := []string{"plain text ", "é", "–", "🙂", "\xff", "\xc3", "\xe2\x80", "\xf0\x9f", "\xed\xa0\x80", "\ufeff", "\ufffd", "\x00", strings.Repeat("x", 100)}
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "text"), "")
		charset := rapid.SampledFrom([]string{"", "utf-8", "us-ascii", `"UTF8"`, "x-unknown"}).Draw(t, "charset")
		decoder, ok := charsetDecoder(charset)
		if !ok {
			decoder = undeclared{}
		}
		want, _, err := transform.String(decoder, in)
		if err != nil {
			t.Fatal(err)
		}
		var source io.Reader = strings.NewReader(in)
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 1:
			source = iotest.OneByteReader(source)
		case 2:
			source = iotest.DataErrReader(source)
		case 3:
			source = iotest.HalfReader(source)
		}
		r := charsetReader(charset, source)
		var got bytes.Buffer
		buf := make([]byte, rapid.IntRange(1, 200).Draw(t, "buffer"))
		for {
			n, err := r.Read(buf)
			got.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != want {
			t.Fatalf("%q in %s: %q, want %q", in, charset, got.String(), want)
		}
	})
}

// TestQuickTextGivesErrors passes a reader's error on, after what came before it.
func TestQuickTextGivesErrors(t *testing.T) {
	for in, begin := range map[string]string{"": "", "plain": "plain", "half \xc3": "half ", "wrong \xff": "wrong "} {
		broken := iotest.ErrReader(io.ErrUnexpectedEOF)
		got, err := io.ReadAll(charsetReader("utf-8", io.MultiReader(strings.NewReader(in), broken)))
		if err != io.ErrUnexpectedEOF || !strings.HasPrefix(string(got), begin) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
