package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store/embedded"
)

// BenchmarkImport imports 2,000 messages of 7 KiB from an mbox into the embedded
// store, durably.
func BenchmarkImport(b *testing.B) {
	text := benchMbox(2000)
	m := mboxFile(b, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		dir := filepath.Join(b.TempDir(), fmt.Sprint(i))
		s, err := embedded.Open(dir, embedded.Options{Reserve: -1})
		if err != nil {
			b.Fatal(err)
		}
		pool := account.NewPool(s, account.Options{Every: -1})
		im := New(Options{Pool: pool, Notes: notes{s.Shelf()}, Now: time.Now})
		b.StartTimer()
		result, err := im.Import(b.Context(), mail.AccountID(1), m, nil)
		b.StopTimer()
		if sum := result.Sum(); err != nil || sum.Messages != 2000 {
			b.Fatal(sum, err)
		}
		if err := pool.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
