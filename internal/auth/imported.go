package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"postern/internal/mail"
)

// An imported password is one as another server kept it: whoever moves in keeps
// their password, and the first time they sign in with it it is hashed anew as
// our own are (Authenticator.rehash). The notation is Dovecot's, which other
// servers read and write too: {SCHEME}text, or {SCHEME.b64} and {SCHEME.hex} for
// text that is encoded once more.

// imported compares passwords with what another server kept of one. Passwords
// are octets here, as the client sent them: nobody prepared them then.
type imported struct {
	scheme  string
	matches func(password []byte) bool
	sees    int // it looks at so many octets of a password; 0: at all
}

// Bounds of what one try at a password may cost: a line of a file must not stop
// the server. Each is some seconds' work at most.
const (
	mostCryptRounds  = 5_000_000
	mostPBKDF2Rounds = 5_000_000
	mostBcrypt       = 15
	bcryptSees       = 72
	mostImported     = 2048 // octets of text
)

// saw reports whether it has looked at the whole of a password that it matched: of
// what it did not see, nobody knows that it is right.
func (p *imported) saw(password string) bool { return p.sees == 0 || len(password) <= p.sees }

// schemes are those that can be compared with. Those that Dovecot has and that are not
// here say why in schemesLeft.
var schemes = map[string]func(text string) (func(password []byte) bool, error){
	"ARGON2": argon2Scheme, "ARGON2I": argon2Scheme, "ARGON2ID": argon2Scheme,
	"BLF-CRYPT": bcryptScheme, "SHA512-CRYPT": shacryptScheme("$6$"), "SHA256-CRYPT": shacryptScheme("$5$"),
	"MD5-CRYPT": md5cryptScheme, "MD5": md5cryptScheme, "CRYPT": cryptScheme,
	"SHA": digestScheme(sha1.New, false), "SHA1": digestScheme(sha1.New, false), "SSHA": digestScheme(sha1.New, true),
	"SHA256": digestScheme(sha256.New, false), "SSHA256": digestScheme(sha256.New, true),
	"SHA512": digestScheme(sha512.New, false), "SSHA512": digestScheme(sha512.New, true),
	"PLAIN-MD5": digestScheme(md5.New, false), "LDAP-MD5": digestScheme(md5.New, false), "SMD5": digestScheme(md5.New, true),
	"PBKDF2": pbkdf2Scheme, "SCRAM-SHA-256": scramScheme(sha256.New), "SCRAM-SHA-1": scramScheme(sha1.New),
	"CRAM-MD5": cramScheme, "HMAC-MD5": cramScheme,
}

// plainSchemes are passwords themselves.
var plainSchemes = []string{"PLAIN", "CLEAR", "CLEARTEXT"}

var schemesLeft = map[string]string{
	"DES-CRYPT":   "it looks at eight characters of a password, so that others would get in too",
	"PLAIN-TRUNC": "it looks at the beginning of a password, so that others would get in too",
	"LANMAN":      "it knows no small letters, so that others would get in too",
	"DIGEST-MD5":  "it is made of the name and a realm too",
	"OTP":         "its passwords are good once", "SKEY": "its passwords are good once",
}

// splitScheme takes {SCHEME.encoding} off what a password was kept as; standard is the
// scheme where there is none.
func splitScheme(kept, standard string) (scheme, text string, err error) {
	scheme, text = standard, kept
	if rest, braced := strings.CutPrefix(kept, "{"); braced {
		var closed bool
		if scheme, text, closed = strings.Cut(rest, "}"); !closed {
			return "", "", mail.Errorf(mail.Invalid, "the scheme has no closing brace")
		}
	}
	scheme, encoded, _ := strings.Cut(strings.ToUpper(scheme), ".")
	if _, raw := digestSizes[scheme]; raw && encoded != "" {
		// Of these the text is an encoding of octets anyhow: this says which.
		text = strings.ToLower(encoded) + ":" + text
		encoded = ""
	}
	var octets []byte
	switch encoded {
	case "":
		return scheme, text, nil
	case "B64", "BASE64":
		octets, err = base64.StdEncoding.DecodeString(text)
	case "HEX":
		octets, err = hex.DecodeString(text)
	default:
		return "", "", mail.Errorf(mail.Invalid, "there is no encoding %q", encoded)
	}
	if err != nil {
		return "", "", mail.Errorf(mail.Invalid, "the text is not in the encoding %s", encoded)
	}
	return scheme, string(octets), nil
}

