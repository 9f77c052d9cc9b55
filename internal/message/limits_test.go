package message

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeater is a long message that is never in memory: head, then body as often
// as it takes to pass size bytes.
type repeater struct {
	head, body string
	size       int
}

func (r repeater) reader() io.Reader {
	n := max(0, r.size-len(r.head)) / len(r.body)
	pieces := &pieceReader{piece: r.body, left: n}
	return io.MultiReader(strings.NewReader(r.head), pieces)
}

type pieceReader struct {
	piece string
	off   int
	left  int
}

func (p *pieceReader) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && p.left > 0 {
		m := copy(b[n:], p.piece[p.off:])
		n += m
		if p.off += m; p.off == len(p.piece) {
			p.off, p.left = 0, p.left-1
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Hostile messages cost work in proportion to their length and memory within
// the limits. Both are counted, not timed: steps of the parser, and bytes that
// are still in use when it has read all.
func TestHostileMessages(t *testing.T) {
	size := 2 << 20
	if !testing.Short() {
		size = 16 << 20
	}
	nest := func(n int, piece func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(piece(i))
		}
		return b.String()
	}
	open100 := nest(MaxDepth-1, func(i int) string {
		return fmt.Sprintf("Content-Type: multipart/mixed; boundary=a%02d\n\n--a%02d\n", i, i)
	}) + "\n"
	tests := []struct {
		name      string
		message   repeater
		truncated bool
	}{
		{"one line", repeater{"\n", "x", size}, false},
		{"header line", repeater{"Subject: ", "x", size}, true},
		{"folded header", repeater{"To: a", "\n ,b@c", size}, true},
		{"header names", repeater{"", "x", size}, false},
		{"many fields", repeater{"", "X-A: b\n", size}, false},
		{"many subjects", repeater{"", "Subject: b\n", size}, false},
		{"many senders", repeater{"", "From: a@b, c\n", size}, true},
		{"group", repeater{"To: g:", "a@b.example,", size}, true},
		{"empty elements", repeater{"To: ", ",", size}, true},
		{"comments", repeater{"To: ", "(", size}, true},
		{"comments, angles", repeater{"To: ", "<(a)\"", size}, true},
		{"brackets", repeater{"To: ", "[", size}, true},
		{"parameters", repeater{"Content-Type: a/b", ";a=b", size}, true},
		{"parameter comments", repeater{"Content-Type: a/b", ";a(", size}, true},
		{"segments", repeater{"Content-Type: a/b", ";a*1=b", size}, true},
		{"quotes", repeater{"Content-Type: a/b", ";a=\"\\\"", size}, true},
		{"languages", repeater{"Content-Language: ", "a,", size}, true},
		{"boundary", repeater{"Content-Type: multipart/mixed; boundary=", "x", size}, true},
		{"parts", repeater{"Content-Type: multipart/mixed; boundary=b\n\n", "--b\n", size}, true},
		{"parts with headers", repeater{"Content-Type: multipart/mixed; boundary=b\n\n", "--b\nContent-Type: a/b; c=d\nContent-ID: <" + strings.Repeat("x", 100) + ">\n\n", size}, true},
		{"messages", repeater{"", "Content-Type: message/rfc822\n\n", size}, true},
		{"digest of digests", repeater{"", "Content-Type: multipart/digest; boundary=b\n\n--b\n\n", size}, true},
		{"multiparts with one boundary", repeater{"", "Content-Type: multipart/mixed; boundary=b\n\n--b\n", size}, true},
		{"lines that may be delimiters", repeater{open100, "--\n", size}, false},
		{"lines that are almost delimiters", repeater{open100, "--a\n", size}, false},
		{"long lines that are almost delimiters", repeater{open100, "--a" + strings.Repeat("x", 1000) + "\n", size}, false},
		{"outer delimiters", repeater{open100, "--a00\n", size}, true},
		{"bare CRs", repeater{"", "\r", size}, false},
		{"NULs", repeater{"", "\x00", size}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := NewParser()
			before := liveHeap()
			n, err := io.CopyBuffer(p, onlyReader{test.message.reader()}, make([]byte, 32<<10))
			if err != nil {
				t.Fatal(err)
			}
			sum, err := p.Close()
			if err != nil {
				t.Fatal(err)
			}
			if used := liveHeap() - before; used > 16<<20 {
				t.Errorf("%d MiB in use", used>>20)
			}
			runtime.KeepAlive(p)
			checkSummary(t, sum, n)
			if limit := n*4 + 100*sum.Lines; p.steps > limit {
				t.Errorf("%d steps for %d bytes in %d lines", p.steps, n, sum.Lines)
			}
			if sum.Truncated != test.truncated {
				t.Errorf("Truncated %v", sum.Truncated)
			}
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// At the limit everything is there, one beyond it not.
func TestDepthLimit(t *testing.T) {
	for depth := MaxDepth - 1; depth <= MaxDepth+1; depth++ {
		var b strings.Builder
		for range depth - 1 {
			b.WriteString("Content-Type: message/rfc822\n\n")
		}
		b.WriteString("Content-Type: text/html\n\nx")
		sum := parseRaw(t, b.String())
		got := 1
		p := sum.Root
		for ; len(p.Parts) > 0; p = p.Parts[0] {
			got++
		}
		want, subtype := depth, "HTML"
		if depth > MaxDepth {
			want, subtype = MaxDepth, "OCTET-STREAM"
		}
		if got != want || p.Subtype != subtype || sum.Truncated != (depth > MaxDepth) {
			t.Errorf("%d levels: depth %d, %s, truncated %v", depth, got, p.Subtype, sum.Truncated)
		}
	}
}

func TestPartsLimit(t *testing.T) {
	for parts := MaxParts - 1; parts <= MaxParts+1; parts++ {
		raw := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n", parts-1) + "--b--\n"
		sum := parseRaw(t, raw)
		last := sum.Root.Parts[len(sum.Root.Parts)-1]
		want, subtype := parts-1, "PLAIN"
		if parts >= MaxParts {
			want, subtype = MaxParts-1, "OCTET-STREAM"
		}
		if got := len(sum.Root.Parts); got != want || last.Subtype != subtype || sum.Truncated != (parts >= MaxParts) {
			t.Errorf("%d parts: %d, the last %s, truncated %v", parts, got+1, last.Subtype, sum.Truncated)
		}
		if parts >= MaxParts && last.BodyEnd != int64(len(raw)) {
			t.Errorf("%d parts: the last ends at %d of %d", parts, last.BodyEnd, len(raw))
		}
	}
}

func TestFieldLimit(t *testing.T) {
	for n := MaxField - 1; n <= MaxField+1; n++ {
		sum := parseRaw(t, "Subject:"+strings.Repeat("x", n)+"\nTo: a@b\n\n")
		if got, want := len(sum.Envelope.Subject.Value), min(n, MaxField); got != want || sum.Truncated != (n > MaxField) {
			t.Errorf("%d bytes: %d kept, truncated %v", n, got, sum.Truncated)
		}
		if len(sum.Envelope.To) != 1 {
			t.Errorf("%d bytes: the next field is lost", n)
		}
	}
}

func TestBoundaryLimit(t *testing.T) {
	for n := MaxBoundary - 1; n <= MaxBoundary+1; n++ {
		b := strings.Repeat("b", n)
		sum := parseRaw(t, "Content-Type: multipart/mixed; boundary="+b+"\n\n--"+b+"\n\nx\n--"+b+"--\n")
		want := int64(1)
		if n > MaxBoundary {
			want = 0 // the empty part of a multipart without boundary
		}
		if got := sum.Root.Parts[0].Size(); got != want || len(sum.Root.Parts) != 1 {
			t.Errorf("%d bytes: a part of %d bytes", n, got)
		}
	}
}

func TestTotalLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
	for range 30 {
		b.WriteString("--b\nContent-Type: a/b")
		for i := range MaxParams {
			fmt.Fprintf(&b, ";p%d=x", i)
		}
		b.WriteString("\n\n")
	}
	sum := parseRaw(t, b.String())
	params := 0
	sum.Walk(func(_ []uint32, p *Part) bool { params += len(p.Params); return true })
	if params != MaxAllParams || !sum.Truncated {
		t.Errorf("%d parameters, truncated %v", params, sum.Truncated)
	}
	// The address budget is shared by all envelopes of the message.
	message := "To: " + strings.Repeat("a@b,", MaxAddresses*2/3) + "\nContent-Type: message/rfc822\n\n"
	sum = parseRaw(t, message+message)
	inner := sum.Root.Envelope.To
	if len(inner)+len(sum.Envelope.To) != MaxAddresses {
		t.Errorf("%d and %d addresses", len(sum.Envelope.To), len(inner))
	}
}
