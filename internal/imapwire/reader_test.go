package imapwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"postern/internal/mail"
)

// readOne reads one command and gives its error; cont counts continuation
// requests.
func readOne(text string, limits Limits) (cmd Command, cont int, r *Reader, err error) {
	r = NewReader(bufio.NewReader(strings.NewReader(text)), limits, func() error { cont++; return nil })
	if cmd, err = r.Command(); err != nil {
		return cmd, cont, r, err
	}
	readArgs(r, cmd.Name)
	return cmd, cont, r, r.Err()
}

// What is wrong is answered as the table of security tests says, and the command
// after it is read whenever the connection lives.
func TestBadInputBeforeLogin(t *testing.T) {
	const bad, no, bye, fine = "BAD", "NO", "BYE", "OK"
	limits := BeforeLogin()
	tests := []struct {
		name, in, want string
		cont           int
	}{
		{"line at the limit", "a LOGIN " + strings.Repeat("x", 8<<10-len("a LOGIN  y\r\n")) + " y\r\n", fine, 0},
		{"line beyond the limit", "a LOGIN " + strings.Repeat("x", 8<<10-len("a LOGIN  y\r\n")+1) + " y\r\n", bye, 0},
		{"no line end at all", strings.Repeat("x", 1<<20), bye, 0},
		{"long tag", strings.Repeat("x", 257) + " NOOP\r\n", bad, 0},
		{"empty tag", " NOOP\r\n", bad, 0},
		{"tag with plus", "a+ NOOP\r\n", bad, 0},
		{"tag with brace", "a{ NOOP\r\n", bad, 0},
		{"tag with control", "a\x01 NOOP\r\n", bad, 0},
		{"huge literal", "a LOGIN {2147483647}\r\n", no, 0},
		{"2^32", "a LOGIN {4294967296}\r\n", no, 0},
		{"2^64", "a LOGIN {18446744073709551616}\r\n", bad, 0},
		{"negative", "a LOGIN {-1}\r\n", bad, 0},
		{"no length", "a LOGIN {}\r\n", bad, 0},
		{"only plus", "a LOGIN {+}\r\n", bad, 0},
		{"two plus", "a LOGIN {1++}\r\n", bad, 0},
		{"hexadecimal", "a LOGIN {0x10}\r\n", bad, 0},
		{"zeros", "a LOGIN {" + strings.Repeat("0", 4<<10) + "1}\r\n", bad, 0},
		{"huge unasked literal", "a LOGIN {2147483647+}\r\nb NOOP\r\n", bye, 0},
		{"unasked literal at the limit", "a LOGIN {4096+}\r\n" + strings.Repeat("x", 4096) + " y\r\n", fine, 0},
		{"unasked literal beyond the limit", "a LOGIN {4097+}\r\n" + strings.Repeat("x", 4097) + " y\r\n", no, 0},
		{"asked literals", "a LOGIN {1}\r\nx {1}\r\ny\r\n", fine, 2},
		{"a third literal", "a ID ({1+}\r\nx {1+}\r\ny {1+}\r\nx NIL)\r\n", no, 0},
		{"a third literal, asked", "a ID ({1}\r\nx {1}\r\ny {1}\r\n", no, 2},
		{"parentheses", "a ID " + strings.Repeat("(", 4000), bad, 0},
		{"closing parentheses", "a ID " + strings.Repeat(")", 100) + "\r\n", bad, 0},
		{"pairs", "a ID " + strings.Repeat("()", 100) + "\r\n", bad, 0},
		{"NUL in an atom", "a LOGIN x\x00 y\r\n", bad, 0},
		{"NUL in quotes", "a LOGIN \"x\x00\" y\r\n", bad, 0},
		{"NUL in a literal", "a LOGIN {1+}\r\n\x00 y\r\n", bad, 0},
		{"bare CR", "a LOGIN x y\rz\r\n", bad, 0},
		{"bare LF", "a LOGIN x y\n", fine, 0},
		{"CR CR LF", "a LOGIN x y\r\r\n", bad, 0},
		{"CR in quotes", "a LOGIN \"x\ry\" z\r\n", bad, 0},
		{"invalid UTF-8 in quotes", "a LOGIN \"\xff\" y\r\n", bad, 0},
		{"overlong UTF-8 in quotes", "a LOGIN \"\xc0\xaf\" y\r\n", bad, 0},
		{"surrogate in quotes", "a LOGIN \"\xed\xa0\x80\" y\r\n", bad, 0},
		{"invalid UTF-8 in a literal", "a LOGIN {1+}\r\n\xff y\r\n", fine, 0},
		{"UTF-8 in an atom", "a LOGIN \xc3\xa9 y\r\n", bad, 0},
		{"UTF-8 in a tag", "a\xc3\xa9 NOOP\r\n", bad, 0},
		{"a lone backslash", "a LOGIN \"DOMAIN\\user\" y\r\n", bad, 0},
		{"too many arguments", "a LOGIN x y z\r\n", bad, 0},
		{"two spaces", "a  LOGIN x y\r\n", bad, 0},
		{"bad base64", "a AUTHENTICATE PLAIN AAA\r\n", bad, 0},
		{"base64 that is not canonical", "a AUTHENTICATE PLAIN AB==\r\n", bad, 0},
		{"initial response at the limit", "a AUTHENTICATE PLAIN " + strings.Repeat("A", 16<<10) + "\r\n", fine, 0},
		{"initial response beyond", "a AUTHENTICATE PLAIN " + strings.Repeat("A", 16<<10+4) + "\r\n", bye, 0},
		{"ID with 30 fields", "a ID (" + strings.Repeat("\"a\" NIL ", 29) + "\"a\" NIL)\r\n", fine, 0},
		{"ID with 31 fields", "a ID (" + strings.Repeat("\"a\" NIL ", 30) + "\"a\" NIL)\r\n", bad, 0},
		{"ID field of 31", "a ID (\"" + strings.Repeat("a", 31) + "\" NIL)\r\n", bad, 0},
		{"ID value of 1025", "a ID (\"a\" \"" + strings.Repeat("a", 1025) + "\")\r\n", bad, 0},
		{"ID NIL", "a ID NIL\r\n", fine, 0},
		{"ID nothing", "a ID ()\r\n", fine, 0},
		{"HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", bye, 0},
		{"HTTP POST", "POST /x?a%20LOGIN HTTP/1.1\r\n", bye, 0},
		{"HTTP OPTIONS", "OPTIONS * HTTP/1.1\r\n", bad, 0}, // "*" is no command, and the next line is looked at again
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bye, 0},
		{"SSH", "SSH-2.0-OpenSSH_10.0\r\n", bye, 0},
		{"a page", "<script>x</script>\r\n", bye, 0},
		{"SMTP", "EHLO example.org\r\n", bye, 0},
		{"TLS", "\x16\x03\x01\x02\x00\x01", bye, 0},
		{"a tag that is a word of HTTP", "GET NOOP\r\n", fine, 0},
	}
	for _, test := range tests {
		_, cont, r, err := readOne(test.in+"zz NOOP\r\n", limits)
		got := fine
		var fatal *FatalError
		var syntax *SyntaxError
		var refused *mail.Error
		if end := r.End(); end != nil {
			err = end
		}
		switch {
		case errors.As(err, &fatal):
			got = bye
		case errors.As(err, &syntax):
			got = bad
		case errors.As(err, &refused):
			got = no
		}
		if test.name == "parentheses" && got == bye {
			got = bad // the BAD is said at once; the line that never ends is given up later
		}
		if got != test.want || cont != test.cont {
			t.Errorf("%s: %s (%v) after %d continuations, want %s after %d", test.name, got, err, cont, test.want, test.cont)
			continue
		}
		if got == bye || test.name == "parentheses" {
			continue
		}
		if cmd, err := r.Command(); err != nil || cmd != (Command{"zz", "NOOP"}) {
			t.Errorf("%s: afterwards %+v, %v", test.name, cmd, err)
		}
	}
}

