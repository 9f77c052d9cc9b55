package imapserver

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"

	"postern/internal/account"
	"postern/internal/mail"
)

// bench is a session that has signed in to an account whose INBOX holds n
// messages.
type bench struct {
	b    *testing.B
	w    *world
	s    *session
	conn *pipe
}

func newBench(b *testing.B, n int) *bench {
	w := newServer(b, nil)
	ctx := context.Background()
	acc, err := w.pool.Open(ctx, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer acc.Release()
	inbox, err := acc.Mailbox(mail.Inbox, mail.RightInsert)
	if err != nil {
		b.Fatal(err)
	}
	content, err := w.pool.Keep(ctx, strings.NewReader(sample(1)))
	if err != nil {
		b.Fatal(err)
	}
	defer content.Abandon(ctx)
	flags := []mail.Flags{{System: mail.Seen}, {}, mail.NewFlags(mail.Seen|mail.Answered, "$Work"), {System: mail.Flagged}}
	var batch []account.NewMessage
	for i := range n {
		batch = append(batch, account.NewMessage{Content: content, Flags: flags[i%len(flags)], Date: mail.InternalDate(i) << 20})
		if len(batch) == 5000 || i == n-1 {
			if _, err := inbox.Append(ctx, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	t := &bench{b: b, w: w, conn: &pipe{in: bytes.NewReader(nil), private: true, discard: true}}
	t.s = newSession(ctx, w.server, t.conn)
	t.do("LOGIN ada@example.org secret")
	return t
}

// do has the session carry out one command.
func (t *bench) do(command string) {
	t.conn.in.Reset([]byte("x " + command + "\r\n"))
	if end := t.s.next(); end != nil {
		t.b.Fatalf("%s: %s", command, end.reason)
	}
	if t.s.badInRow > 0 {
		t.b.Fatalf("%s: BAD", command)
	}
}

func (t *bench) close() {
	t.s.finish(&ending{reason: endLogout})
	t.w.closeStore(context.Background())
}

func (t *bench) run(command string, messages int) {
	t.b.ReportAllocs()
	before := t.s.link.bytesOut
	n := 0
	for t.b.Loop() {
		t.do(command)
		n++
	}
	t.b.ReportMetric(float64(t.b.Elapsed().Nanoseconds())/float64(n)/float64(messages), "ns/item")
	t.b.SetBytes(int64(t.s.link.bytesOut-before) / int64(n))
	t.close()
}

const many = 100_000

func BenchmarkFetchFlags100k(b *testing.B) {
	t := newBench(b, many)
	t.do("EXAMINE INBOX")
	t.do("NOOP")
	t.run("FETCH 1:* (UID FLAGS)", many)
}

func BenchmarkFetchEnvelope10k(b *testing.B) {
	t := newBench(b, many/10)
	t.do("EXAMINE INBOX")
	t.run("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", many/10)
}

func BenchmarkFetchBody1k(b *testing.B) {
	t := newBench(b, 1000)
	t.do("EXAMINE INBOX")
	t.run("FETCH 1:* (UID BODY.PEEK[])", 1000)
}

func BenchmarkSelect100k(b *testing.B) {
	t := newBench(b, many)
	t.do("SELECT INBOX")
	t.run("SELECT INBOX", 1)
}

func BenchmarkSearchFlags100k(b *testing.B) {
	t := newBench(b, many)
	t.do("EXAMINE INBOX")
	t.run("UID SEARCH UNSEEN SINCE 1-Jan-1970", many)
}

func BenchmarkStore100k(b *testing.B) {
	t := newBench(b, many)
	t.do("SELECT INBOX")
	on := false
	for b.Loop() {
		if on = !on; on {
			t.do(`STORE 1:* +FLAGS.SILENT (\Deleted)`)
		} else {
			t.do(`STORE 1:* -FLAGS.SILENT (\Deleted)`)
		}
	}
	t.close()
}

func BenchmarkNoop(b *testing.B) {
	t := newBench(b, 10)
	t.do("SELECT INBOX")
	t.run("NOOP", 1)
}

// BenchmarkIdleSession measures what a session in IDLE keeps in memory beside its
// connection and its goroutine: B/session.
func BenchmarkIdleSession(b *testing.B) {
	t := newBench(b, 1000)
	const sessions = 1000
	var before, after runtime.MemStats
	for b.Loop() {
		idlers := make([]*session, sessions)
		conns := make([]pipe, sessions)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range idlers {
			conns[i] = pipe{in: bytes.NewReader([]byte("a LOGIN ada@example.org secret\r\nb EXAMINE INBOX\r\n")), private: true, discard: true}
			idlers[i] = newSession(context.Background(), t.w.server, &conns[i])
			t.w.server.census.open[1] = 0 // as many as we like
			for range 2 {
				if end := idlers[i].next(); end != nil {
					b.Fatal(end.reason)
				}
			}
			idlers[i].release()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/session")
		for _, s := range idlers {
			s.finish(&ending{reason: endLogout})
		}
		t.w.server.census.open[1] = 1
	}
	t.close()
}
