package message

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// parse parses s, whose lines end in LF for legibility, as mail with CRLF.
func parse(t *testing.T, s string) (*Summary, string) {
	t.Helper()
	s = crlf(s)
	return parseRaw(t, s), s
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func parseRaw(t *testing.T, s string) *Summary {
	t.Helper()
	sum, err := Parse(strings.NewReader(s), int64(len(s)))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	checkSummary(t, sum, int64(len(s)))
	return sum
}

// outline writes the tree of parts: "mixed(text/plain message/rfc822(text/html))".
func outline(p *Part) string {
	name := strings.ToLower(p.Type + "/" + p.Subtype)
	if p.IsMultipart() {
		name = strings.ToLower(p.Subtype)
	}
	if len(p.Parts) == 0 {
		return name
	}
	var children []string
	for _, c := range p.Parts {
		children = append(children, outline(c))
	}
	return name + "(" + strings.Join(children, " ") + ")"
}

// sectionText is the text of "1.2.MIME", "HEADER", "" and the like; "<none>"
// if there is no such section.
func sectionText(t *testing.T, sum *Summary, raw, name string) string {
	t.Helper()
	var path []uint32
	spec := Whole
	for _, w := range strings.Split(name, ".") {
		switch w {
		case "":
		case "HEADER":
			spec = Header
		case "TEXT":
			spec = TextOnly
		case "MIME":
			spec = MIME
		default:
			n, err := strconv.ParseUint(w, 10, 32)
			if err != nil {
				t.Fatalf("section %q: %v", name, err)
			}
			path = append(path, uint32(n))
		}
	}
	s, ok := sum.Section(path, spec)
	if !ok {
		return "<none>"
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(s.Reader(strings.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkSummary verifies what holds for every Summary: ranges are nested and in
// order, and trees within limits.
func checkSummary(t *testing.T, sum *Summary, size int64) {
	t.Helper()
	if sum.Size != size {
		t.Errorf("Size = %d, want %d", sum.Size, size)
	}
	if sum.Root.HeaderStart != 0 || sum.Root.BodyEnd != size {
		t.Errorf("root is [%d, %d), want [0, %d)", sum.Root.HeaderStart, sum.Root.BodyEnd, size)
	}
	parts := 0
	var check func(p *Part, depth int)
	check = func(p *Part, depth int) {
		parts++
		if depth > MaxDepth {
			t.Fatalf("depth %d", depth)
		}
		if p.HeaderStart > p.BodyStart || p.BodyStart > p.BodyEnd || p.Lines < 0 || p.Lines > p.Size() {
			t.Errorf("part is [%d, %d, %d) with %d lines", p.HeaderStart, p.BodyStart, p.BodyEnd, p.Lines)
		}
		if p.Type == "" || p.Subtype == "" || p.Encoding == "" {
			t.Errorf("part has type %q/%q, encoding %q", p.Type, p.Subtype, p.Encoding)
		}
		if p.IsMultipart() != (len(p.Parts) > 0 && p.Envelope == nil) {
			t.Errorf("%s/%s has %d parts", p.Type, p.Subtype, len(p.Parts))
		}
		if p.IsMessage() && (len(p.Parts) != 1 || p.Parts[0].HeaderStart != p.BodyStart || p.Parts[0].BodyEnd != p.BodyEnd) {
			t.Errorf("message at %d does not fill its part", p.BodyStart)
		}
		at := p.BodyStart
		for _, c := range p.Parts {
			if c.HeaderStart < at || c.BodyEnd > p.BodyEnd {
				t.Errorf("child [%d, %d) outside [%d, %d)", c.HeaderStart, c.BodyEnd, at, p.BodyEnd)
			}
			at = c.BodyEnd
			check(c, depth+1)
		}
	}
	check(sum.Root, 1)
	if parts > 2*MaxParts {
		t.Errorf("%d parts", parts)
	}
}

type sections map[string]string

func TestStructure(t *testing.T) {
	const empty = "<none>"
	tests := []struct {
		name     string
		in       string // LF stands for CRLF
		outline  string
		sections sections
	}{
		{
			"plain", "Subject: x\n\nhello\nworld\n", "text/plain",
			sections{"": "Subject: x\n\nhello\nworld\n", "HEADER": "Subject: x\n\n", "TEXT": "hello\nworld\n",
				"1": "hello\nworld\n", "1.MIME": "Subject: x\n\n", "2": empty, "1.1": empty, "1.HEADER": empty, "MIME": empty},
		},
		{"empty", "", "text/plain", sections{"": "", "HEADER": "", "TEXT": "", "1": ""}},
		{"no header", "\nbody\n", "text/plain", sections{"HEADER": "\n", "TEXT": "body\n", "1": "body\n"}},
		{"header only", "Subject: x\n", "text/plain", sections{"HEADER": "Subject: x\n", "TEXT": "", "1": ""}},
		{"header only, no line end", "Content-Type: text/html", "text/html", sections{"HEADER": "Content-Type: text/html", "1": ""}},
		{
			"line without colon does not end the header",
			"From x Mon\nSubject: x\n>From y\n junk\nContent-Type: text/html\n \nX: y\n\nb", "text/html", sections{"TEXT": "b"},
		},
		{
			"multipart", `Content-Type: multipart/mixed; boundary=b

preamble
--b

one
--b
Content-Type: text/html

two

--b--
epilogue
`, "mixed(text/plain text/html)",
			sections{"1": "one", "1.MIME": "\n", "2": "two\n", "2.MIME": "Content-Type: text/html\n\n", "3": empty, "0": empty,
				"TEXT": "preamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepilogue\n", "1.TEXT": empty},
		},
		{
			"no closing delimiter, part at the very end",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b", "mixed(text/plain text/plain)", sections{"1": "one", "2": ""},
		},
		{
			"white space behind delimiters",
			"Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b-- \n--b\n\nepilogue\n", "mixed(text/plain)", sections{"1": "one"},
		},
		{
			"no delimiter at all: one empty part", "Content-Type: multipart/mixed; boundary=q\n\ntext\n", "mixed(text/plain)",
			sections{"1": "", "1.MIME": "", "TEXT": "text\n"},
		},
		{"no boundary: one empty part", "Content-Type: multipart/mixed\n\n--\n\ntext\n", "mixed(text/plain)", sections{"1": ""}},
		{"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\ntext\n", "mixed(text/plain)", sections{"1": ""}},
		{"closing delimiter first", "Content-Type: multipart/mixed; boundary=q\n\n--q--\ntext\n", "mixed(text/plain)", sections{"1": ""}},
		{
			"delimiter right behind delimiter", "Content-Type: multipart/mixed; boundary=q\n\n--q\n--q\n\n--q\nX: y\n--q--\n",
			"mixed(text/plain text/plain text/plain)", sections{"1": "", "1.MIME": "", "2": "", "2.MIME": "\n", "3": "", "3.MIME": "X: y"},
		},
		{
			"boundary of which one is a prefix of the other",
			`Content-Type: multipart/mixed; boundary=foo

--foo
Content-Type: multipart/alternative; boundary=foo-1

--foo-1

a
--foo-1

b
--foo-1--
--foo

c
--foo--
`, "mixed(alternative(text/plain text/plain) text/plain)", sections{"1.1": "a", "1.2": "b", "2": "c"},
		},
		{
			"the longer boundary outside",
			`Content-Type: multipart/mixed; boundary=foo-1

--foo-1
Content-Type: multipart/alternative; boundary=foo

--foo

a
--foo--
--foo-1

c
--foo-1--
`, "mixed(alternative(text/plain) text/plain)", sections{"1.1": "a", "2": "c"},
		},
		{
			"a line that begins with a delimiter is one (RFC 2046 5.1.1)",
			"Content-Type: multipart/mixed; boundary=foo\n\n--foo junk\n\na\n--foo--junk\nb\n", "mixed(text/plain)", sections{"1": "a"},
		},
		{
			"outer boundary ends inner parts in the middle of a header",
			`Content-Type: multipart/mixed; boundary=o

--o
Content-Type: multipart/mixed; boundary=i

--i
Content-Type: message/rfc822

Subject: inner
--o

last
--o--
`, "mixed(mixed(message/rfc822(text/plain)) text/plain)",
			sections{"1.1": "Subject: inner", "1.1.HEADER": "Subject: inner", "1.1.TEXT": "", "2": "last"},
		},
		{
			"message/rfc822 with one part",
			"Content-Type: message/rfc822\n\nSubject: in\nContent-Type: text/html\n\nbody", "message/rfc822(text/html)",
			sections{"1": "Subject: in\nContent-Type: text/html\n\nbody", "1.HEADER": "Subject: in\nContent-Type: text/html\n\n",
				"1.TEXT": "body", "1.1": "body", "1.1.MIME": "Subject: in\nContent-Type: text/html\n\n", "1.2": empty, "1.1.1": empty},
		},
		{
			"the example of RFC 9051 6.4.5.1, message part",
			`Content-Type: multipart/mixed; boundary=1

--1

plain
--1
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=2

--2

plain in message
--2
Content-Type: application/octet-stream

data
--2--
--1--
`, "mixed(text/plain message/rfc822(mixed(text/plain application/octet-stream)))",
			sections{"2.HEADER": "Content-Type: multipart/mixed; boundary=2\n\n", "2.1": "plain in message", "2.2": "data", "2.3": empty,
				"2.TEXT": "--2\n\nplain in message\n--2\nContent-Type: application/octet-stream\n\ndata\n--2--", "2.MIME": "Content-Type: message/rfc822\n\n",
				"2.1.HEADER": empty},
		},
		{"digest", "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\n1\n--d\nContent-Type: text/plain\n\n2\n--d--",
			"digest(message/rfc822(text/plain) text/plain)", sections{"1.HEADER": "Subject: one\n\n", "1.TEXT": "1", "1.1": "1", "2": "2"}},
		{"encoded message is not one (RFC 2046 5.2.1)", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n",
			"application/octet-stream", sections{"1.1": empty, "1": "U3ViamVjdDogeA==\n"}},
		{"encoding of a multipart means nothing", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--",
			"mixed(text/plain)", sections{"1": "x"}},
		{"no MIME-Version needed, type in any case", "CONTENT-TYPE:TEXT/HTML\n\n", "text/html", nil},
		{"type that cannot be read", "Content-Type: html; charset=utf-8\n\n", "text/plain", nil},
		{"first Content-Type counts", "Content-Type: text/html\nContent-Type: multipart/mixed; boundary=b\n\n--b\n", "text/html", nil},
		{"boundary in RFC 2231 form", "Content-Type: multipart/mixed; boundary*=us-ascii''a%20b\n\n--a b\n\nx\n--a b--", "mixed(text/plain)", sections{"1": "x"}},
		{"boundary in segments", "Content-Type: multipart/mixed; boundary*0=a;\n boundary*1=b\n\n--ab\n\nx\n--ab--", "mixed(text/plain)", sections{"1": "x"}},
		{"same boundary nested: the innermost that is open counts",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b\n\ny\n--b--",
			"mixed(mixed(text/plain) text/plain)", sections{"1.1": "x", "2": "y"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sum, raw := parse(t, test.in)
			if got := outline(sum.Root); got != test.outline {
				t.Errorf("outline %s, want %s", got, test.outline)
			}
			for name, want := range test.sections {
				if got := sectionText(t, sum, raw, name); got != crlf(want) {
					t.Errorf("[%s] = %q, want %q", name, got, crlf(want))
				}
			}
			if test.outline != "" {
				// With bare LF as line end the same structure is found.
				if got := outline(parseRaw(t, test.in).Root); got != test.outline {
					t.Errorf("with bare LF: outline %s, want %s", got, test.outline)
				}
			}
		})
	}
}

func TestBareLineEndsAreCounted(t *testing.T) {
	raw := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\n--b\r\n\r\nthree\rfour\r\n--b--\n"
	sum := parseRaw(t, raw)
	if got := sectionText(t, sum, raw, "1"); got != "one\ntwo" {
		t.Errorf("[1] = %q", got)
	}
	if got := sectionText(t, sum, raw, "2"); got != "three\rfour" {
		t.Errorf("[2] = %q, a bare CR is content", got)
	}
	if got := sum.Root.Parts[0].Lines; got != 1 {
		t.Errorf("part 1 has %d lines, want the 1 LF in it", got)
	}
	if got := sum.Lines; got != 10 {
		t.Errorf("message has %d lines, want its 10 LFs", got)
	}
}

func TestPartFields(t *testing.T) {
	sum, _ := parse(t, `Content-Type: Application/Pdf; name*0*=utf-8''na%C3%AF; name*1="ve.pdf"
Content-ID: <a@b>
Content-Description: a
	folded	one
Content-Transfer-Encoding: Base64 (what else)
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: Attachment; filename="na ve.pdf"; size=12
Content-Language: en, de-AT
Content-Location: http://a.example/
  b/c

`)
	got := *sum.Root
	want := Part{
		HeaderStart: 0, BodyStart: got.BodyStart, BodyEnd: got.BodyStart,
		Type: "APPLICATION", Subtype: "PDF", Params: []Param{{Name: "NAME", Value: "naïve.pdf", Encoded: "utf-8''na%C3%AFve.pdf"}},
		ID: "<a@b>", Description: "a\tfolded\tone", Encoding: "BASE64", MD5: "Q2hlY2sgSW50ZWdyaXR5IQ==",
		Disposition: Disposition{"ATTACHMENT", []Param{{Name: "FILENAME", Value: "na ve.pdf"}, {Name: "SIZE", Value: "12"}}},
		Language:    []string{"en", "de-AT"}, Location: "http://a.example/b/c",
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := sum.Root.Filename(); got != "na ve.pdf" {
		t.Errorf("Filename %q", got)
	}
}

func TestDefaults(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "{TEXT PLAIN [{CHARSET US-ASCII }] 7BIT}",
		"Content-Type: text/plain":       "{TEXT PLAIN [] 7BIT}",
		"Content-Type: text/; charset=x": "{TEXT PLAIN [{CHARSET US-ASCII }] 7BIT}",
		"Content-Type:":                  "{TEXT PLAIN [{CHARSET US-ASCII }] 7BIT}",
		"Content-Type: a/b(c)\nContent-Transfer-Encoding:":                  "{A B [] 7BIT}",
		"Content-Type: (x) a (y) / (z) b\nContent-Transfer-Encoding: x-Odd": "{A B [] X-ODD}",
	} {
		sum, _ := parse(t, in+"\n\n")
		p := sum.Root
		got := fmt.Sprintf("{%s %s %v %s}", p.Type, p.Subtype, p.Params, p.Encoding)
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
