package message

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// failingAt is a ReaderAt that fails where the disk is broken.
type failingAt struct {
	strings.Reader
	off int64
	err error
}

func (f *failingAt) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.off {
		return 0, f.err
	}
	return f.Reader.ReadAt(b, off)
}

func TestParseReportsReadErrors(t *testing.T) {
	failure := errors.New("disk on fire")
	if _, err := Parse(&failingAt{off: 10, err: failure}, 100); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if _, err := Parse(strings.NewReader("short"), 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	sum := parseRaw(t, "\n"+strings.Repeat("text\n", 100))
	if _, err := sum.Preview(&failingAt{err: failure}); !errors.Is(err, failure) {
		t.Errorf("preview: error %v", err)
	}
	sum = parseRaw(t, "Content-Type: text/html\n\n"+strings.Repeat("text\n", 100))
	if _, err := sum.Preview(&failingAt{err: failure}); !errors.Is(err, failure) {
		t.Errorf("preview of HTML: error %v", err)
	}
	if err := FilterHeader(io.Discard, iotest.ErrReader(failure), nil, true); !errors.Is(err, failure) {
		t.Errorf("FilterHeader: error %v", err)
	}
	if err := FilterHeader(brokenWriter{failure}, strings.NewReader("A: b\n"), nil, true); !errors.Is(err, failure) {
		t.Errorf("FilterHeader: error %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// A parser is for one message.
func TestParserAfterClose(t *testing.T) {
	p := NewParser()
	if _, err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("Write after Close: %d, %v", n, err)
	}
	if sum, err := p.Close(); sum != nil || err == nil {
		t.Errorf("Close after Close: %v, %v", sum, err)
	}
}

func TestPartial(t *testing.T) {
	const text = "0123456789"
	for _, test := range []struct {
		start, length int64
		want          string
	}{
		{0, 3, "234"}, {1, 2, "34"}, {4, 10, "67"}, {6, 1, ""}, {100, 1, ""}, {0, 0, ""}, {1 << 62, 1 << 62, ""}, {2, 1<<63 - 1, "4567"},
	} {
		b, err := io.ReadAll(Section{2, 6}.Partial(test.start, test.length).Reader(strings.NewReader(text)))
		if err != nil || string(b) != test.want {
			t.Errorf("<%d.%d>: %q, %v, want %q", test.start, test.length, b, err, test.want)
		}
	}
}

// RFC 9051 6.4.5.1, the whole example: its specifiers name what it says they do.
func TestSectionExample(t *testing.T) {
	sum, raw := parse(t, `Subject: outer
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: text/plain

1
--a
Content-Type: application/octet-stream

2
--a
Content-Type: message/rfc822

Subject: third
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

3.1
--b
Content-Type: application/octet-stream

3.2
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

4.1
--c
Content-Type: message/rfc822

Subject: fourth
Content-Type: multipart/mixed; boundary=d

--d
Content-Type: text/plain

4.2.1
--d
Content-Type: multipart/alternative; boundary=e

--e
Content-Type: text/plain

4.2.2.1
--e
Content-Type: text/richtext

4.2.2.2
--e--
--d--
--c--
--a--
`)
	for _, name := range []string{"1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"} {
		if got := sectionText(t, sum, raw, name); got != name {
			t.Errorf("[%s] = %q", name, got)
		}
	}
	for name, want := range map[string]string{
		"HEADER":     "Subject: outer\nContent-Type: multipart/mixed; boundary=a\n\n",
		"3.HEADER":   "Subject: third\nContent-Type: multipart/mixed; boundary=b\n\n",
		"4.2.HEADER": "Subject: fourth\nContent-Type: multipart/mixed; boundary=d\n\n",
		"4.1.MIME":   "Content-Type: image/gif\n\n",
		"4.MIME":     "Content-Type: multipart/mixed; boundary=c\n\n",
		"4.HEADER":   "<none>", "4.TEXT": "<none>", "4.3": "<none>", "5": "<none>", "4.1.1": "<none>", "3.1.1": "<none>", "4.2.0": "<none>",
	} {
		if got := sectionText(t, sum, raw, name); got != crlf(want) {
			t.Errorf("[%s] = %q, want %q", name, got, crlf(want))
		}
	}
	if got := sectionText(t, sum, raw, "3.TEXT"); !strings.HasPrefix(got, "--b\r\n") || !strings.HasSuffix(got, "--b--") {
		t.Errorf("[3.TEXT] = %q", got)
	}
	var paths [][]uint32
	sum.Walk(func(path []uint32, part *Part) bool {
		paths = append(paths, path)
		return part.Subtype != "GIF"
	})
	if len(paths) != 9 || len(paths[8]) != 2 {
		t.Errorf("Walk stopped after %v", paths)
	}
}
