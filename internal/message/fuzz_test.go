package message

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse: any bytes have a Summary whose ranges are nested; it does not
// depend on how the bytes were cut; the work is bounded by their number; and
// everything that can be asked of the Summary has an answer.
func FuzzParse(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add([]byte(raw), uint8(17))
	}
	f.Fuzz(func(t *testing.T, raw []byte, chunk uint8) {
		p := NewParser()
		if _, err := p.Write(raw); err != nil {
			t.Fatal(err)
		}
		sum, err := p.Close()
		if err != nil {
			t.Fatal(err)
		}
		checkSummary(t, sum, int64(len(raw)))
		if limit := 4*int64(len(raw)) + 8 + MaxDepth*(sum.Lines+1); p.steps > limit {
			t.Errorf("%d steps for %d bytes", p.steps, len(raw))
		}
		if again := parseChunks(t, string(raw), int(chunk)+1); !reflect.DeepEqual(again, sum) {
			t.Errorf("in pieces of %d another Summary:\n%+v\n%+v", int(chunk)+1, again, sum)
		}
		r := bytes.NewReader(raw)
		preview, err := sum.Preview(r)
		if err != nil || !utf8.ValidString(preview) || utf8.RuneCountInString(preview) > PreviewChars || strings.ContainsAny(preview, "\r\n\x00") {
			t.Errorf("preview %q, %v", preview, err)
		}
		sum.Walk(func(path []uint32, part *Part) bool {
			if found, ok := sum.Part(path); !ok || found != part && !(found.IsMessage() && found.Parts[0] == part) {
				t.Errorf("%d leads elsewhere", path)
			}
			if size, err := part.ContentSize(r); err == nil && size > 3*part.Size() {
				t.Errorf("%d: content of %d bytes from %d", path, size, part.Size())
			}
			return true
		})
		checkFields(t, raw[:sum.Root.BodyStart])
	})
}

// checkFields: what HEADER.FIELDS selects and what HEADER.FIELDS.NOT selects are
// all the fields that HeaderReader finds.
func checkFields(t *testing.T, header []byte) {
	t.Helper()
	var in, out bytes.Buffer
	names := []string{"subject", "To"}
	if err := FilterHeader(&in, bytes.NewReader(header), names, false); err != nil {
		t.Fatal(err)
	}
	if err := FilterHeader(&out, bytes.NewReader(header), names, true); err != nil {
		t.Fatal(err)
	}
	count := func(b []byte) (n int) {
		h := NewHeaderReader(bytes.NewReader(b))
		for {
			if _, err := h.Next(); err != nil {
				return n
			}
			n++
		}
	}
	if count(in.Bytes())+count(out.Bytes()) != count(header) {
		t.Errorf("%d and %d fields of %d", count(in.Bytes()), count(out.Bytes()), count(header))
	}
}

// FuzzAddressList: any value gives a list in which groups are balanced, group
// markers are empty where NIL is meant, and nothing was made up.
func FuzzAddressList(f *testing.F) {
	for _, s := range []string{"a@b", `"A \"B" <a@b>, c`, "g: a@b, <@r:c@d>;", "a@[1:2] (c (d) \\)", `"open`, "<>", "@,;:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		open := false
		total := 0
		for _, a := range ParseAddressList(s) {
			switch a.Kind {
			case GroupStart:
				if open || a.Host != "" || a.ADL != "" {
					t.Errorf("group start %+v, one open: %v", a, open)
				}
				open = true
			case GroupEnd:
				if !open || a != (Address{Kind: GroupEnd}) {
					t.Errorf("group end %+v, one open: %v", a, open)
				}
				open = false
			}
			total += len(a.Mailbox) + len(a.Host) + len(a.ADL)
		}
		if open {
			t.Error("a group is left open")
		}
		if total > 2*len(s) {
			t.Errorf("%d bytes of address from %d", total, len(s))
		}
	})
}

