package bench

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// corpus makes mail out of a seed: the same letter for the same number, whenever and wherever it is asked for. So
// what a server must answer is known without keeping what it was given.
type corpus struct {
	seed  uint64
	mean  int // octets of a letter
	words []string
	run   string // names the run in a header of every letter
}

// letter is one message.
type letter struct {
	raw     []byte
	header  string // the header, encoded words undone
	text    string // the body's text, transfer encoding undone
	subject string
	date    time.Time
	seen    bool
}

const (
	vocabulary  = 30000
	maxText     = 5 << 10 // octets of a letter that are words; the rest is an attachment
	leastLetter = 700
	sigma       = 1.0 // of the logarithm of the sizes: a few letters are long, most are short
)

// mimeWords stand in the headers of parts, where BODY finds them or not as the server likes; no needle is part of it.
const mimeWords = "this is a multi-part message content-type text/plain charset utf-8 multipart/mixed boundary " +
	"content-transfer-encoding quoted-printable base64 application/octet-stream name content-disposition attachment " +
	"filename mime-version from to subject date message-id references in-reply-to x-postern-bench example.org bench"

var syllables = strings.Fields("ba be bo da de du fa fi ga go ha he ka ki ko la le lu ma mi mo na ne no pa pe ra re ri ro sa se so ta te to va vi wa zo zu")

func newCorpus(seed uint64, mean int, run string) *corpus {
	c := &corpus{seed: seed, mean: mean, run: run, words: make([]string, 0, vocabulary)}
	rng := rand.New(rand.NewPCG(seed, 0))
	known := map[string]bool{}
	for len(c.words) < vocabulary {
		var w strings.Builder
		for range 2 + rng.IntN(3) + len(c.words)/(vocabulary/2) { // common words are short
			w.WriteString(syllables[rng.IntN(len(syllables))])
		}
		if !known[w.String()] {
			known[w.String()] = true
			c.words = append(c.words, w.String())
		}
	}
	return c
}

func (c *corpus) rng(i int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed^purpose<<56, uint64(i)+1))
}

// size draws the size of a letter: log-normal around the mean.
func (c *corpus) size(rng *rand.Rand) int {
	mu := math.Log(float64(c.mean)) - sigma*sigma/2
	return min(max(int(math.Exp(rng.NormFloat64()*sigma+mu)), leastLetter), 20*c.mean)
}

// letter makes letter i, from 0.
func (c *corpus) letter(i int) letter {
	rng := c.rng(i, 1)
	return c.write(i, rng, c.size(rng))
}

// exact makes letter i of exactly size octets, which is more than leastLetter twice.
func (c *corpus) exact(i, size int) letter {
	const line = 66
	rng := c.rng(i, 2)
	l := c.write(i, rng, leastLetter)
	for rest := size - len(l.raw); rest > 0; rest = size - len(l.raw) {
		n := min(line, rest)
		if left := rest - n; left > 0 && left < 2 {
			n -= 2 // a line is its CRLF at least
		}
		for range n - 2 {
			l.raw = append(l.raw, byte('a'+rng.IntN(26)))
		}
		l.raw = append(l.raw, "\r\n"...)
	}
	return l
}

// parent is the letter that letter i answers, -1 for none.
func (c *corpus) parent(i int) int {
	rng := c.rng(i, 3)
	if i == 0 || rng.IntN(10) < 6 {
		return -1
	}
	return max(i-1-rng.IntN(50), 0)
}

func (c *corpus) id(i int) string { return fmt.Sprintf("<%d.%x@bench.example.org>", i, c.seed) }

func (c *corpus) write(i int, rng *rand.Rand, size int) letter {
	zipf := rand.NewZipf(rng, 1.2, 8, vocabulary-1)
	word := func() string { return c.words[zipf.Uint64()] }
	l := letter{seen: rng.IntN(2) == 0}
	l.date = time.Date(2025, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i)*time.Minute + time.Duration(rng.IntN(14*24*3600))*time.Second)
	subject := []string{word(), word(), word(), word()}
	if rng.IntN(4) == 0 {
		subject = append(subject, "für", word())
	}
	l.subject = strings.Join(subject, " ")
	from, to := word(), word()
	var head strings.Builder
	fmt.Fprintf(&head, "From: %s %s <%s@%s.example.org>\r\nTo: %s <%s@bench.example.org>\r\n", from, word(), from, word(), to, to)
	fmt.Fprintf(&head, "Date: %s\r\nMessage-ID: %s\r\nX-Postern-Bench: %s\r\n", l.date.Format(time.RFC1123Z), c.id(i), c.run)
	c.references(&head, i)
	l.header = head.String() + "Subject: " + l.subject + "\r\n"
	fmt.Fprintf(&head, "Subject: %s\r\nMIME-Version: 1.0\r\n", mime.QEncoding.Encode("utf-8", l.subject))
	encoding := []string{"7bit", "quoted-printable", "base64"}[rng.IntN(3)]
	l.text = prose(rng, word, min(max(size-head.Len()-200, 60), maxText/2+rng.IntN(maxText/2)), encoding != "7bit")
	l.raw = assemble(head.String(), l.text, encoding, size, rng)
	return l
}

// references writes the ids of up to five letters before this one in its conversation.
func (c *corpus) references(w *strings.Builder, i int) {
	parent := c.parent(i)
	if parent < 0 {
		return
	}
	fmt.Fprintf(w, "In-Reply-To: %s\r\nReferences:", c.id(parent))
	var chain []string
	for at := parent; at >= 0 && len(chain) < 5; at = c.parent(at) {
		chain = append(chain, c.id(at))
	}
	for k := len(chain) - 1; k >= 0; k-- {
		fmt.Fprintf(w, "\r\n %s", chain[k])
	}
	w.WriteString("\r\n")
}

// prose is about n octets of words in lines.
func prose(rng *rand.Rand, word func() string, n int, beyondASCII bool) string {
	var b strings.Builder
	column := 0
	for b.Len() < n {
		w := word()
		if rng.IntN(12) == 0 {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		if beyondASCII && rng.IntN(40) == 0 {
			w += " – süß"
		}
		b.WriteString(w)
		if column += len(w) + 1; column > 68 {
			b.WriteString("\r\n")
			column = 0
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

// assemble puts a message together, with an attachment if the text does not fill it.
func assemble(head, text, encoding string, size int, rng *rand.Rand) []byte {
	var b bytes.Buffer
	b.Grow(size + 1024)
	b.WriteString(head)
	rest := size - b.Len() - len(text) - 500
	if rest < 400 {
		textPart(&b, text, encoding)
		return b.Bytes()
	}
	const boundary = "=_postern_bench_boundary"
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n--%s\r\n", boundary, boundary)
	textPart(&b, text, encoding)
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/octet-stream; name=\"data.bin\"\r\n"+
		"Content-Disposition: attachment; filename=\"data.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary)
	data := make([]byte, rest/78*57)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	base64Lines(&b, data)
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

func textPart(b *bytes.Buffer, text, encoding string) {
	fmt.Fprintf(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", encoding)
	switch encoding {
	case "7bit":
		b.WriteString(text)
	case "base64":
		base64Lines(b, []byte(text))
	default:
		w := quotedprintable.NewWriter(b)
		_, _ = w.Write([]byte(text)) // into memory
		_ = w.Close()
	}
}

func base64Lines(b *bytes.Buffer, data []byte) {
	for len(data) > 0 {
		n := min(57, len(data))
		b.WriteString(base64.StdEncoding.EncodeToString(data[:n]))
		b.WriteString("\r\n")
		data = data[n:]
	}
}