// parseImported reads what another server kept of a password that is not the password itself.
func parseImported(scheme, text string) (imported, error) {
	compare, known := schemes[scheme]
	switch {
	case len(text) > mostImported:
		return imported{}, mail.Errorf(mail.Invalid, "the password's hash is longer than %d octets", mostImported)
	case known:
		matches, err := compare(text)
		if err != nil {
			return imported{}, mail.Errorf(mail.Invalid, "the password's hash is not what the scheme %s makes: %s", scheme, err)
		}
		p := imported{scheme: scheme, matches: matches}
		if strings.HasPrefix(text, "$2") {
			p.sees = bcryptSees
		}
		return p, nil
	case schemesLeft[scheme] != "":
		return imported{}, mail.Errorf(mail.Invalid, "the scheme %s is not taken over: %s", scheme, schemesLeft[scheme])
	}
	return imported{}, mail.Errorf(mail.Invalid, "the scheme %s is not known", strconv.Quote(scheme))
}

// SetImported gives the record of an account with a password as another server
// kept it, in Dovecot's notation; standard is the scheme where the text names none,
// with Dovecot "CRYPT". record is as for SetPassword. A password that was kept as
// it is becomes a hash like those of SetPassword at once, with the cost and
// iterations of it; all others do when they are first right. What cannot be taken over is
// mail.Invalid, with a text that says why and has nothing of the password.
func SetImported(record []byte, kept, standard string, cost Argon2, iterations int) ([]byte, error) {
	scheme, text, err := splitScheme(kept, standard)
	if err != nil {
		return nil, err
	}
	if slices.Contains(plainSchemes, scheme) {
		return SetPassword(record, text, cost, iterations)
	}
	if _, err := parseImported(scheme, text); err != nil {
		return nil, err
	}
	c, err := ParseCredentials(record)
	if err != nil {
		return nil, err
	}
	c.Password = ""
	c.fields = slices.DeleteFunc(c.fields, func(f field) bool { return f.tag == tagPassword || f.tag == tagScram })
	c.setField(tagImported, scheme+"}"+text)
	return c.Encode(), nil
}

// imported gives the password that was taken over and has not been hashed anew yet. It
// counts only where there is no other: a program that knows nothing of it may have
// set one since. One that cannot be read is nobody's password.
func (c *Credentials) imported() (imported, bool) {
	if c.Password != "" {
		return imported{}, false
	}
	for _, f := range c.fields {
		if f.tag == tagImported {
			scheme, text, _ := strings.Cut(f.value, "}")
			p, err := parseImported(scheme, text)
			return p, err == nil
		}
	}
	return imported{}, false
}

// ImportedScheme gives the scheme of a password that was taken over and with which nobody has
// signed in yet; "" if there is none.
func ImportedScheme(record []byte) string {
	c, err := ParseCredentials(record)
	if err != nil {
		return ""
	}
	p, _ := c.imported()
	return p.scheme
}

// A fault is what is wrong with a hash. It never has any of the hash in it.
type fault string

func (f fault) Error() string { return string(f) }

const (
	errForm = fault("it has another form")
	errCost = fault("one try would take this server too long")
)

