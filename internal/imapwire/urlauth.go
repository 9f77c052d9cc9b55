package imapwire

import "postern/internal/mail"

// MechanismInternal is the one mechanism of URLAUTH that RFC 4467 has.
const MechanismInternal = "INTERNAL"

// ResetKeyArgs are the arguments of RESETKEY (RFC 4467 9).
type ResetKeyArgs struct {
	Mailbox    string // "" if none is named: all
	Mechanisms []string
}

// ExpectResetKeyArgs demands the arguments of RESETKEY.
func (r *Reader) ExpectResetKeyArgs(a *ResetKeyArgs) bool {
	*a = ResetKeyArgs{}
	if !r.SP() {
		return r.ExpectCRLF()
	}
	if !r.ExpectMailbox(&a.Mailbox) {
		return false
	}
	for r.SP() {
		var mechanism string
		if !r.mechanism(&mechanism) {
			return false
		}
		a.Mechanisms = append(a.Mechanisms, mechanism)
	}
	return r.ExpectCRLF()
}

func (r *Reader) mechanism(dst *string) bool {
	var w wordBuffer
	*dst = string(r.word(atomChar, &w))
	if !isMechanism(*dst) {
		return r.expected("a mechanism")
	}
	return r.item()
}

// Rump is one pair of GENURLAUTH: a URL that is to be made good, and how.
type Rump struct{ URL, Mechanism string }

// ExpectGenURLAuthArgs demands the arguments of GENURLAUTH (RFC 4467 9).
func (r *Reader) ExpectGenURLAuthArgs(rumps *[]Rump) bool {
	*rumps = nil
	for {
		var a Rump
		if !r.ExpectSP() || !r.item() || !r.url(&a.URL) || !r.ExpectSP() || !r.mechanism(&a.Mechanism) {
			return false
		}
		*rumps = append(*rumps, a)
		if len(*rumps) > maxURLs {
			return r.refuse(mail.Limit, "a command has at most %d URLs", maxURLs)
		}
		if r.next() != ' ' {
			return r.ExpectCRLF()
		}
	}
}

// ExpectURLFetchArgs demands the arguments of URLFETCH (RFC 4467 9).
func (r *Reader) ExpectURLFetchArgs(urls *[]string) bool {
	*urls = nil
	for {
		var url string
		if !r.ExpectSP() || !r.item() || !r.url(&url) {
			return false
		}
		*urls = append(*urls, url)
		if len(*urls) > maxURLs {
			return r.refuse(mail.Limit, "a command has at most %d URLs", maxURLs)
		}
		if r.next() != ' ' {
			return r.ExpectCRLF()
		}
	}
}

// maxURLs bounds the URLs of one command: each is a message that is opened.
const maxURLs = 100

func (r *Reader) url(dst *string) bool {
	return r.ExpectAString(dst)
}