// An error is said before the line that holds it ends.
func TestErrorBeforeLineEnds(t *testing.T) {
	limits := LoggedIn(1000)
	for _, in := range []string{
		"a SEARCH " + strings.Repeat("(", limits.Depth+1),
		"a SEARCH " + strings.Repeat("NOT ", limits.Depth+1),
		"a STATUS x (" + strings.Repeat("MESSAGES ", limits.Items+1),
		"a FETCH 1 BODY[" + strings.Repeat("1.", MaxPartDepth+1),
		"a STORE 1 FLAGS (" + strings.Repeat("x ", MaxFlagsInList+1),
	} {
		limits.Line = 1 << 20
		// A read beyond the text would wait for ever: here it is an error.
		src := io.MultiReader(strings.NewReader(in), iotest.ErrReader(errors.New("it waited")))
		r := NewReader(bufio.NewReader(src), limits, nil)
		cmd, err := r.Command()
		if err != nil {
			t.Fatal(err)
		}
		readArgs(r, cmd.Name)
		if r.Broken() || r.Err() == nil {
			t.Errorf("%.40s...: %v", in, r.Err())
		}
	}
}

// Deep search keys are fine up to the limit, and a row of ORs is not deep.
func TestSearchDepth(t *testing.T) {
	limits := LoggedIn(1000)
	for in, fine := range map[string]bool{
		strings.Repeat("(", limits.Depth) + "SEEN" + strings.Repeat(")", limits.Depth):     true,
		strings.Repeat("(", limits.Depth+1) + "SEEN" + strings.Repeat(")", limits.Depth+1): false,
		strings.Repeat("NOT ", limits.Depth) + "SEEN":                                      true,
		strings.Repeat("NOT ", limits.Depth+1) + "SEEN":                                    false,
		strings.Repeat("OR SEEN ", 500) + "SEEN":                                           true,
		strings.Repeat("OR ", 500) + strings.Repeat("SEEN ", 500) + "SEEN":                 false,
	} {
		_, _, _, err := readOne("a SEARCH "+in+"\r\n", limits)
		if (err == nil) != fine {
			t.Errorf("%.40s: %v", in, err)
		}
	}
}

