package auth

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
)

// MaxAddress is the longest address we read, and the longest canonical one, in
// octets.
const MaxAddress = 1024

// Rules are the installation's choices about addresses. The zero value has no
// default domain and no detail.
type Rules struct {
	// DefaultDomain completes a name without one, such as a login as "ada" or
	// RCPT TO:<postmaster>. "" makes such names an error.
	DefaultDomain string

	// Separator stands between the user and the detail in user+detail@domain
	// (RFC 5233). 0 means that there are no details.
	Separator byte
}

// Address is an address in canonical form.
//
// The local part is lower case: letters of any case name one mailbox. RFC 5321
// 2.4 leaves that to the host that delivers, which is us, and nobody has ever
// wanted Ada and ada to be two people. It is prepared as a user name is
// (UsernameCaseMapped, RFC 8265 3.3): full-width letters become plain ones, and
// Unicode is in NFC, so that what looks alike in two encodings is one account.
//
// The domain is lower case, in A-labels (xn--), without a final dot. That form
// needs no SMTPUTF8 in a header and shows look-alikes for what they are.
type Address struct {
	Local  string // the whole local part, detail included
	Domain string
	User   string // the local part up to the separator; Local if there is none
	Detail string // what follows, in NFC, otherwise as it was written: a mailbox name has a case
}

// String gives local@domain, under which the directory knows the address.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// UserAddress gives the address without the detail.
func (a Address) UserAddress() string { return a.User + "@" + a.Domain }

// CatchAll gives the name of the domain's catch-all in the directory.
func (a Address) CatchAll() string { return "@" + a.Domain }

// Parse reads an address as login, LMTP and the command line get it. It takes
// the quoted form of a local part where the quotes are not needed
// ("ada.l"@example.org), and refuses what could only be written with them, along
// with address literals; the error is mail.Invalid. If the local part alone is
// at fault, the Address given with the error still has its Domain, so that mail
// for it can find a catch-all.
func (r Rules) Parse(s string) (Address, error) {
	switch {
	case s == "":
		return Address{}, badAddress("it is empty")
	case len(s) > MaxAddress:
		return Address{}, mail.Errorf(mail.Invalid, "not an address: it is longer than %d octets", MaxAddress)
	case !utf8.ValidString(s):
		return Address{}, badAddress("it is not UTF-8")
	}
	local, domain := s, r.DefaultDomain
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		local, domain = s[:at], s[at+1:]
	} else if domain == "" {
		return Address{}, badAddress("it has no domain")
	}
	var a Address
	var err error
	if a.Domain, err = canonicalDomain(domain); err != nil {
		return Address{}, err
	}
	if local, err = unquote(local); err != nil {
		return a, err
	}
	whole, err := canonicalLocal(local)
	if err != nil {
		return a, err
	}
	if len(whole)+1+len(a.Domain) > MaxAddress {
		return a, mail.Errorf(mail.Invalid, "not an address: it is longer than %d octets", MaxAddress)
	}
	user, detail := whole, ""
	if at := strings.IndexByte(whole, r.Separator); at > 0 && r.Separator != 0 {
		user, detail = whole[:at], whole[at+1:]
		// A full-width separator became one only in the canonical form.
		if at := strings.IndexByte(local, r.Separator); at > 0 {
			detail = norm.NFC.String(local[at+1:])
		}
	}
	a.Local, a.User, a.Detail = whole, user, detail
	return a, nil
}

// Domain gives the canonical form of a domain name, as Parse does.
func Domain(s string) (string, error) {
	if len(s) > MaxAddress || !utf8.ValidString(s) {
		return "", badAddress("its domain is no domain name")
	}
	return canonicalDomain(s)
}

func badAddress(why string) error { return mail.Errorf(mail.Invalid, "not an address: %s", why) }

// canonicalDomain follows UTS 46 without its transitional part, as browsers do
// today, with the letters, digits and hyphens of RFC 1123. Hyphens may stand
// where RFC 5891 4.2.3.1 has reserved them: hosts are named so.
func canonicalDomain(s string) (string, error) {
	profile := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true),
		idna.CheckHyphens(false), idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(true))
	// The form must be its own: once more changes nothing.
	for range 3 {
		next, err := profile.ToASCII(s)
		next = strings.TrimSuffix(next, ".")
		if err != nil || strings.HasSuffix(next, ".") || strings.HasPrefix(next, "-") || strings.HasSuffix(next, "-") ||
			strings.Contains(next, ".-") || strings.Contains(next, "-.") {
			break
		}
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", badAddress("its domain is no domain name")
}

// unquote takes the quotes off a quoted local part (RFC 5321 4.1.2).
func unquote(local string) (string, error) {
	if !strings.HasPrefix(local, `"`) {
		return local, nil
	}
	inner, ok := strings.CutSuffix(local[1:], `"`)
	if !ok {
		return "", badAddress("a quote is open")
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		} else if inner[i] == '"' || inner[i] == '\\' {
			return "", badAddress("a quote is open")
		}
		b.WriteByte(inner[i])
	}
	return b.String(), nil
}

// specials are the printable ASCII characters that a local part can have in
// quotes only (RFC 5322 3.2.3). The dot is not among them: dots in places where
// RFC 5321 has none (a..b@) exist in the world.
const specials = `()<>[]:;@\,"`

var errLocal = errors.New("local part")

func canonicalLocal(s string) (string, error) {
	out, err := settle(s)
	if err != nil || out == "" || strings.ContainsAny(out, specials) {
		return "", badAddress("its local part is empty or has characters that we do not take")
	}
	return out, nil
}

// settle applies the profile until it changes nothing any more, as RFC 8264 7
// asks for: once is not enough for some combinations of characters.
func settle(s string) (string, error) {
	for range 4 {
		next, err := precis.UsernameCaseMapped.String(s)
		if err != nil {
			return "", err
		}
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", errLocal
}
