package imapwire

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/message"
)

// repeat gives its text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

func BenchmarkRead(b *testing.B) {
	var (
		login  LoginArgs
		sel    SelectArgs
		fetch  FetchArgs
		store  StoreArgs
		search SearchArgs
		list   ListArgs
	)
	readFetch := func(r *Reader) bool { return r.ExpectFetchArgs(&fetch) }
	for _, bench := range []struct {
		name, line string
		args       func(r *Reader) bool
	}{
		{"NOOP", `a002 NOOP`, (*Reader).ExpectCRLF},
		{"LOGIN", `a001 LOGIN "user@example.org" "correct horse battery"`,
			func(r *Reader) bool { return r.ExpectLoginArgs(&login) }},
		{"SELECT", `a002 SELECT INBOX`, func(r *Reader) bool { return r.ExpectSelectArgs(&sel) }},
		{"FETCH flags", `a003 UID FETCH 1:* (FLAGS)`, readFetch},
		{"FETCH list", `a004 UID FETCH 40:45,47 (UID FLAGS INTERNALDATE RFC822.SIZE ` +
			`BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO CC)])`, readFetch},
		{"STORE", `a005 UID STORE 4827313 +FLAGS.SILENT (\Seen $Forwarded)`,
			func(r *Reader) bool { return r.ExpectStoreArgs(&store) }},
		{"SEARCH", `a006 UID SEARCH RETURN (ALL) OR FROM "smith" SUBJECT "meeting" UNSEEN SINCE 1-Feb-1994`,
			func(r *Reader) bool { return r.ExpectSearchArgs(&search) }},
		{"LIST", `a007 LIST "" "*"`, func(r *Reader) bool { return r.ExpectListArgs(&list) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := NewReader(bufio.NewReader(&repeat{text: bench.line + "\r\n"}), LoggedIn(1<<20), nil)
			b.SetBytes(int64(len(bench.line) + 2))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Command(); err != nil || !bench.args(r) {
					b.Fatal(err, r.Err())
				}
			}
		})
	}
}

// The longest way through a mailbox: a FETCH response for each message.
func BenchmarkFetchUIDFlags(b *testing.B) {
	flags := mail.NewFlags(mail.Seen|mail.Answered, "$Forwarded")
	w := NewWriter(io.Discard, make([]byte, 0, 16<<10))
	b.ReportAllocs()
	var n uint32
	for b.Loop() {
		n++
		w.BeginFetch(n).FetchUID(mail.UID(n+5000)).FetchFlags(flags, false).EndFetch()
	}
	b.SetBytes(w.Sent() / int64(max(n, 1)))
}

func TestFetchUIDFlagsTakesNoMemory(t *testing.T) {
	flags := mail.NewFlags(mail.Seen, "$Forwarded")
	w := NewWriter(io.Discard, make([]byte, 0, 4<<10))
	var n uint32
	if allocs := testing.AllocsPerRun(1000, func() {
		n++
		w.BeginFetch(n).FetchUID(mail.UID(n)).FetchFlags(flags, true).FetchModSeq(7).FetchSize(9).FetchInternalDate(5).EndFetch()
	}); allocs > 0 {
		t.Errorf("%v allocations for each message", allocs)
	}
}

func BenchmarkEnvelope(b *testing.B) {
	s := parseBytes(b, []byte("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"+
		"Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"+
		"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: <B27397-0100000@cac.washington.ed>\r\n\r\n"))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendEnvelope(dst[:0], &s.Envelope)
	}
}

func BenchmarkBodyStructure(b *testing.B) {
	part := &message.Part{Type: "MULTIPART", Subtype: "MIXED", Params: []message.Param{{Name: "BOUNDARY", Value: "q"}}}
	for range 5 {
		part.Parts = append(part.Parts, &message.Part{Type: "TEXT", Subtype: "PLAIN", Encoding: "7BIT", BodyEnd: 100})
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = AppendBodyStructure(dst[:0], part)
	}
}

// 200 wildcards over 10,000 names of 1,024 octets: one operation is all of it.
func BenchmarkListMatch(b *testing.B) {
	for name, pattern := range map[string]string{
		"star": "*", "percent": "%", "starpercent": strings.Repeat("*%", 100) + "a", "stars": strings.Repeat("*a", 200) + "b",
	} {
		b.Run(name, func(b *testing.B) {
			p := NewPattern("", pattern)
			mailbox := strings.Repeat("a", 1024)
			b.ReportAllocs()
			for b.Loop() {
				for range 10_000 {
					p.Match(mailbox)
				}
			}
		})
	}
}
