package account

import (
	"context"
	"runtime"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/embedded"
	"postern/internal/store/storetest"
)

// The benchmarks run over the memory driver unless they say otherwise: what they
// measure is the model. The embedded driver's own are in package embedded.

const benchRows = 100_000

// benchBox makes an account whose INBOX has 100,000 messages with some variety of
// flags, saved in pages. The messages share bodies' summaries by COPY, so that it
// is made quickly.
func benchBox(b testing.TB, s store.Store) *Pool {
	b.Helper()
	p := NewPool(s, Options{Every: -1})
	a := openIn(b, p, 7)
	inbox := box(b, a, "INBOX")
	ctx := context.Background()
	c, err := p.Keep(ctx, newReader(mailText(1)))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := inbox.Append(ctx, []NewMessage{{Content: c, Flags: mail.NewFlags(mail.Seen)}}); err != nil {
		b.Fatal(err)
	}
	sl := sel(b, inbox)
	for n := 1; n < benchRows; {
		done, err := sl.Copy(ctx, span(1, mail.UID(min(n, benchRows-n))), inbox)
		if err != nil {
			b.Fatal(err)
		}
		n += done.To.Len()
	}
	for i, f := range []mail.Flags{mail.NewFlags(mail.Answered), mail.NewFlags(mail.Flagged), mail.NewFlags(0, "$Junk")} {
		var uids mail.UIDSet
		for uid := mail.UID(i + 1); uid <= benchRows; uid += mail.UID(7 + i) {
			uids = uids.Append(uid)
		}
		if _, err := sl.StoreFlags(ctx, StoreRequest{UIDs: uids, Op: mail.AddFlags, Flags: f}); err != nil {
			b.Fatal(err)
		}
	}
	sl.Close()
	saveNow(b, a)
	a.Release()
	b.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func closed(b *testing.B, p *Pool) {
	b.Helper()
	if err := p.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkScanRows is what FETCH 1:* (UID FLAGS) asks of this package: rows in
// batches and the text of their flags.
func BenchmarkScanRows(b *testing.B) {
	p := benchBox(b, storetest.Memory())
	s := sel(b, box(b, openIn(b, p, 7), "INBOX"))
	buf := make([]Row, 0, 256)
	b.ReportAllocs()
	octets := 0
	for b.Loop() {
		rest := everything
		for len(rest) > 0 {
			var rows []Row
			rows, rest = s.Rows(buf, rest)
			for i := range rows {
				octets += len(s.FlagText(rows[i].Flags))
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkSelectWarm(b *testing.B) {
	p := benchBox(b, storetest.Memory())
	m := box(b, openIn(b, p, 7), "INBOX")
	hold := sel(b, m)
	defer hold.Close()
	b.ReportAllocs()
	for b.Loop() {
		sel(b, m).Close()
	}
}

// BenchmarkSelectCold opens the account, then the mailbox, from pages.
func BenchmarkSelectCold(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchSelectCold(b, storetest.Memory()) })
	b.Run("embedded", func(b *testing.B) { benchSelectCold(b, openEmbedded(b)) })
}

func openEmbedded(b *testing.B) store.Store {
	s, err := embedded.Open(b.TempDir(), embedded.Options{Reserve: -1, Ballast: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func benchSelectCold(b *testing.B, st store.Store) {
	closed(b, benchBox(b, st))
	b.ReportAllocs()
	for b.Loop() {
		p := NewPool(st, Options{Every: -1})
		s := sel(b, box(b, openIn(b, p, 7), "INBOX"))
		if s.Start().UIDs.Len() != benchRows {
			b.Fatal(s.Start().UIDs)
		}
		s.Close()
		b.StopTimer()
		closed(b, p)
		b.StartTimer()
	}
}

// BenchmarkAppend64 is 64 sessions that append to one mailbox at once: on the
// memory driver, and durably.
func BenchmarkAppend64(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchAppend(b, storetest.Memory()) })
	b.Run("embedded", func(b *testing.B) { benchAppend(b, openEmbedded(b)) })
}

func benchAppend(b *testing.B, s store.Store) {
	p := NewPool(s, Options{Every: -1})
	defer closed(b, p)
	inbox := box(b, openIn(b, p, 7), "INBOX")
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := p.Keep(ctx, newReader(mailText(1)))
			if err == nil {
				_, err = inbox.Append(ctx, []NewMessage{{Content: c}})
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkStoreAll is STORE 1:* +FLAGS and its undoing, in turns.
func BenchmarkStoreAll(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchStoreAll(b, storetest.Memory()) })
	b.Run("embedded", func(b *testing.B) { benchStoreAll(b, openEmbedded(b)) })
}

func benchStoreAll(b *testing.B, st store.Store) {
	p := benchBox(b, st)
	s := sel(b, box(b, openIn(b, p, 7), "INBOX"))
	op := mail.AddFlags
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.StoreFlags(context.Background(), StoreRequest{UIDs: everything, Op: op, Flags: mail.NewFlags(mail.Draft)})
		if err != nil || r.Changed.Len() != benchRows {
			b.Fatal(r, err)
		}
		op = mail.AddFlags + mail.RemoveFlags - op
	}
}

// BenchmarkDelta asks for one change in 100,000 messages, as every session that
// has the mailbox selected does: from the ring, and by comparing rows.
func BenchmarkDelta(b *testing.B) {
	p := benchBox(b, storetest.Memory())
	s := sel(b, box(b, openIn(b, p, 7), "INBOX"))
	told := s.Start().UIDs
	flip(b, s, 5, 1)
	for name, since := range map[string]mail.ModSeq{"ring": s.Start().At, "rows": s.Start().At - 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := s.Delta(since, told); d.Changed.Empty() {
					b.Fatal(d)
				}
			}
		})
	}
}

func heap() float64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkMemory prints what 100,000 loaded rows and an idle open account take.
func BenchmarkMemory(b *testing.B) {
	mem := storetest.Memory()
	deaf := &gated{Store: mem} // as a store that nobody else writes to
	closed(b, benchBox(b, mem))
	for b.Loop() {
		p := NewPool(deaf, Options{Every: -1})
		m := box(b, openIn(b, p, 7), "INBOX")
		before := heap()
		s := sel(b, m)
		b.ReportMetric((heap()-before)/benchRows, "B/row")
		s.Close()
		const accounts = 1000
		for id := range mail.AccountID(accounts) {
			openIn(b, p, 1000+id).Release()
		}
		closed(b, p)
		p = NewPool(deaf, Options{Every: -1})
		before = heap()
		for id := range mail.AccountID(accounts) {
			openIn(b, p, 1000+id)
		}
		b.ReportMetric((heap()-before)/accounts, "B/account")
		closed(b, p)
	}
}
