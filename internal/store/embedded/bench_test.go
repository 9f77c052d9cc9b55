package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// The benchmarks of docs/performance.md, "The embedded store". They run on a
// real file system with default settings but for the ballast; point TMPDIR to
// the disk that is meant.

func benchStore(b *testing.B) *Store {
	b.Helper()
	return openStore(b, b.TempDir(), Options{Ballast: -1})
}

// written is what a process has sent to the disk so far, as the kernel counts.
func written() (n int64, ok bool) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n, true
		}
	}
	return 0, false
}

// cpu is the processor time of this process so far, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// reportWrites reports, once everything is flushed, what was written for the
// octets that were to be stored.
func reportWrites(b *testing.B, s *Store, before int64, stored int64) {
	b.Helper()
	must(b, s.db.Flush())
	m := s.db.Metrics()
	total := m.Total()
	logical := float64(m.WAL.BytesWritten) + float64(total.TableBytesFlushed) + float64(total.TableBytesCompacted)
	b.ReportMetric(logical/float64(stored), "logical-amp")
	if now, ok := written(); ok {
		b.ReportMetric(float64(now-before)/float64(stored), "device-amp")
	}
}

// BenchmarkDeliver64 is W1 of the study: 64 deliverers, 10 KB bodies that do not
// compress, 400 octets of summary, each delivery durable before the next. With
// one account, deliveries that wait are committed together, as package account
// does it.
func BenchmarkDeliver64(b *testing.B) {
	for _, accounts := range []int{1000, 1} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) { benchDeliver(b, accounts) })
	}
}

func benchDeliver(b *testing.B, accounts int) {
	const deliverers, size = 64, 10 << 10
	s := benchStore(b)
	bodies := make([][]byte, 64)
	for i := range bodies {
		bodies[i] = noise(uint64(i), size)
	}
	commits := make([]*committer, accounts)
	for i := range commits {
		commits[i] = &committer{a: s.Account(mail.AccountID(i + 1)), b: b}
	}
	before, _ := written()
	busy := cpu()
	b.ReportAllocs()
	b.SetBytes(size)
	b.ResetTimer()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range deliverers {
		workers.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				ref, _, err := s.Bodies().Put(b.Context(), bytes.NewReader(bodies[n%64]))
				if err != nil {
					b.Error(err)
					return
				}
				if err := commits[n%int64(accounts)].deliver(ref, bodies[n%64][:400]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mail/s")
	reportWrites(b, s, before, int64(b.N)*size)
	b.ReportMetric((cpu()-busy)/float64(b.N)*1000, "cpu-s/1000")
}

// committer commits what waits for one account together: whoever finds no commit
// under way makes it for all that came meanwhile.
type committer struct {
	a    store.Account
	b    *testing.B
	mu   sync.Mutex
	busy bool
	head mail.ModSeq
	wait []*waiting
}

type waiting struct {
	ref     mail.BodyRef
	summary []byte
	done    chan error
}

func (c *committer) deliver(ref mail.BodyRef, summary []byte) error {
	w := &waiting{ref, summary, make(chan error, 1)}
	c.mu.Lock()
	c.wait = append(c.wait, w)
	if c.busy {
		c.mu.Unlock()
		return <-w.done
	}
	c.busy = true
	for len(c.wait) > 0 {
		batch := c.wait
		c.wait = nil
		c.mu.Unlock()
		err := c.commit(batch)
		for _, w := range batch {
			w.done <- err
		}
		c.mu.Lock()
	}
	c.busy = false
	c.mu.Unlock()
	return <-w.done
}

func (c *committer) commit(batch []*waiting) error {
	e := store.Entry{Last: c.head + mail.ModSeq(len(batch)), Record: make([]byte, 30*len(batch))}
	for i, w := range batch {
		e.Take = append(e.Take, w.ref)
		e.Summaries = append(e.Summaries, store.Summary{ID: mail.MessageID(c.head) + mail.MessageID(i) + 1, Data: w.summary})
	}
	err := c.a.Commit(c.b.Context(), c.head, e)
	if err == nil {
		c.head = e.Last
	}
	return err
}

// BenchmarkFlags64 is W2 with a log: 64 sessions, each changes one flag durably,
// in accounts of their own.
func BenchmarkFlags64(b *testing.B) {
	s := benchStore(b)
	record := noise(1, 17)
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var workers sync.WaitGroup
	for i := range 64 {
		workers.Go(func() {
			a := s.Account(mail.AccountID(i + 1))
			for head := mail.ModSeq(0); next.Add(1) <= int64(b.N); head++ {
				if err := a.Commit(b.Context(), head, store.Entry{Last: head + 1, Record: record}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	must(b, s.db.Flush())
	m := s.db.Metrics()
	total := m.Total()
	b.ReportMetric((float64(m.WAL.BytesWritten)+float64(total.TableBytesFlushed)+float64(total.TableBytesCompacted))/float64(b.N), "logical-B/op")
}

// BenchmarkTouch2000 is W8: 2,000 accounts touched in turn. An operation is all
// of them; the metric is what the heap holds more afterwards.
func BenchmarkTouch2000(b *testing.B) {
	const accounts = 2000
	s := benchStore(b)
	for id := mail.AccountID(1); id <= accounts; id++ {
		appendTo(b, s, id, store.Entry{Record: noise(uint64(id), 100)})
		must(b, s.Account(id).Save(b.Context(), store.Save{Scopes: []store.ScopeSave{{Now: 1, Head: noise(uint64(id), 500)}}}))
	}
	must(b, s.db.Flush())
	s.heads.of = map[mail.AccountID]*head{}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for id := mail.AccountID(1); id <= accounts; id++ {
			a := s.Account(id)
			if head, err := a.Head(b.Context()); err != nil || head != 1 {
				b.Fatal(head, err)
			}
			must(b, a.Heads(b.Context(), func(store.Head) error { return nil }))
		}
	}
	b.StopTimer()
	b.ReportMetric(max(0, heap()-before)/accounts, "held-B/account")
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		b.ReportMetric(float64(len(fds)), "fds")
	}
}

var benchSizes = []int{1 << 10, 10 << 10, 64 << 10, 256 << 10, 256<<10 + 1, 1 << 20, 5 << 20}

// BenchmarkPut stores bodies one after another, each with the commit that takes
// it.
func BenchmarkPut(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := benchStore(b)
			data := noise(1, size)
			before, _ := written()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for n := range mail.ModSeq(b.N) {
				ref := put(b, s, data)
				must(b, s.Account(1).Commit(b.Context(), n, store.Entry{Last: n + 1, Take: []mail.BodyRef{ref}}))
			}
			b.StopTimer()
			reportWrites(b, s, before, int64(b.N)*int64(size))
		})
	}
}

// BenchmarkOpen reads whole bodies in pieces of 32 KiB, out of tables and files
// the kernel has in memory.
func BenchmarkOpen(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := benchStore(b)
			refs := make([]mail.BodyRef, 64)
			for i := range refs {
				refs[i] = put(b, s, noise(uint64(i), size))
			}
			must(b, s.db.Flush())
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				body, err := s.Bodies().Open(b.Context(), refs[n%64])
				must(b, err)
				for off := int64(0); off < body.Size(); {
					m, err := body.ReadAt(buf, off)
					if m == 0 {
						b.Fatal(err)
					}
					off += int64(m)
				}
				must(b, body.Close())
			}
		})
	}
}

