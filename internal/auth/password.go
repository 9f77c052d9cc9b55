package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"

	"postern/internal/mail"
)

// MaxPassword is the longest password, in octets as it was sent. It is checked
// before any work is done with it.
const MaxPassword = 1024

// Argon2 is the cost of an argon2id hash (RFC 9106).
type Argon2 struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8
}

// DefaultArgon2 is the smallest cost that OWASP's Password Storage Cheat Sheet
// recommends: 19 MiB, two passes, one thread. More would buy little against
// guessing, which the number of tries stops, and cost every login: this is some
// 20 ms of one core, and the memory is that of one login at a time per core.
func DefaultArgon2() Argon2 { return Argon2{Memory: 19 * 1024, Time: 2, Threads: 1} }

// Sizes of what we make, and the bounds of what we accept when it was made
// elsewhere: a damaged record must not take all the memory there is.
const (
	saltSize   = 16
	keySize    = 32
	maxMemory  = 256 << 10 // KiB
	maxPasses  = 64
	maxThreads = 16
	minSalt    = 8 // RFC 9106 3.1
	maxSalt    = 64
	minKey     = 16
	maxKey     = 64
)

// preparePassword brings a password into the form that is hashed (OpaqueString,
// RFC 8265 4.2): NFC, other spaces as the plain one, case kept, nothing trimmed. It
// is false for one that cannot be anybody's: empty, too long, not UTF-8, with
// control characters.
func preparePassword(s string) (string, bool) {
	if s == "" || len(s) > MaxPassword || !utf8.ValidString(s) {
		return "", false
	}
	p, err := precis.OpaqueString.String(s)
	return p, err == nil
}

// hashed is an argon2id hash with what it was made of.
type hashed struct {
	cost Argon2
	salt []byte
	key  []byte
}

func newHash(cost Argon2, prepared string) hashed {
	h := hashed{cost: cost, salt: make([]byte, saltSize)}
	rand.Read(h.salt) // never fails: crypto/rand ends the program rather
	h.key = h.derive(prepared, keySize)
	return h
}

func (h hashed) derive(prepared string, size int) []byte {
	return argon2.IDKey([]byte(prepared), h.salt, h.cost.Time, h.cost.Memory, h.cost.Threads, uint32(size))
}

// matches takes the same time whether it does or not.
func (h hashed) matches(prepared string) bool {
	return subtle.ConstantTimeCompare(h.derive(prepared, len(h.key)), h.key) == 1
}

// String gives the PHC string, as other programs write and read it:
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (h hashed) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.cost.Memory, h.cost.Time, h.cost.Threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

var errHash = errors.New("not an argon2id hash in PHC form, or one beyond our limits")

// parseHash reads what String gives, and nothing else.
func parseHash(s string) (hashed, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return hashed{}, errHash
	}
	var h hashed
	for _, f := range []struct {
		name  string
		limit uint64
		set   func(uint64)
	}{
		{"m=", maxMemory, func(n uint64) { h.cost.Memory = uint32(n) }},
		{"t=", maxPasses, func(n uint64) { h.cost.Time = uint32(n) }},
		{"p=", maxThreads, func(n uint64) { h.cost.Threads = uint8(n) }},
	} {
		var field string
		field, part[3], _ = strings.Cut(part[3], ",")
		text, ok := strings.CutPrefix(field, f.name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || n == 0 || n > f.limit {
			return hashed{}, errHash
		}
		f.set(n)
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(part[4])
	h.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(part[5])
	if part[3] != "" || saltErr != nil || keyErr != nil ||
		len(h.salt) < minSalt || len(h.salt) > maxSalt || len(h.key) < minKey || len(h.key) > maxKey ||
		h.String() != s { // leading zeros and the like
		return hashed{}, errHash
	}
	return h, nil
}

// SetPassword gives the record of an account with a new password: its hash, and
// keys for SCRAM that were derived with so many iterations (0: none). record is the
// present one, nil for a new account. A password that we do not take is
// mail.Invalid, with a text that says why.
func SetPassword(record []byte, password string, cost Argon2, iterations int) ([]byte, error) {
	c, err := ParseCredentials(record)
	if err != nil {
		return nil, err
	}
	switch {
	case password == "":
		return nil, mail.Errorf(mail.Invalid, "the password is empty")
	case len(password) > MaxPassword:
		return nil, mail.Errorf(mail.Invalid, "the password is longer than %d octets", MaxPassword)
	}
	prepared, ok := preparePassword(password)
	if !ok {
		return nil, mail.Errorf(mail.Invalid, "the password has characters that cannot be typed everywhere: control characters, or no valid UTF-8")
	}
	c.setPassword(prepared, cost, iterations)
	return c.Encode(), nil
}

// setPassword puts a password in the place of whatever there was.
func (c *Credentials) setPassword(prepared string, cost Argon2, iterations int) {
	c.Password = newHash(cost, prepared).String()
	c.fields = slices.DeleteFunc(c.fields, func(f field) bool { return f.tag == tagImported })
	if iterations > 0 {
		c.setField(tagScram, newScramKeys(prepared, max(iterations, leastIterations)).encode(c.Password))
	}
}
