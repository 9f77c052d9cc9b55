package view

import (
	"testing"
	"unsafe"

	"postern/internal/mail"
)

// gapped is 100,000 UIDs of which every third possible one is missing, so that
// there are 50,000 runs of two.
func gapped() mail.UIDSet {
	var s mail.UIDSet
	for i := range mail.UID(50_000) {
		s = s.AppendRange(mail.UIDRange{First: 3*i + 1, Last: 3*i + 2})
	}
	return s
}

func BenchmarkResolveAll(b *testing.B) {
	for _, bb := range []struct {
		name string
		uids mail.UIDSet
	}{{"gaps=0", span(1, 100_000)}, {"gaps=50000", gapped()}} {
		v := New(bb.uids, 1)
		all := numbers(1, mail.Star)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				uids, err := v.Resolve(all, false)
				if err != nil || uids.Len() != 100_000 {
					b.Fatal(uids.Len(), err)
				}
			}
		})
	}
}

func BenchmarkNumberedAll(b *testing.B) {
	v := New(gapped(), 1)
	all := v.UIDs()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range v.Numbered(all) {
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkAdvanceOneArrival(b *testing.B) {
	v := New(gapped(), 1)
	at, next := mail.ModSeq(1), v.MaxUID()
	b.ReportAllocs()
	for b.Loop() {
		at, next = at+1, next+1
		v.Advance(mail.Delta{At: at, Added: span(next, next)}, noon)
		if t := v.Tell(false); !t.NewExists {
			b.Fatal("nothing new")
		}
	}
}

func BenchmarkExpungeInTheMiddle(b *testing.B) {
	v := New(gapped(), 1)
	at := mail.ModSeq(1)
	b.ReportAllocs()
	for b.Loop() {
		u, ok := v.UID(v.Len() / 2)
		if !ok {
			b.StopTimer()
			v = New(gapped(), at)
			b.StartTimer()
			continue
		}
		at++
		v.Advance(mail.Delta{At: at, Expunged: span(u, u)}, noon)
		if t := v.Tell(true); t.Vanished.Len() != 1 {
			b.Fatal("not told")
		}
	}
}

// BenchmarkMemory reports the bytes a view of 100,000 messages holds at rest.
func BenchmarkMemory(b *testing.B) {
	for _, bb := range []struct {
		name string
		uids mail.UIDSet
	}{{"gaps=0", span(1, 100_000)}, {"gaps=50000", gapped()}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var v *View
			for b.Loop() {
				v = New(bb.uids, 1)
			}
			b.ReportMetric(float64(unsafe.Sizeof(*v)+uintptr(cap(v.uids))*unsafe.Sizeof(run{})), "bytes/view")
		})
	}
}
