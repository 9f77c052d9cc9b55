package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"postern/internal/mail"
)

// SCRAM (RFC 5802, 7677) signs in without showing the password: the server keeps
// keys that were derived from it, and the client proves that it could derive them
// too. With -PLUS the proof is bound to this TLS connection (RFC 9266), so that
// nobody in the middle can pass it on.

const (
	mechScram     = "SCRAM-SHA-256"
	mechScramPlus = "SCRAM-SHA-256-PLUS"
	plusSuffix    = "-PLUS"
)

// DefaultIterations is how often a SCRAM client hashes (OWASP's Password Storage
// Cheat Sheet for PBKDF2-HMAC-SHA-256): whoever steals the keys has to do the same
// for each guess. It takes a client some tenths of a second.
const DefaultIterations = 600_000

// leastIterations is what keys are at least worth to be used; RFC 7677 4 has 4096,
// which was too little long ago.
const leastIterations = 10_000

// scramKeys are what is kept of a password for SCRAM.
type scramKeys struct {
	iterations int
	salt       []byte
	stored     []byte
	server     []byte
}

// The record's field: a version octet (1), the iterations as a uvarint, then salt,
// StoredKey and ServerKey, and the beginning of the SHA-256 of the password's hash
// as it stands beside. A program that changes the password and knows nothing of
// SCRAM leaves keys of the old one behind; by the last part they are known to be
// none any more.
const (
	scramVersion = 1
	scramBinding = 16
)

func newScramKeys(prepared string, iterations int) scramKeys {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails: crypto/rand ends the program rather
	client, err := scram.SHA256.NewClientUnprepped("", prepared, "")
	var c scram.StoredCredentials
	if err == nil {
		c, err = client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	}
	if err != nil {
		panic(err) // nothing is prepared and the factors are good: there is nothing to fail
	}
	return scramKeys{iterations, salt, c.StoredKey, c.ServerKey}
}

func (k scramKeys) encode(password string) string {
	b := binary.AppendUvarint([]byte{scramVersion}, uint64(k.iterations))
	b = append(append(append(b, k.salt...), k.stored...), k.server...)
	sum := sha256.Sum256([]byte(password))
	return string(append(b, sum[:scramBinding]...))
}

// scramKeysOf gives the keys that go with the password, if there are any.
func (c *Credentials) scramKeysOf() (scramKeys, bool) {
	for _, f := range c.fields {
		if f.tag != tagScram || len(f.value) == 0 || f.value[0] != scramVersion {
			continue
		}
		b := []byte(f.value[1:])
		n, size := binary.Uvarint(b)
		if size <= 0 || n < leastIterations || n > 1<<31-1 || len(b)-size != saltSize+2*sha256.Size+scramBinding {
			return scramKeys{}, false
		}
		salt, b := b[size:size+saltSize], b[size+saltSize:]
		stored, server, binding := b[:sha256.Size], b[sha256.Size:2*sha256.Size], b[2*sha256.Size:]
		sum := sha256.Sum256([]byte(c.Password))
		return scramKeys{int(n), salt, stored, server}, subtle.ConstantTimeCompare(binding, sum[:scramBinding]) == 1
	}
	return scramKeys{}, false
}

// HasKeys reports whether the account of a record can sign in by SCRAM. It is true
// of one that has no password, and so cannot sign in with one at all.
func HasKeys(record []byte) bool {
	c, err := ParseCredentials(record)
	if err != nil {
		return true
	}
	if c.Password == "" {
		_, has := c.imported() // keys are made of it when it is first right
		return !has
	}
	_, ok := c.scramKeysOf()
	return ok
}

// nobodysKeys are shown for users that do not exist, or have no keys: salt and
// iterations as somebody's would be, the same each time (RFC 5802 7, number 48 of
// the test matrix), and keys that no proof fits.
func (a *Authenticator) nobodysKeys(name string) scramKeys {
	h := hmac.New(sha256.New, a.saltKey)
	h.Write([]byte(name))
	iterations := a.iterations
	if iterations == 0 {
		iterations = DefaultIterations
	}
	k := scramKeys{max(iterations, leastIterations), h.Sum(nil)[:saltSize], make([]byte, sha256.Size), make([]byte, sha256.Size)}
	rand.Read(k.stored)
	rand.Read(k.server)
	return k
}

// scramExchange is the server's side of one exchange.
type scramExchange struct {
	auth    *Authenticator
	peer    Peer
	plus    bool
	binding scram.ChannelBinding
	begun   time.Time
	try     Attempt
	user    string // as the client gave it
	entry   Entry
	real    bool // the keys shown are somebody's

	conv *scram.ServerConversation
	step int
	id   *Identity
}

// bindingOf gives what binds an exchange to its TLS connection (RFC 9266 2).
func bindingOf(peer *Peer) (scram.ChannelBinding, bool) {
	if peer.TLS == nil {
		return scram.ChannelBinding{}, false
	}
	data, err := peer.TLS.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil { // TLS 1.2 without the extended master secret
		return scram.ChannelBinding{}, false
	}
	return scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: data}, true
}

func (a *Authenticator) startScram(name string, peer Peer) (Mechanism, error) {
	x := &scramExchange{auth: a, peer: peer, plus: strings.HasSuffix(name, plusSuffix), begun: time.Now()}
	x.try = Attempt{Time: a.now(), Peer: peer, Mechanism: name}
	binding, possible := bindingOf(&peer)
	switch {
	case !possible && x.plus:
		return nil, mail.Errorf(mail.Cannot, "there is no TLS connection to bind to")
	case possible && (x.plus || !peer.NoBinding):
		// It was announced: a client that says it was not is in somebody's hands (RFC
		// 5802 6).
		x.binding = binding
	}
	return x, nil
}