func TestErrorsNameWhatWasExpected(t *testing.T) {
	for in, want := range map[string]string{
		"a UID FETCH x FLAGS\r\n":            `expected a sequence set after UID FETCH, found "x" at 12`,
		"a FETCH 1\r\n":                      `expected a space after FETCH, found the end of the line at 9`,
		"a FETCH 1 \x1b[31mFLAGS\r\n":        `expected an item to fetch after FETCH, found the octet 0x1b at 10`,
		"a SEARCH FROM\r\n":                  `expected a space after SEARCH, found the end of the line at 13`,
		"a\r\n":                              `expected a space, found the end of the line at 1`,
		"a STORE 1 FLAGS (\\Nonsense)\r\n":   `expected a flag after STORE, found an unknown system flag at 26`,
		"a STATUS INBOX (PERMFLAGS)\r\n":     `expected a status item after STATUS, found an unknown one at 25`,
		"a LIST (RECURSIVEMATCH) \"\" *\r\n": `expected an option that RECURSIVEMATCH applies to after LIST, found none at 23`,
	} {
		_, _, _, err := readOne(in, LoggedIn(1000))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// The tag is known as soon as it was read, so that BAD can name it.
func TestTagOfBrokenCommand(t *testing.T) {
	for in, want := range map[string]string{
		"a7\r\n": "a7", "a7 {5}\r\n": "a7", "a7 UID\r\n": "a7", "a7  NOOP\r\n": "a7", "* NOOP\r\n": "", "\r\n": "",
	} {
		cmd, _, _, err := readOne(in, LoggedIn(1000))
		if cmd.Tag != want || err == nil {
			t.Errorf("%q: tag %q, %v", in, cmd.Tag, err)
		}
	}
}

func TestMessageLiteral(t *testing.T) {
	limits := LoggedIn(10)
	tests := []struct {
		in   string
		kind mail.Kind // 0: fine
		cont int
	}{
		{"a APPEND x {10}\r\n0123456789\r\n", 0, 1},
		{"a APPEND x {11}\r\n", mail.TooBig, 0},
		{"a APPEND x {10+}\r\n0123456789\r\n", 0, 0},
		{"a APPEND x {40+}\r\n" + strings.Repeat("x", 40) + "\r\n", mail.TooBig, 0},
		{"a APPEND x UTF8 (~{3+}\r\nabc)\r\n", 0, 0},
		{"a APPEND \"&AGE-\" {1}\r\n", mail.Cannot, 0},
		{"a APPEND \"&AGE-\" {3+}\r\nx\r\n\r\n", mail.Cannot, 0},
	}
	for _, test := range tests {
		_, cont, r, err := readOne(test.in+"zz NOOP\r\n", limits)
		if cont != test.cont || test.kind == 0 != (err == nil) || err != nil && mail.KindOf(err) != test.kind {
			t.Errorf("%q: %v after %d continuations", test.in, err, cont)
		}
		if cmd, err := r.Command(); err != nil || cmd.Tag != "zz" {
			t.Errorf("%q: afterwards %+v, %v", test.in, cmd, err)
		}
	}
	if _, _, r, _ := readOne("a APPEND x {41+}\r\n"+strings.Repeat("x", 41)+"\r\nzz NOOP\r\n", limits); r.End() == nil {
		t.Error("a literal beyond all limits was skipped")
	}
}

// A command that is given up in the middle of a message takes the rest with it.
func TestMessageReadInPart(t *testing.T) {
	r := reader("a APPEND x {10+}\r\n01234\x006789 {3+}\r\nabc\r\nzz NOOP\r\n")
	var name string
	var m AppendMessage
	cmd, err := r.Command()
	if err != nil || cmd.Name != "APPEND" || !r.ExpectAppendMailbox(&name) || !r.ExpectAppendMessage(&m) {
		t.Fatal(cmd, r.Err())
	}
	body, err := r.AcceptLiteral()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(body, make([]byte, 4)); err != nil || body.NUL() {
		t.Fatal(err, body.NUL())
	}
	if _, err := io.ReadFull(body, make([]byte, 4)); err != nil || !body.NUL() {
		t.Fatal(err, body.NUL())
	}
	if cmd, err := r.Command(); err != nil || cmd.Tag != "zz" {
		t.Errorf("afterwards %+v, %v", cmd, err)
	}
}

// A connection that ends at any octet is the connection's end and nothing else.
func TestConnectionEndsAnywhere(t *testing.T) {
	whole := strings.Join(dialogue[:12], "")
	lines, err := transcript(strings.NewReader(whole), LoggedIn(1000), 4096)
	if err != io.EOF || len(lines) != 12 {
		t.Fatalf("%d commands, %v", len(lines), err)
	}
	ends := 0
	for n := range len(whole) {
		_, err := transcript(strings.NewReader(whole[:n]), LoggedIn(1000), 64)
		switch {
		case errors.Is(err, io.EOF):
			ends++
		case !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("%q: %v", whole[:n], err)
		}
	}
	if ends != 12 {
		t.Errorf("%d orderly ends", ends)
	}
}

func TestPendingAndUpcoming(t *testing.T) {
	for rest, want := range map[string]string{
		"":                           "",
		"b":                          "",
		"b FET":                      "",
		"b FETCH 1:* (FLAGS":         "FETCH",
		"b noop\r\n":                 "NOOP",
		"b uid fetch 1 FLAGS\r\n":    "UID FETCH",
		"b UID":                      "",
		"b UID STOR":                 "",
		"b UID STORE 1 +FLAGS (\r\n": "UID STORE",
	} {
		r := reader("a NOOP\r\n" + rest)
		if _, err := r.Command(); err != nil || !r.ExpectCRLF() {
			t.Fatal(r.Err())
		}
		if got := r.Upcoming(); got != want {
			t.Errorf("%q: upcoming %q, want %q", rest, got, want)
		}
		if r.Pending() != strings.HasSuffix(rest, "\n") || r.Buffered() != len(rest) {
			t.Errorf("%q: pending %v, buffered %d", rest, r.Pending(), r.Buffered())
		}
	}
}

func TestDone(t *testing.T) {
	r := reader("a IDLE\r\nDONE\r\nb NOOP\r\nc IDLE\r\nd NOOP {3+}\r\nabc\r\ne IDLE\r\ndone\ne NOOP\r\n")
	for _, step := range []string{"IDLE", "DONE", "NOOP", "IDLE", "BAD", "IDLE", "DONE", "NOOP"} {
		if step == "DONE" || step == "BAD" {
			if err := r.Done(); (err == nil) != (step == "DONE") {
				t.Fatalf("%s: %v", step, err)
			}
			continue
		}
		if cmd, err := r.Command(); err != nil || cmd.Name != step || !r.ExpectCRLF() {
			t.Fatalf("%s: %+v %v", step, cmd, r.Err())
		}
	}
}

func TestSASLResponse(t *testing.T) {
	const limit = 16 << 10
	r := reader("\r\n*\r\nAGZyZWQAc2VjcmV0\r\nA2 LOGOUT\r\n" + strings.Repeat("A", limit) + "\r\n" +
		strings.Repeat("A", limit+4) + "\r\n")
	for i, want := range []string{"", "cancelled", "\x00fred\x00secret", "error", strings.Repeat("\x00", limit/4*3), "fatal"} {
		data, cancelled, err := r.SASLResponse()
		got := string(data)
		var fatal *FatalError
		switch {
		case errors.As(err, &fatal):
			got = "fatal"
		case err != nil:
			got = "error"
		case cancelled:
			got = "cancelled"
		}
		if got != want {
			t.Errorf("response %d: %.40q, %v", i, got, err)
		}
	}
}

func TestContinueFails(t *testing.T) {
	gone := errors.New("gone")
	r := NewReader(bufio.NewReader(strings.NewReader("a LOGIN {1}\r\nx y\r\n")), BeforeLogin(), func() error { return gone })
	cmd, _ := r.Command()
	readArgs(r, cmd.Name)
	if !errors.Is(r.Err(), gone) || !r.Broken() || r.End() == nil {
		t.Error(r.Err())
	}
}

// After Reset the reader is as new, but no longer suspects HTTP.
func TestReset(t *testing.T) {
	r := reader("a STARTTLS\r\n")
	r.UTF8 = true
	if _, err := r.Command(); err != nil {
		t.Fatal(err)
	}
	r.Reset(bufio.NewReader(strings.NewReader("GET / x\r\nb DELETE \"&\"\r\n")))
	if cmd, err := r.Command(); err != nil || cmd.Tag != "GET" {
		t.Fatal(cmd, err)
	}
	cmd, _ := r.Command()
	if args, ok := readArgs(r, cmd.Name); !ok || fmt.Sprint(*args.(*string)) != "&" {
		t.Error(args, r.Err())
	}
}

// FuzzLiteralHeader compares the recogniser with the grammar written as a pattern,
// and what the reader takes for a literal with both.
func FuzzLiteralHeader(f *testing.F) {
	for _, s := range []string{"{5}", "{5+}", "{}", "{+}", "{05}", "{{5}", "{5}{6+}", "{99999999999}", "{1++}", "{1}+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") {
			return
		}
		var h header
		for _, c := range []byte(line + "\r\n") {
			h.next(c)
		}
		open := strings.LastIndexByte(line, '{')
		inner, closed := strings.CutSuffix(line[open+1:], "}")
		digits, plus := strings.CutSuffix(inner, "+")
		isHeader := open >= 0 && closed && digits != "" && strings.Trim(digits, "0123456789") == ""
		if (h.state == headerEnd) != isHeader {
			t.Fatalf("%q: state %d", line, h.state)
		}
		if !isHeader {
			return
		}
		if h.plus != plus || h.digits != len(digits) {
			t.Fatalf("%q: %+v", line, h)
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if !h.tooLong() && (err != nil || h.size != n) {
			t.Fatalf("%q: %+v", line, h)
		}
		r := reader(line[open:] + "\r\n")
		r.begin()
		var l Literal
		if got := r.literalHeader(&l); got == h.tooLong() {
			t.Fatalf("%q: %v %v", line, got, r.Err())
		}
		if r.Err() == nil && (l.Size != h.size || l.NonSync != plus) {
			t.Fatalf("%q: %+v", line, l)
		}
	})
}
