package search

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/message"
)

func mustCompile(b *testing.B, c mail.Criteria) *Program {
	b.Helper()
	p, err := Compile(c, env)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkRows searches 100,000 rows, as SEARCH UNSEEN and its like do.
func BenchmarkRows(b *testing.B) {
	rows := make([]mail.Message, 100_000)
	for i := range rows {
		rows[i] = mail.Message{UID: mail.UID(i + 1), ModSeq: mail.ModSeq(i + 1), Size: uint32(i), Date: mail.InternalDate(i) << 24}
		if i%10 != 0 {
			rows[i].Flags.System = mail.Seen
		}
		if i%7 == 0 {
			rows[i].Flags.Keywords = []string{"$Forwarded", "$Label1", "work"}
		}
	}
	for _, bb := range []struct {
		name string
		c    mail.Criteria
	}{
		{"UNSEEN", unflag(mail.Seen)},
		{"KEYWORD", keyword("Work", false)},
		{"UNSEEN UNDELETED SINCE", all(unflag(mail.Seen), unflag(mail.Deleted), dated(mail.SearchSince, day(1971, 1, 1)))},
		{"UNSEEN TEXT", all(unflag(mail.Seen), flag(mail.Flagged), text("x"))},
	} {
		p := mustCompile(b, bb.c)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				var row Row
				for i := range rows {
					row.Message = rows[i]
					if p.MatchRow(&row) == Yes {
						n++
					}
				}
				if n == len(rows) {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkBody searches one message of 1 MiB for a string that is not there.
func BenchmarkBody(b *testing.B) {
	for _, bb := range []struct{ name, line string }{
		{"ASCII", "The quick brown fox jumps over the lazy dog, again and again.\r\n"},
		{"French", "Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter.\r\n"},
		{"Russian", "Съешь же ещё этих мягких французских булок, да выпей чаю.\r\n"},
		{"Chinese", "視野無限廣，窗外有藍天。微風迎客，軟語伴茶。\r\n"},
	} {
		raw := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat(bb.line, 1<<20/len(bb.line))
		summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
		if err != nil {
			b.Fatal(err)
		}
		for _, keys := range []int{1, 8} {
			var c []mail.Criteria
			for i := range keys {
				c = append(c, body(fmt.Sprintf("again and %d never", i)))
			}
			e := mustCompile(b, either(c...)).Evaluator()
			source := &fixed{summary, strings.NewReader(raw)}
			b.Run(fmt.Sprintf("%s/keys=%d", bb.name, keys), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					if ok, err := e.Match(b.Context(), &Row{}, source); ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
	}
}

// BenchmarkSubject searches a Summary that is at hand.
func BenchmarkSubject(b *testing.B) {
	raw := "From: Ann Example <ann@example.com>\r\nSubject: Minutes of the last meeting\r\n\r\n"
	summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		b.Fatal(err)
	}
	e := mustCompile(b, either(header("Subject", "never"), header("From", "nobody"))).Evaluator()
	source := &fixed{summary, strings.NewReader(raw)}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := e.Match(b.Context(), &Row{}, source); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