// Next takes the client's first message, its final one, and the empty answer to
// the server's final one.
func (x *scramExchange) Next(ctx context.Context, response []byte) ([]byte, *Identity, error) {
	switch {
	case x.step == 0 && response == nil:
		return []byte{}, nil, nil
	case x.step == 0:
		return x.first(ctx, string(response))
	case x.step == 1:
		return x.final(ctx, string(response))
	case x.id == nil || len(response) > 0:
		return nil, nil, x.auth.malformed(ctx, x.peer, x.try.Mechanism)
	}
	return nil, x.id, nil
}

func (x *scramExchange) first(ctx context.Context, message string) ([]byte, *Identity, error) {
	x.step = 2 // unless all goes well
	if strings.HasPrefix(message, "p=") != x.plus || !strictFirst(message) {
		return nil, nil, x.auth.malformed(ctx, x.peer, x.try.Mechanism)
	}
	var fault error
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		var keys scramKeys
		keys, fault = x.keysOf(ctx, user)
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(keys.salt), Iters: keys.iterations}, StoredKey: keys.stored, ServerKey: keys.server,
		}, fault
	})
	if err != nil {
		return nil, nil, err
	}
	x.conv = server.NewConversationWithChannelBinding(x.binding)
	answer, err := x.conv.Step(message)
	switch {
	case fault != nil:
		x.try.Result = Busy
		return nil, nil, x.fail(ctx, fault)
	case err != nil: // a binding of another kind, or none although one was offered
		x.try.Result = Malformed
		return nil, nil, x.fail(ctx, failed())
	}
	x.step = 1
	return []byte(answer), nil, nil
}

// keysOf looks up the user and gives keys to show, real or not.
func (x *scramExchange) keysOf(ctx context.Context, user string) (scramKeys, error) {
	x.user = user
	entry, err := x.auth.find(ctx, &x.try, user)
	if err != nil {
		return scramKeys{}, err
	}
	x.entry = entry
	c, err := ParseCredentials(entry.Record)
	if err != nil {
		return scramKeys{}, mail.Wrap(err, mail.Unavailable, "this account cannot sign in at this moment")
	}
	keys, ok := c.scramKeysOf()
	if entry.Account == 0 || !ok {
		return x.auth.nobodysKeys(nameOr(x.try.User, x.user)), nil
	}
	x.real = true
	return keys, nil
}

func (x *scramExchange) final(ctx context.Context, message string) ([]byte, *Identity, error) {
	x.step = 2
	if !strictFinal(message) {
		return nil, nil, x.auth.malformed(ctx, x.peer, x.try.Mechanism)
	}
	a := x.auth
	ruling := a.guard.Ask(ctx, &Question{Account: x.entry.Account, Name: nameOr(x.try.User, x.user), Peer: &x.peer})
	x.try.Verdict = ruling.Verdict
	if !ruling.Check {
		x.try.Result = Refused
		return nil, nil, x.fail(ctx, failed())
	}
	answer, wrong := x.conv.Step(message)
	outcome := CheckedWrong
	right := wrong == nil && x.real && !x.entry.Disabled
	permitted := right && a.permit(x.entry.Name, &x.try, false)
	if permitted {
		outcome = CheckedRight
	}
	ruling.Settle(outcome)
	id := Identity{Account: x.entry.Account, Name: x.entry.Name}
	if outcome == CheckedRight && !ruling.Refuse {
		var err error
		if id, err = a.actAs(ctx, &x.try, x.conv.AuthzID(), id); err != nil {
			return nil, nil, x.fail(ctx, err)
		}
	}
	switch {
	case right && !permitted:
		x.try.Result = NotPermitted
	case outcome == CheckedRight && ruling.Refuse:
		x.try.Result = Refused
	case outcome == CheckedRight:
		x.try.Result = Accepted
		a.report(ctx, x.try, x.user, nil)
		x.id = &id
		return []byte(answer), nil, nil
	case x.entry.Account == 0:
		x.try.Result = UnknownUser
	case wrong == nil && x.entry.Disabled:
		x.try.Result = Disabled
	default:
		x.try.Result = WrongPassword
	}
	return nil, nil, x.fail(ctx, failed())
}

// fail reports a failure and waits as long as after any other.
func (x *scramExchange) fail(ctx context.Context, failure error) error {
	x.auth.report(ctx, x.try, x.user, failure)
	return x.auth.repent(ctx, &x.try, x.begun, failure)
}

// The library reads messages more kindly than RFC 5802 7 writes them: base64 with
// line breaks in it or with stray bits at its end, fields twice. What two parsers
// read differently is where channel bindings were got around (CVE-2026-33603).

// strictFirst checks the client's first message: gs2-header, then n= and r=, and
// nothing behind them, as there are no extensions.
func strictFirst(m string) bool {
	part := strings.Split(m, ",")
	return len(part) == 4 && printable(m) && strings.HasPrefix(part[2], "n=") && len(part[2]) > 2 &&
		strings.HasPrefix(part[3], "r=") && len(part[3]) > 2
}

// strictFinal checks the client's final message: c=, r= and p=.
func strictFinal(m string) bool {
	part := strings.Split(m, ",")
	return len(part) == 3 && printable(m) && strictBase64(part[0], "c=") && strings.HasPrefix(part[1], "r=") && strictBase64(part[2], "p=")
}

func strictBase64(s, prefix string) bool {
	text, ok := strings.CutPrefix(s, prefix)
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	return ok && err == nil && base64.StdEncoding.EncodeToString(data) == text
}

// printable reports whether a message is free of control characters and of what is
// no UTF-8.
func printable(m string) bool {
	return !strings.ContainsFunc(m, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0xfffd })
}