// cryptScheme is what crypt(3) reads: the text says of itself what it is.
func cryptScheme(text string) (func([]byte) bool, error) {
	switch {
	case strings.HasPrefix(text, "$1$"):
		return md5cryptScheme(text)
	case strings.HasPrefix(text, "$2"):
		return bcryptScheme(text)
	case strings.HasPrefix(text, "$5$"):
		return shacryptScheme("$5$")(text)
	case strings.HasPrefix(text, "$6$"):
		return shacryptScheme("$6$")(text)
	case strings.HasPrefix(text, "$argon2"):
		return argon2Scheme(text)
	case strings.HasPrefix(text, "$y$"), strings.HasPrefix(text, "$gy$"), strings.HasPrefix(text, "$7$"):
		return nil, fault("yescrypt and scrypt are not taken over")
	case len(text) == 13 && !strings.HasPrefix(text, "$"):
		return nil, fault("it is of DES, which looks at eight characters of a password, so that others would get in too")
	}
	return nil, errForm
}

func argon2Scheme(text string) (func([]byte) bool, error) {
	derive := argon2.IDKey
	if rest, is := strings.CutPrefix(text, "$argon2i$"); is {
		derive = argon2.Key
		text = "$argon2id$" + rest // which is all that differs
	}
	h, err := parseHash(text)
	if err != nil {
		return nil, fault("it has another form, or one try would take more than 256 MiB")
	}
	if uint64(h.cost.Memory)*uint64(h.cost.Time) > 2<<20 { // KiB
		return nil, errCost
	}
	return func(password []byte) bool {
		key := derive(password, h.salt, h.cost.Time, h.cost.Memory, h.cost.Threads, uint32(len(h.key)))
		return subtle.ConstantTimeCompare(key, h.key) == 1
	}, nil
}

func bcryptScheme(text string) (func([]byte) bool, error) {
	cost, err := bcrypt.Cost([]byte(text))
	switch {
	case err != nil || len(text) != 60:
		return nil, errForm
	case cost > mostBcrypt:
		return nil, errCost
	case !strings.HasPrefix(text, "$2a$") && !strings.HasPrefix(text, "$2b$") && !strings.HasPrefix(text, "$2y$"):
		return nil, errForm // $2x$ is another algorithm
	}
	return func(password []byte) bool { return bcrypt.CompareHashAndPassword([]byte(text), password) == nil }, nil
}

func shacryptScheme(prefix string) func(string) (func([]byte) bool, error) {
	return func(text string) (func([]byte) bool, error) {
		rest, ok := strings.CutPrefix(text, prefix)
		if !ok {
			return nil, errForm
		}
		if given, is := strings.CutPrefix(rest, "rounds="); is {
			given, _, _ = strings.Cut(given, "$")
			if n, err := strconv.ParseUint(given, 10, 64); err != nil || n > mostCryptRounds {
				return nil, errCost
			}
		}
		return byLibrary(shacrypt.Decode(text))
	}
}

func md5cryptScheme(text string) (func([]byte) bool, error) {
	if !strings.HasPrefix(text, "$1$") {
		return nil, errForm
	}
	return byLibrary(md5crypt.Decode(text))
}

func byLibrary(d algorithm.Digest, err error) (func([]byte) bool, error) {
	if err != nil {
		return nil, errForm // the library's words have the hash in them
	}
	return d.MatchBytes, nil
}

// digestSizes are the schemes that are a digest, perhaps with a salt behind it.
var digestSizes = map[string]int{
	"SHA": sha1.Size, "SHA1": sha1.Size, "SSHA": sha1.Size, "SHA256": sha256.Size, "SSHA256": sha256.Size,
	"SHA512": sha512.Size, "SSHA512": sha512.Size, "PLAIN-MD5": md5.Size, "LDAP-MD5": md5.Size, "SMD5": md5.Size,
}

// digestScheme is a digest of the password, and of a salt that stands behind it. In
// hexadecimal or in base64: digits of the one that have the length for it are not
// of the other.
func digestScheme(algorithm func() hash.Hash, salted bool) func(string) (func([]byte) bool, error) {
	size := algorithm().Size()
	return func(text string) (func([]byte) bool, error) {
		encoded, rest, explicit := strings.Cut(text, ":")
		if !explicit {
			encoded, rest = "b64", text
			if !salted && len(text) == hex.EncodedLen(size) {
				encoded = "hex"
			}
		}
		var sum []byte
		var err error
		switch encoded {
		case "hex":
			sum, err = hex.DecodeString(rest)
		case "b64", "base64":
			sum, err = base64.StdEncoding.DecodeString(rest)
		default:
			return nil, errForm
		}
		if err != nil || len(sum) < size || !salted && len(sum) != size {
			return nil, errForm
		}
		want, salt := sum[:size], sum[size:]
		return func(password []byte) bool {
			h := algorithm()
			h.Write(password)
			h.Write(salt)
			return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
		}, nil
	}
}

