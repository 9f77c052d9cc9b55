package message

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// BenchmarkParse parses the sample corpus; one operation is all of it.
func BenchmarkParse(b *testing.B) {
	benchmarkCorpus(b, func(raw string, _ *Summary) string { return raw })
}

// BenchmarkEnvelope parses only the headers of the sample corpus, which is what
// an ENVELOPE costs.
func BenchmarkEnvelope(b *testing.B) {
	benchmarkCorpus(b, func(raw string, sum *Summary) string { return raw[:sum.Root.BodyStart] })
}

func benchmarkCorpus(b *testing.B, take func(string, *Summary) string) {
	messages := corpus(b)
	delete(messages, "deep") // 100 levels are no sample of mail
	var inputs [][]byte
	var size int64
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		raw := messages[name]
		sum, err := Parse(strings.NewReader(raw), int64(len(raw)))
		if err != nil {
			b.Fatal(err)
		}
		in := take(raw, sum)
		inputs = append(inputs, []byte(in))
		size += int64(len(in))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, in := range inputs {
			p := NewParser()
			if _, err := p.Write(in); err != nil {
				b.Fatal(err)
			}
			if _, err := p.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(inputs)), "messages/op")
}

// BenchmarkParseAttachment parses a message whose body is 16 MiB of base64: the
// cost of looking for delimiters.
func BenchmarkParseAttachment(b *testing.B) {
	head := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	raw := []byte(head + strings.Repeat(strings.Repeat("A", 76)+"\r\n", 16<<20/78) + "--b--\r\n")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		p := NewParser()
		if _, err := p.Write(raw); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
