package netserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"testing"
)

// TestFingerprint: the same client looks the same, also when it resumes a session,
// goes by another name or makes up values; another looks different.
func TestFingerprint(t *testing.T) {
	hello := tls.ClientHelloInfo{
		CipherSuites: []uint16{0x0a0a, 0x1301, 0x1302}, SupportedVersions: []uint16{0x1a1a, 0x304, 0x303},
		SupportedCurves: []tls.CurveID{0x2a2a, tls.X25519MLKEM768, tls.X25519}, SignatureSchemes: []tls.SignatureScheme{0x403, 0x804},
		Extensions: []uint16{0x3a3a, 0, 10, 13, 16, 43, 51}, SupportedProtos: []string{"imap"},
	}
	same := hello
	same.ServerName = "mail.example.org"
	same.CipherSuites = []uint16{0xfafa, 0x1301, 0x1302}
	same.Extensions = []uint16{51, 43, 0x4a4a, 16, 13, 10, 35, 41, 21} // shuffled, resumed, padded, without a name
	if helloFingerprint(&hello) != helloFingerprint(&same) {
		t.Error("the same client looks different")
	}
	for name, change := range map[string]func(*tls.ClientHelloInfo){
		"suites":     func(h *tls.ClientHelloInfo) { h.CipherSuites = []uint16{0x1302, 0x1301} },
		"versions":   func(h *tls.ClientHelloInfo) { h.SupportedVersions = []uint16{0x304} },
		"curves":     func(h *tls.ClientHelloInfo) { h.SupportedCurves = []tls.CurveID{tls.X25519} },
		"signatures": func(h *tls.ClientHelloInfo) { h.SignatureSchemes = []tls.SignatureScheme{0x804} },
		"extensions": func(h *tls.ClientHelloInfo) { h.Extensions = []uint16{0, 10, 13, 16, 43} },
		"protocols":  func(h *tls.ClientHelloInfo) { h.SupportedProtos = nil },
	} {
		other := hello
		change(&other)
		if helloFingerprint(&hello) == helloFingerprint(&other) {
			t.Errorf("other %s look the same", name)
		}
	}
}

// TestFingerprintOfAConnection asks real handshakes: the same program twice, the
// second time with a resumed session, another, and one without TLS.
func TestFingerprintOfAConnection(t *testing.T) {
	s := newTestServer(t, Limits{})
	seen := make(chan uint64, 1)
	handler := func(_ context.Context, c *Conn) {
		seen <- c.Fingerprint()
		fmt.Fprint(c, "* hello\r\n")
		io.Copy(io.Discard, c)
	}
	s.serve(t, Listen{Setting: "listen.imaps", Security: ImplicitTLS, Handler: handler},
		Listen{Setting: "listen.imap", Security: Plaintext, Handler: handler})
	look := func(cfg *tls.Config) (uint64, bool) {
		c := tls.Client(s.dial(t, "listen.imaps"), cfg)
		expect(t, c, "* hello")
		return <-seen, c.ConnectionState().DidResume
	}
	cfg := s.client()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	first, _ := look(cfg)
	second, resumed := look(cfg)
	if !resumed {
		t.Error("the second was not resumed: what is tested?")
	}
	if first == 0 || first != second {
		t.Errorf("the same program: %x, then %x", first, second)
	}
	other := s.client()
	other.CurvePreferences = []tls.CurveID{tls.CurveP256}
	if third, _ := look(other); third == first {
		t.Error("another program looks the same")
	}
	expect(t, s.dial(t, "listen.imap"), "* hello")
	if plain := <-seen; plain != 0 {
		t.Errorf("without TLS: %x", plain)
	}
}