// pbkdf2Scheme is $1$SALT$ROUNDS$KEY, by HMAC-SHA-1, the salt as its letters and the key in hexadecimal.
func pbkdf2Scheme(text string) (func([]byte) bool, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 || part[0] != "" || part[1] != "1" || part[2] == "" {
		return nil, errForm
	}
	rounds, err := strconv.ParseUint(part[3], 10, 32)
	key, keyErr := hex.DecodeString(part[4])
	switch {
	case err != nil || keyErr != nil || rounds == 0 || len(key) != sha1.Size:
		return nil, errForm
	case rounds > mostPBKDF2Rounds:
		return nil, errCost
	}
	return func(password []byte) bool {
		made, err := pbkdf2.Key(sha1.New, string(password), []byte(part[2]), int(rounds), len(key))
		return err == nil && subtle.ConstantTimeCompare(made, key) == 1
	}, nil
}

// scramScheme is ITERATIONS,SALT,STOREDKEY,SERVERKEY, all but the first in base64
// (RFC 5802 3).
func scramScheme(algorithm func() hash.Hash) func(string) (func([]byte) bool, error) {
	return func(text string) (func([]byte) bool, error) {
		part := strings.Split(text, ",")
		if len(part) != 4 {
			return nil, errForm
		}
		rounds, err := strconv.ParseUint(part[0], 10, 32)
		salt, saltErr := base64.StdEncoding.DecodeString(part[1])
		stored, storedErr := base64.StdEncoding.DecodeString(part[2])
		switch {
		case err != nil || saltErr != nil || storedErr != nil || rounds == 0 || len(salt) == 0 || len(stored) != algorithm().Size():
			return nil, errForm
		case rounds > mostPBKDF2Rounds:
			return nil, errCost
		}
		return func(password []byte) bool {
			salted, err := pbkdf2.Key(algorithm, string(password), salt, int(rounds), algorithm().Size())
			if err != nil {
				return false
			}
			client := hmac.New(algorithm, salted)
			client.Write([]byte("Client Key"))
			h := algorithm()
			h.Write(client.Sum(nil))
			return subtle.ConstantTimeCompare(h.Sum(nil), stored) == 1
		}, nil
	}
}

// cramScheme is what HMAC-MD5 keeps of its key between messages: the states of MD5 after
// the outer and the inner pad (RFC 2195 2 tells servers to keep that), in hexadecimal.
func cramScheme(text string) (func([]byte) bool, error) {
	want, err := hex.DecodeString(text)
	if err != nil || len(want) != 2*md5.Size {
		return nil, errForm
	}
	return func(password []byte) bool {
		if len(password) > md5.BlockSize {
			sum := md5.Sum(password)
			password = sum[:]
		}
		states := append(md5AfterPad(password, 0x5c), md5AfterPad(password, 0x36)...)
		return subtle.ConstantTimeCompare(states, want) == 1
	}, nil
}

// md5AfterPad gives MD5's state after a block of a key and a pad, its words in MD5's own order of octets.
func md5AfterPad(key []byte, pad byte) []byte {
	block := bytes.Repeat([]byte{pad}, md5.BlockSize)
	subtle.XORBytes(block, block, key)
	h := md5.New()
	h.Write(block)
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	const magic = len("md5\x01")
	if err != nil || len(state) < magic+md5.Size {
		panic("crypto/md5 keeps its state otherwise") // the tests would have found it
	}
	out := make([]byte, 0, md5.Size)
	for word := range slices.Chunk(state[magic:magic+md5.Size], 4) {
		out = binary.LittleEndian.AppendUint32(out, binary.BigEndian.Uint32(word))
	}
	return out
}
