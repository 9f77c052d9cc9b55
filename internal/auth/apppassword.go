package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/mail"
)

// AppPassword is a password that is made for one program or device: nobody can
// guess it, it can do less than the account's own, and it is taken back by itself.
type AppPassword struct {
	ID       uint64 // names it among those of its account; never 0
	Name     string // what its owner calls it
	Created  time.Time
	Expires  time.Time      // zero: never
	ReadOnly bool           // nothing can be changed with it, and it is good for IMAP only
	Networks []netip.Prefix // where it is good; empty: everywhere

	sum [sha256.Size]byte // of the secret, which nobody can guess: it needs no slow hash
}

// An app password is "app" and 128 random bits in base 32, in groups that can be
// typed. Dashes, spaces and the case of letters do not matter.
const (
	appPrefix      = "app"
	appSecret      = 16 // octets
	appGroup       = 5
	appVersion     = 1
	flagReadOnly   = 1
	maxAppName     = 64 // characters
	maxAppNetworks = 32

	// MaxAppPasswords is how many an account can have.
	MaxAppPasswords = 64
)

var appEncoding = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// appSecretOf reads an app password as somebody types it. It reports false for what
// is none: then it is a password like others.
func appSecretOf(password string) ([]byte, bool) {
	text := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(password))
	text, ok := strings.CutPrefix(text, appPrefix)
	if !ok || len(text) != appEncoding.EncodedLen(appSecret) {
		return nil, false
	}
	secret, err := appEncoding.DecodeString(text)
	return secret, err == nil && appEncoding.EncodeToString(secret) == text // the last character has bits to spare
}

func appPasswordText(secret []byte) string {
	text := appEncoding.EncodeToString(secret)
	groups := []string{appPrefix}
	for len(text) > appGroup {
		groups, text = append(groups, text[:appGroup]), text[appGroup:]
	}
	return strings.Join(append(groups, text), "-")
}

// AddAppPassword makes an app password with the name, expiry and bounds of a. It
// gives the record with it, what it is called by, and the password itself, which is
// shown once and kept nowhere. A name that is taken is mail.AlreadyExists, one app
// password too many mail.Limit, what cannot be kept mail.Invalid.
func AddAppPassword(record []byte, a AppPassword) (_ []byte, made AppPassword, password string, _ error) {
	c, err := ParseCredentials(record)
	if err != nil {
		return nil, made, "", err
	}
	list := c.AppPasswords()
	switch {
	case a.Name == "" || !utf8.ValidString(a.Name) || utf8.RuneCountInString(a.Name) > maxAppName || !printable(a.Name):
		return nil, made, "", mail.Errorf(mail.Invalid, "an app password has a name of 1 to %d characters", maxAppName)
	case slices.ContainsFunc(list, func(b AppPassword) bool { return b.Name == a.Name }):
		return nil, made, "", mail.Errorf(mail.AlreadyExists, "there is an app password of that name already")
	case len(list) >= MaxAppPasswords:
		return nil, made, "", mail.Errorf(mail.Limit, "an account can have %d app passwords", MaxAppPasswords)
	case len(a.Networks) > maxAppNetworks:
		return nil, made, "", mail.Errorf(mail.Invalid, "an app password can be bound to %d networks", maxAppNetworks)
	}
	secret := make([]byte, appSecret+8)
	rand.Read(secret) // never fails: crypto/rand ends the program rather
	a.ID = max(binary.LittleEndian.Uint64(secret[appSecret:]), 1)
	secret = secret[:appSecret]
	a.sum = sha256.Sum256(secret)
	c.fields = append(c.fields, field{tagApp, a.encode()})
	if record = c.Encode(); len(record) > MaxRecord {
		return nil, made, "", mail.Errorf(mail.Limit, "the account has too many credentials")
	}
	return record, a, appPasswordText(secret), nil
}

// RemoveAppPassword takes an app password back. mail.NotFound if there is none of
// that name.
func RemoveAppPassword(record []byte, name string) (_ []byte, gone AppPassword, _ error) {
	c, err := ParseCredentials(record)
	if err != nil {
		return nil, gone, err
	}
	found := false
	c.fields = slices.DeleteFunc(c.fields, func(f field) bool {
		a, ok := decodeApp(f)
		if ok && a.Name == name {
			gone, found = a, true
			return true
		}
		return false
	})
	if !found {
		return nil, gone, mail.Errorf(mail.NotFound, "there is no app password of that name")
	}
	return c.Encode(), gone, nil
}

// AppPasswords gives those of an account, in the order in which they were made.
func (c *Credentials) AppPasswords() []AppPassword {
	var list []AppPassword
	for _, f := range c.fields {
		if a, ok := decodeApp(f); ok {
			list = append(list, a)
		}
	}
	return list
}

