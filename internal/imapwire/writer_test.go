package imapwire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"postern/internal/mail"
)

// written gives what a use of a Writer puts on the connection.
func written(t *testing.T, use func(w *Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, make([]byte, 0, 32))
	use(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.Sent() != int64(out.Len()) {
		t.Errorf("%d octets counted, %d written", w.Sent(), out.Len())
	}
	return out.String()
}

func TestResponses(t *testing.T) {
	date, _ := ParseDateTime([]byte("17-Jul-1996 02:44:25 -0700"))
	status := StatusData{Counts: mail.Counts{Messages: 231, UIDNext: 44292, Bytes: 1 << 40}, UIDValidity: 7, MailboxID: "F1"}
	tests := []struct {
		use  func(w *Writer)
		want string
	}{
		// RFC 9051 7.1, 7.2 and the example session of 8.
		{func(w *Writer) { w.Status("", OK, "", "IMAP4rev2 Service Ready") }, "* OK IMAP4rev2 Service Ready\r\n"},
		{func(w *Writer) { w.Status("a002", OK, "READ-WRITE", "SELECT completed") }, "a002 OK [READ-WRITE] SELECT completed\r\n"},
		{func(w *Writer) { w.Status("", BYE, "", "a\r\nb\x00\xc3\xa9\x7f") }, "* BYE a??b???\r\n"},
		{func(w *Writer) { w.Status("a", NO, "", "[ALERT] x") }, "a NO (ALERT] x\r\n"},
		{func(w *Writer) { w.Exists(18).Recent(0).Expunge(44) }, "* 18 EXISTS\r\n* 0 RECENT\r\n* 44 EXPUNGE\r\n"},
		{func(w *Writer) { w.MailboxFlags(mail.NewFlags(mail.AllSystem)) },
			"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"},
		{func(w *Writer) { w.PermanentFlags(mail.NewFlags(mail.Deleted|mail.Seen), true) },
			"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] flags that stay\r\n"},
		{func(w *Writer) { w.PermanentFlags(mail.Flags{}, true).PermanentFlags(mail.Flags{}, false) },
			"* OK [PERMANENTFLAGS (\\*)] flags that stay\r\n* OK [PERMANENTFLAGS ()] flags that stay\r\n"},
		{func(w *Writer) {
			w.BeginFetch(23).FetchFlags(mail.NewFlags(mail.Seen), false).FetchSize(44827).FetchUID(7).EndFetch()
		}, "* 23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827 UID 7)\r\n"},
		{func(w *Writer) { w.BeginFetch(12).FetchInternalDate(date).FetchModSeq(9).EndFetch() },
			"* 12 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" MODSEQ (9))\r\n"},
		{func(w *Writer) {
			item := FetchItem{Kind: FetchSection, Section: Section{Text: SectionHeader}, Partial: true, Offset: 5, Count: 9}
			w.BeginFetch(1).FetchSection(&item, 3, strings.NewReader("abc"), false).EndFetch()
		}, "* 1 FETCH (BODY[HEADER]<5> {3}\r\nabc)\r\n"},
		{func(w *Writer) {
			item := FetchItem{Kind: FetchBinary, Section: Section{Part: []uint32{1, 2}}}
			size := FetchItem{Kind: FetchBinarySize, Section: item.Section}
			w.BeginFetch(1).FetchSection(&item, 3, strings.NewReader("a\x00c"), true).FetchBinarySize(&size, 3).
				FetchNoSection(&item).FetchSection(&item, 0, nil, true).EndFetch()
		}, "* 1 FETCH (BINARY[1.2] ~{3}\r\na\x00c BINARY.SIZE[1.2] 3 BINARY[1.2] NIL BINARY[1.2] \"\")\r\n"},
		{func(w *Writer) {
			w.BeginFetch(1).FetchStored(FetchBodyStructure, []byte("(x)")).FetchText(FetchPreview, "", false).EndFetch()
		},
			"* 1 FETCH (BODYSTRUCTURE (x) PREVIEW NIL)\r\n"},
		// RFC 9051 7.3.1, RFC 5258 5.
		{func(w *Writer) { w.List(&ListData{Attributes: []string{`\Noselect`}}) }, "* LIST (\\Noselect) \"/\" \"\"\r\n"},
		{func(w *Writer) { w.List(&ListData{Mailbox: "foo", ChildInfo: []string{"SUBSCRIBED"}}) },
			"* LIST () \"/\" \"foo\" (CHILDINFO (\"SUBSCRIBED\"))\r\n"},
		{func(w *Writer) {
			w.List(&ListData{Mailbox: "NewMailbox", Attributes: []string{`\a`, `\b`}, OldName: "OldMailbox"})
		}, "* LIST (\\a \\b) \"/\" \"NewMailbox\" (OLDNAME (\"OldMailbox\"))\r\n"},
		{func(w *Writer) { w.List(&ListData{Xlist: true, Attributes: []string{`\Inbox`}, Mailbox: mail.Inbox}) }, "* XLIST (\\Inbox) \"/\" INBOX\r\n"},
		{func(w *Writer) { w.List(&ListData{Lsub: true, Mailbox: mail.Inbox}) }, "* LSUB () \"/\" INBOX\r\n"},
		// RFC 9051 6.3.11.
		{func(w *Writer) { w.MailboxStatus("blurdybloop", StatusUIDNext|StatusMessages, &status) },
			"* STATUS \"blurdybloop\" (MESSAGES 231 UIDNEXT 44292)\r\n"},
		{func(w *Writer) { w.MailboxStatus("é", StatusSize|StatusMailboxID|StatusUIDValidity, &status) },
			"* STATUS \"&AOk-\" (UIDVALIDITY 7 SIZE 1099511627776 MAILBOXID (F1))\r\n"},
		// RFC 3501 7.2.5, RFC 7162 3.1.5.
		{func(w *Writer) { w.SearchNumbers(mail.NewUIDSet(2, 3, 6), 0) }, "* SEARCH 2 3 6\r\n"},
		{func(w *Writer) { w.SearchNumbers(mail.NewUIDSet(2, 5), 917162500) }, "* SEARCH 2 5 (MODSEQ 917162500)\r\n"},
		{func(w *Writer) { w.SearchNumbers(nil, 0) }, "* SEARCH\r\n"},
		// RFC 4731 3.1, RFC 9394 3.1.
		{func(w *Writer) {
			w.ESearch(&ESearch{Tag: "A282", Return: ReturnMin | ReturnCount, Found: mail.NewUIDSet(2, 5, 7)})
		}, "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n"},
		{func(w *Writer) {
			w.ESearch(&ESearch{Tag: "A283", UID: true, Return: ReturnAll | ReturnMax, Found: mail.NewUIDSet(2, 10, 11), ModSeq: 5})
		}, "* ESEARCH (TAG \"A283\") UID MAX 11 ALL 2,10:11 MODSEQ 5\r\n"},
		{func(w *Writer) { w.ESearch(&ESearch{Tag: "A284", Return: ReturnMin | ReturnMax | ReturnAll}) },
			"* ESEARCH (TAG \"A284\")\r\n"},
		{func(w *Writer) { // RFC 7377 3
			w.ESearch(&ESearch{Tag: "tag1", Of: SearchedMailbox{"folder2/banana", 503}, UID: true, Return: ReturnAll, Found: mail.NewUIDSet(3002, 4004)})
		}, "* ESEARCH (TAG \"tag1\" MAILBOX \"folder2/banana\" UIDVALIDITY 503) UID ALL 3002,4004\r\n"},
		{func(w *Writer) {
			e := ESearch{Tag: "A04", UID: true, Return: ReturnPartial, Partial: PartialRange{First: 24000, Last: 24500}}
			w.ESearch(&e)
			e.Partial, e.Part = PartialRange{First: 1, Last: 100, FromEnd: true}, mail.NewUIDSet(7)
			w.ESearch(&e)
		}, "* ESEARCH (TAG \"A04\") UID PARTIAL (24000:24500 NIL)\r\n* ESEARCH (TAG \"A04\") UID PARTIAL (-1:-100 7)\r\n"},
		// RFC 7162 3.2.10.
		{func(w *Writer) { w.Vanished(mail.NewUIDSet(41, 43, 44), true).Vanished(mail.NewUIDSet(5), false) },
			"* VANISHED (EARLIER) 41,43:44\r\n* VANISHED 5\r\n"},
		{func(w *Writer) { w.Continue("go on").Challenge(nil).Challenge([]byte("\x00\xff")) }, "+ go on\r\n+ \r\n+ AP8=\r\n"},
		{func(w *Writer) { w.NString("", false).SP().NString("", true).SP().AString("a]b").SP().AString("nil") },
			"NIL \"\" a]b \"nil\""},
		{func(w *Writer) {
			w.String("é").SP()
			w.UTF8 = true
			w.String("é").SP().Mailbox("&é").SP().String("\xff")
		}, "{2}\r\né \"é\" \"&é\" {1}\r\n\xff"},
		{func(w *Writer) { w.Bytes(bytes.Repeat([]byte("x"), 100)).Raw("y") }, strings.Repeat("x", 100) + "y"},
	}
	for _, test := range tests {
		if got := written(t, test.use); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

// A literal passes through the writer's buffer whatever its size and however the
// source gives it.
func TestLiteralStreams(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	for name, src := range map[string]io.Reader{
		"whole": strings.NewReader(body), "by octets": iotest.OneByteReader(strings.NewReader(body)),
		"with EOF": iotest.DataErrReader(strings.NewReader(body)), "more than told": strings.NewReader(body + "too much"),
	} {
		got := written(t, func(w *Writer) { w.Raw("* 1 FETCH (BODY[] ").Literal(10_000, src).Raw(")") })
		if got != "* 1 FETCH (BODY[] {10000}\r\n"+body+")" {
			t.Errorf("%s: %d octets", name, len(got))
		}
	}
}

func TestLiteralFails(t *testing.T) {
	disk := errors.New("disk")
	for _, test := range []struct {
		src     io.Reader
		written int64
		cause   error
	}{
		{strings.NewReader("abc"), 3, io.ErrUnexpectedEOF},
		{io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(disk)), 2, disk},
		{idle{}, 0, io.ErrNoProgress},
	} {
		var out bytes.Buffer
		w := NewWriter(&out, nil)
		w.Raw("x ").Literal(5, test.src).Raw(" y").CRLF()
		err := w.Flush()
		var literal *LiteralError
		if !errors.As(err, &literal) || !errors.Is(err, test.cause) || literal.Written != test.written || literal.Size != 5 {
			t.Errorf("%v", err)
		}
		if strings.Contains(out.String(), "y") {
			t.Errorf("%q was written after the literal", out.String())
		}
	}
}

// idle is a source that never gives anything nor says why.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// full is a connection that takes some octets and then fails.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	n := min(f.left, len(p))
	if f.left -= n; n < len(p) {
		return n, errors.New("connection lost")
	}
	return n, nil
}

func TestFirstErrorIsKept(t *testing.T) {
	w := NewWriter(&full{left: 10}, make([]byte, 0, 8))
	w.Raw("12345678").Raw("12345678").Bytes([]byte("123456789")).Literal(3, strings.NewReader("abc"))
	if err := w.Flush(); err == nil || err.Error() != "connection lost" || w.Sent() != 10 {
		t.Errorf("%v after %d", err, w.Sent())
	}
}

func TestRelease(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, make([]byte, 0, 100))
	w.Raw("abc")
	if w.Buffered() != 3 || w.Flush() != nil {
		t.Fatal(w.Err())
	}
	buf := w.Release()
	if cap(buf) != 100 || w.Buffered() != 0 {
		t.Errorf("%d octets given back", cap(buf))
	}
	w.Reset(&out, buf)
	if w.Raw("def").Flush() != nil || out.String() != "abcdef" {
		t.Errorf("%q", out.String())
	}
}

