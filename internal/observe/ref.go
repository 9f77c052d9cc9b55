package observe

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"log/slog"
)

// Ref leads from what a client was shown to the log line that explains it:
//
//	a7 NO [SERVERBUG] something went wrong here (ref K7M2Q4TX)
//
// It is eight characters of an alphabet that survives a telephone call, random,
// and says nothing about the fault.
type Ref string

// refAlphabet has no I, L, O or U (Crockford's base 32).
const refAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewRef gives a fresh reference of 40 random bits.
func NewRef() Ref { return Ref(random(5)) }

// NewSession gives a name for a connection: 60 random bits, so that the log of
// years holds no two.
func NewSession() string { return random(10)[:12] }

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program rather
	return base32.NewEncoding(refAlphabet).WithPadding(base32.NoPadding).EncodeToString(b)
}

// Fault logs an internal error with its whole chain under a fresh reference and
// gives the reference, which is all that the client is shown.
func Fault(ctx context.Context, log *slog.Logger, msg string, err error, attrs ...slog.Attr) Ref {
	ref := NewRef()
	attrs = append([]slog.Attr{slog.String(KeyRef, string(ref)), Error(err)}, attrs...)
	log.LogAttrs(ctx, slog.LevelError, msg, attrs...)
	return ref
}
