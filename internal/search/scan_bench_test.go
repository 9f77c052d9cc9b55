package search

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"

	"postern/internal/message"
)

// BenchmarkScan searches letters of some 6 KB, as they are written, for a string that is in none.
func BenchmarkScan(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 5000 {
		for range 2 + rng.IntN(6) {
			text.WriteByte(byte('a' + rng.IntN(26)))
		}
		if rng.IntN(40) == 0 {
			text.WriteString(" – süß")
		}
		text.WriteString([]string{" ", " ", " ", " ", " ", "\r\n"}[rng.IntN(6)])
	}
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	fmt.Fprint(w, text.String())
	w.Close()
	var b64 strings.Builder
	for data := []byte(text.String()); len(data) > 0; {
		n := min(57, len(data))
		b64.WriteString(base64.StdEncoding.EncodeToString(data[:n]) + "\r\n")
		data = data[n:]
	}
	ascii := strings.ReplaceAll(text.String(), " – süß", "")
	for _, bb := range []struct{ encoding, charset, text string }{
		{"7bit", "us-ascii", ascii}, {"7bit", "utf-8", ascii}, {"8bit", "utf-8", text.String()}, {"quoted-printable", "utf-8", qp.String()}, {"base64", "utf-8", b64.String()},
	} {
		raw := "Subject: x\r\nContent-Type: text/plain; charset=" + bb.charset + "\r\nContent-Transfer-Encoding: " + bb.encoding + "\r\n\r\n" + bb.text
		summary, err := message.Parse(strings.NewReader(raw), int64(len(raw)))
		if err != nil {
			b.Fatal(err)
		}
		for _, what := range []string{"qxbabeq", "süßer"} {
			e := mustCompile(b, body(what)).Evaluator()
			source := &fixed{summary, strings.NewReader(raw)}
			b.Run(bb.encoding+"/"+bb.charset+"/"+what, func(b *testing.B) {
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