// FuzzAstringOut: what is written is read as what it was.
func FuzzAstringOut(f *testing.F) {
	for _, s := range []string{"", "a]b", "NIL", "a b", `\"`, "é", "\xff", "a\r\nb", "{5}", "&", "iNbOx", strings.Repeat("x", 2000)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, inUTF8 bool) {
		if strings.Contains(text, "\x00") || len(text) > 8000 {
			return
		}
		read := func(wire []byte, mailbox bool) string {
			// A client sends literals unasked where a server does not.
			if i := bytes.Index(wire, []byte("}\r\n")); i > 0 && wire[0] == '{' {
				wire = append(append(append([]byte{}, wire[:i]...), '+'), wire[i:]...)
			}
			r := reader("a X " + string(wire) + "\r\n")
			r.UTF8 = inUTF8
			var got string
			if _, err := r.Command(); err != nil || !r.ExpectSP() {
				t.Fatal(err, r.Err())
			}
			ok := false
			if mailbox {
				ok = r.ExpectMailbox(&got)
			} else {
				ok = r.ExpectAString(&got)
			}
			if !ok || !r.ExpectCRLF() {
				t.Fatalf("%q is written %q: %v", text, wire, r.Err())
			}
			return got
		}
		if got := read(AppendAString(nil, text), false); got != text {
			t.Fatalf("%q as an astring is read as %q", text, got)
		}
		if got := read(AppendString(nil, text, inUTF8), false); got != text {
			t.Fatalf("%q as a string is read as %q", text, got)
		}
		name, ok := decodeName([]byte(text), true)
		if !ok {
			return
		}
		want := name
		if strings.EqualFold(name, mail.Inbox) && len(name) == len(mail.Inbox) {
			want = mail.Inbox
		}
		if got := read(AppendMailbox(nil, name, inUTF8), true); got != want {
			t.Fatalf("mailbox %q is read as %q", name, got)
		}
	})
}
