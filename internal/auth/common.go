package auth

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn/frequency"

	"postern/internal/mail"
)

// leastPassword is how long a new password must be, in characters (NIST SP
// 800-63B-4 3.1.1.2 has 8 where it is not the only factor; longer ones would be
// better, and app passwords are).
const leastPassword = 8

// common are the passwords that everybody tries, in lower case: those that
// occurred most often in the great leaks, as the zxcvbn project lists them.
var common = sync.OnceValue(func() map[string]struct{} {
	list := frequency.FrequencyLists["passwords"]
	set := make(map[string]struct{}, len(list))
	for _, p := range list {
		set[p] = struct{}{}
	}
	return set
})

// Common reports whether a password is one that everybody tries, whatever the
// case of its letters.
func Common(password string) bool {
	_, is := common()[strings.ToLower(password)]
	return is
}

// Acceptable refuses a password that must not be set for the account of that
// address, with mail.Invalid and the reason: one that is short, that everybody
// tries, or that is the address itself. Rules about kinds of characters help
// nobody (NIST SP 800-63B-4 3.1.1.2) and there are none. What is set already goes on.
func Acceptable(password, address string) error {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	label, _, _ := strings.Cut(domain, ".")
	bare := strings.TrimRight(strings.ToLower(password), "0123456789!?.-_*#$")
	switch {
	case utf8.RuneCountInString(password) < leastPassword:
		return mail.Errorf(mail.Invalid, "a password has at least %d characters", leastPassword)
	case Common(password):
		return mail.Errorf(mail.Invalid, "this password is one of those that are tried everywhere: choose another")
	case bare == local || bare == label || bare == domain || bare == local+"@"+domain:
		return mail.Errorf(mail.Invalid, "this password is the account's own name: choose another")
	}
	return nil
}
