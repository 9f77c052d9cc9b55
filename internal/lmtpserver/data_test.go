package lmtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDotReader(t *testing.T) {
	for _, c := range []struct{ name, wire, content, rest string }{
		{"plain", "a\r\nb\r\n.\r\nQUIT\r\n", "a\r\nb\r\n", "QUIT\r\n"},
		{"nothing", ".\r\nQUIT\r\n", "", "QUIT\r\n"},
		{"stuffed dots", "..\r\n...x\r\n.a\r\n.\r\n", ".\r\n..x\r\na\r\n", ""},
		{"dot in a line", "a.\r\n.b.\r\n.\r\n", "a.\r\nb.\r\n", ""},
		{"bare LF around a dot", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", ""},
		{"bare LF, dot, CRLF", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", ""},
		{"CRLF, dot, bare LF", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", ""},
		{"bare CR around a dot", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", ""},
		{"bare CR before the final dot", "a\r\r\n.\r\n", "a\r\r\n", ""},
		{"stuffed dot and bare CR", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
		{"stuffed dot and two CRs", ".\r\r\n.\r\n", "\r\r\n", ""},
		{"NULs", "\x00\r\n.\r\n", "\x00\r\n", ""},
		{"end within CRs", "\r\r\r\n.\r\n", "\r\r\r\n", ""},
	} {
		for _, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "half": iotest.HalfReader,
		} {
			b := bufio.NewReaderSize(reader(strings.NewReader(c.wire)), 16)
			got, err := io.ReadAll(newDotReader(b, 1000))
			if err != nil || string(got) != c.content {
				t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.content)
			}
			if rest, _ := io.ReadAll(b); string(rest) != c.rest {
				t.Errorf("%s: left %q, want %q", c.name, rest, c.rest)
			}
		}
	}
}

func TestDotReaderWithoutEnd(t *testing.T) {
	for _, wire := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n"} {
		_, err := io.ReadAll(newDotReader(bufio.NewReader(strings.NewReader(wire)), 1000))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: got %v", wire, err)
		}
	}
}

func TestDotReaderLimit(t *testing.T) {
	const content = "0123456789\r\n"
	for limit := range int64(len(content) + 2) {
		b := bufio.NewReader(strings.NewReader(content + ".\r\nNOOP"))
		d := newDotReader(b, limit)
		got, err := io.ReadAll(d)
		if limit >= int64(len(content)) {
			if err != nil || string(got) != content {
				t.Errorf("limit %d: got %q, %v", limit, got, err)
			}
			continue
		}
		if !errors.Is(err, errTooBig) {
			t.Errorf("limit %d: got %v", limit, err)
		}
		if err := d.drain(); err != nil {
			t.Errorf("limit %d: drain: %v", limit, err)
		}
		if rest, _ := io.ReadAll(b); string(rest) != "NOOP" {
			t.Errorf("limit %d: left %q", limit, rest)
		}
	}
}

// FuzzDotReader: what is stuffed as RFC 5321 4.5.2 says comes back equal,
// however it is cut, and nothing of what follows is taken for it.
func FuzzDotReader(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n.b\n.\n\r.\r\r\n"), byte(3))
	f.Fuzz(func(t *testing.T, content []byte, size byte) {
		lines := bytes.SplitAfter(content, []byte("\r\n"))
		var wire bytes.Buffer
		for _, l := range lines {
			if bytes.HasPrefix(l, []byte(".")) {
				wire.WriteByte('.')
			}
			wire.Write(l)
		}
		want := bytes.Clone(content)
		if last := lines[len(lines)-1]; len(last) > 0 { // a client ends the last line
			wire.WriteString("\r\n")
			want = append(want, "\r\n"...)
		}
		wire.WriteString(".\r\nRSET")
		b := bufio.NewReaderSize(&wire, 16+int(size))
		got, err := io.ReadAll(newDotReader(b, 1<<30))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if rest, _ := io.ReadAll(b); string(rest) != "RSET" {
			t.Fatalf("left %q", rest)
		}
	})
}