// FuzzRFC2047: what is decoded is UTF-8, not much longer than the source, and
// text without encoded words is left as it is.
func FuzzRFC2047(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?a=C3?= =?utf-8?b?tg==?= x", "=?iso-2022-jp?b?GyRC?=", "=?utf-7?q?+AOQ-?=", "=?x?q?a?=", "=?utf-16?b?AGE?=", "\xff=?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := DecodeHeader(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if len(got) > 4*len(s)+16 {
			t.Errorf("%d bytes from %d", len(got), len(s))
		}
		if !strings.Contains(s, "?=") && utf8.ValidString(s) && got != s {
			t.Errorf("%q from %q", got, s)
		}
	})
}

// FuzzRFC2231: no name twice, values not longer than their source, and the
// encoded form is ASCII and decodes to the value.
func FuzzRFC2231(f *testing.F) {
	for _, s := range []string{";a=b;c=\"d\\\"\"", ";a*0*=utf-8'en'%C3;a*1=b;a*2*=%B6", ";a*1=x;a*0=y", ";a*=iso-8859-1''%F6;a=o", ";a(b=c;=;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seen := map[string]bool{}
		for _, p := range ParseParams(s) {
			if p.Name == "" || seen[p.Name] && !strings.Contains(p.Name, "*") {
				t.Errorf("name %q", p.Name)
			}
			seen[p.Name] = true
			if p.Encoded == "" {
				continue
			}
			if strings.ContainsFunc(p.Encoded, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("encoded %q", p.Encoded)
			}
			again := ParseParams(";x*=" + p.Encoded)
			if len(again) != 1 || again[0].Value != p.Value {
				t.Errorf("%q decodes to %+v, want %q", p.Encoded, again, p.Value)
			}
		}
	})
}

// FuzzDate: what is read can be written and read again, as the same time.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"Fri, 21 Nov 1997 09:55:06 -0600", "21 Nov 97 9 : 5 EST", "Thu Jan  1 15:04:05 CET 2026", "1-Jan-2026", "(a(b) 1 Jan 1 0:0", "1 Jan 9999 23:59:60 +9959"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDate(s)
		if !ok {
			return
		}
		if got.Year() < 1 || got.Year() > 9999 {
			t.Fatalf("year %d", got.Year())
		}
		again, ok := ParseDate(got.Format(time.RFC1123Z))
		if !ok || !again.Equal(got) {
			t.Errorf("%q is %s, written and read again %s, %v", s, got, again, ok)
		}
	})
}

// FuzzTransferDecoding: decoding ends, gives no more than was put in (but for
// line ends), the same for any cutting, and charsets give UTF-8.
func FuzzTransferDecoding(f *testing.F) {
	f.Add([]byte("Zm9v=YmFy\r\n"), uint8(0), uint8(3))
	f.Add([]byte("=C3=\r\n= \t\n=4"), uint8(1), uint8(1))
	f.Add([]byte("begin 6\n#0V%T\nM\nend\n"), uint8(2), uint8(2))
	f.Add([]byte("+AOQ-\x1b$BF|\xff"), uint8(3), uint8(5))
	encodings := []string{"base64", "quoted-printable", "x-uuencode", "8bit"}
	charsets := []string{"utf-8", "utf-7", "iso-2022-jp", "utf-16", "gb18030", ""}
	f.Fuzz(func(t *testing.T, raw []byte, encoding, chunk uint8) {
		e := encodings[int(encoding)%len(encodings)]
		read := func(in io.Reader) []byte {
			r, err := DecodeTransfer(in, e)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		whole := read(bytes.NewReader(raw))
		if len(whole) > len(raw)+bytes.Count(raw, lf) {
			t.Errorf("%s: %d bytes from %d", e, len(whole), len(raw))
		}
		if cut := read(&chunkReader{raw, int(chunk) + 1}); !bytes.Equal(cut, whole) {
			t.Errorf("%s: %q in pieces, %q at once", e, cut, whole)
		}
		charset := charsets[int(chunk)%len(charsets)]
		text, err := io.ReadAll(charsetReader(charset, bytes.NewReader(whole)))
		if err != nil || !utf8.Valid(text) {
			t.Errorf("%s: %q, %v", charset, text, err)
		}
	})
}

type chunkReader struct {
	b []byte
	n int
}

func (c *chunkReader) Read(b []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.b[:min(c.n, len(c.b))])
	c.b = c.b[n:]
	return n, nil
}