// BenchmarkLoad100k loads the pages of a mailbox of 100,000 messages: 25 pages of
// 31 KB, which is 7.8 octets a row.
func BenchmarkLoad100k(b *testing.B) {
	for _, cold := range []bool{false, true} {
		b.Run(fmt.Sprintf("reopened=%v", cold), func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(dir, Options{Ballast: -1})
			must(b, err)
			ss := store.ScopeSave{Scope: 1, Now: 1, Head: noise(1, 100)}
			for i := range uint64(25) {
				ss.Put = append(ss.Put, store.Page{PageKey: store.PageKey{Kind: 1, Low: i * 4096}, Data: noise(i, 31200)})
			}
			must(b, s.Account(1).Save(b.Context(), store.Save{Scopes: []store.ScopeSave{ss}}))
			must(b, s.db.Flush())
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if cold {
					b.StopTimer()
					must(b, s.Close())
					if s, err = Open(dir, Options{Ballast: -1}); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				n := 0
				_, err := s.Account(1).Load(b.Context(), 1, 1, func(_ uint64, data []byte) error { n += len(data); return nil })
				if err != nil || n != 25*31200 {
					b.Fatal(n, err)
				}
			}
			b.StopTimer()
			must(b, s.Close())
		})
	}
}

// BenchmarkSince replays a tail of 10,000 records of 70 octets.
func BenchmarkSince(b *testing.B) {
	s := benchStore(b)
	a := s.Account(1)
	for n := range mail.ModSeq(10000) {
		batch, err := account{s, 1}.entryBatch(store.Entry{Last: n + 1, Record: noise(uint64(n), 70)}, nil, nil)
		must(b, errors.Join(err, s.write(batch, nil)))
	}
	must(b, s.db.Flush())
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		n := 0
		for _, err := range a.Since(b.Context(), 0) {
			must(b, err)
			n++
		}
		if n != 10000 {
			b.Fatal(n)
		}
	}
}
