package terms

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var (
	be64    = binary.BigEndian.Uint64
	be32    = binary.BigEndian.Uint32
	putBE32 = binary.BigEndian.PutUint32
)

// prose is about n octets of words, of which few are frequent.
func prose(rng *rand.Rand, n int) string {
	zipf := rand.NewZipf(rng, 1.2, 8, 30_000)
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "W%X ", zipf.Uint64()*2654435761%(1<<28))
	}
	return b.String()
}

// BenchmarkBuild makes a segment of 1,000 messages with 2 KB of text each.
func BenchmarkBuild(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var texts [][]byte
	octets := 0
	for range 1000 {
		texts = append(texts, []byte(prose(rng, 2<<10)))
		octets += len(texts[len(texts)-1])
	}
	b.SetBytes(int64(octets))
	var out bytes.Buffer
	for b.Loop() {
		builder := NewBuilder(1)
		for i, text := range texts {
			builder.Begin(uint64(i + 1))
			builder.Text(0, text)
			builder.EndText(0)
		}
		out.Reset()
		if err := builder.Write(&out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len())/float64(octets)*100, "%size")
}

// BenchmarkFind looks for strings in a segment of 20,000 messages whose terms are in memory.
func BenchmarkFind(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	builder := NewBuilder(1)
	for i := range 20_000 {
		builder.Begin(uint64(i + 1))
		builder.Text(0, []byte(prose(rng, 1<<10)))
		builder.EndText(0)
	}
	var out bytes.Buffer
	if err := builder.Write(&out); err != nil {
		b.Fatal(err)
	}
	s, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		b.Fatal(err)
	}
	for _, needle := range []string{"W", "W7A", "NOWHERE", "5A31B6", "W1 W"} {
		b.Run(needle, func(b *testing.B) {
			n := NewNeedle([]byte(needle), false)
			for b.Loop() {
				may, sure := NewSet(s.Messages()), NewSet(s.Messages())
				if err := s.Find(n, 0, may, sure); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