// The record's field: a version octet (1), the ID, times in Unix seconds, flags, the
// secret's SHA-256, then the name and networks, each with its length.
func (a *AppPassword) encode() string {
	b := binary.LittleEndian.AppendUint64([]byte{appVersion}, a.ID)
	b = binary.AppendVarint(b, a.Created.Unix())
	expires := int64(0)
	if !a.Expires.IsZero() {
		expires = a.Expires.Unix()
	}
	b = binary.AppendVarint(b, expires)
	flags := byte(0)
	if a.ReadOnly {
		flags |= flagReadOnly
	}
	b = append(append(b, flags), a.sum[:]...)
	put := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	put(a.Name)
	for _, n := range a.Networks {
		put(n.String())
	}
	return string(b)
}

// decodeApp reads a field. One that a later version wrote is no app password here:
// what it may not do is not known.
func decodeApp(f field) (a AppPassword, ok bool) {
	if f.tag != tagApp || len(f.value) < 9 || f.value[0] != appVersion {
		return a, false
	}
	b := []byte(f.value[1:])
	a.ID, b = binary.LittleEndian.Uint64(b), b[8:]
	seconds := func() (t int64) {
		t, n := binary.Varint(b)
		if ok = ok && n > 0; ok {
			b = b[n:]
		}
		return t
	}
	text := func() string {
		size, n := binary.Uvarint(b)
		if ok = ok && n > 0 && size <= uint64(len(b)-n); !ok {
			return ""
		}
		s := string(b[n : n+int(size)])
		b = b[n+int(size):]
		return s
	}
	ok = true
	a.Created = time.Unix(seconds(), 0)
	if expires := seconds(); expires != 0 {
		a.Expires = time.Unix(expires, 0)
	}
	if !ok || len(b) < 1+sha256.Size {
		return a, false
	}
	a.ReadOnly = b[0]&flagReadOnly != 0
	if b[0]&^flagReadOnly != 0 {
		return a, false
	}
	b = b[1+copy(a.sum[:], b[1:]):]
	for a.Name = text(); ok && len(b) > 0; {
		n, err := netip.ParsePrefix(text())
		if ok = ok && err == nil; ok {
			a.Networks = append(a.Networks, n)
		}
	}
	return a, ok
}

// good reports whether it can be used now, from there.
func (a *AppPassword) good(now time.Time, from netip.Addr) bool {
	if !a.Expires.IsZero() && !now.Before(a.Expires) {
		return false
	}
	return len(a.Networks) == 0 || slices.ContainsFunc(a.Networks, func(n netip.Prefix) bool { return n.Contains(from.Unmap()) })
}

// verifyApp checks an app password. The guard is told that it cannot be guessed: it
// is let in from anywhere, and a wrong one costs its network, never the account.
func (a *Authenticator) verifyApp(ctx context.Context, try *Attempt, entry Entry, name string, secret []byte) (Identity, error) {
	ruling := a.guard.Ask(ctx, &Question{Account: entry.Account, Name: name, Peer: &try.Peer, Strong: true})
	try.Verdict = ruling.Verdict
	if !ruling.Check {
		try.Result = Refused
		return Identity{}, failed()
	}
	outcome := CheckedWrong
	defer func() { ruling.Settle(outcome) }()
	c, err := ParseCredentials(entry.Record)
	if err != nil {
		outcome, try.Result = NotChecked, Busy
		return Identity{}, mail.Wrap(err, mail.Unavailable, "this account cannot sign in at this moment")
	}
	sum := sha256.Sum256(secret)
	var found *AppPassword
	list := c.AppPasswords()
	for i := range list {
		if subtle.ConstantTimeCompare(list[i].sum[:], sum[:]) == 1 {
			found = &list[i]
		}
	}
	if found != nil {
		try.App = found.Name
	}
	switch {
	case entry.Account == 0:
		try.Result = UnknownUser
	case found == nil:
		try.Result = WrongPassword
	case entry.Disabled:
		try.Result = Disabled
	case !found.good(a.now(), try.Peer.Remote.Addr()):
		try.Result = NotGood
	case found.ReadOnly && try.Peer.Service != "", // for reading mail: whatever else there is does more
		!a.permit(entry.Name, try, true):
		try.Result = NotPermitted
	default:
		try.Result, outcome = Accepted, CheckedRight
		id := Identity{Account: entry.Account, Name: entry.Name, App: found.ID, ReadOnly: found.ReadOnly}
		if a.used != nil {
			a.used(ctx, id, a.now())
		}
		return id, nil
	}
	return Identity{}, failed()
}
