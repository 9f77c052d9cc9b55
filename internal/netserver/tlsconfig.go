package netserver

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// NewTLSConfig gives the TLS settings of a listener. minVersion is "1.3", "1.2"
// or "", which is "1.3". alpn names the protocol, such as "imap": a client that
// offers a list without it is refused (that is what stops a browser from being
// talked into speaking to us, ALPACA), one that offers none is welcome.
//
// TLS 1.3 has nothing left to choose. With 1.2 only the suites with forward
// secrecy and authenticated encryption are offered. Key exchange is what Go
// prefers: X25519MLKEM768 first. Session tickets are on, under keys that Go makes
// and changes daily; there is no 0-RTT and no renegotiation in Go's server.
//
// Make it once and use it for all listeners of one protocol: tickets are good
// for the configuration that gave them. New certificates reach it by
// Certificates.Reload.
func NewTLSConfig(certs *Certificates, minVersion string, alpn ...string) (*tls.Config, error) {
	cfg := &tls.Config{
		GetCertificate:     certs.get,
		NextProtos:         slices.Clone(alpn),
		GetConfigForClient: helloWitness,
	}
	switch minVersion {
	case "", "1.3":
		cfg.MinVersion = tls.VersionTLS13
	case "1.2":
		cfg.MinVersion = tls.VersionTLS12
		cfg.CipherSuites = []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	default:
		return nil, setupErrorf("tls.min_version is %q: it can be \"1.3\" or \"1.2\"", minVersion)
	}
	return cfg, nil
}

// helloWitness notes what a client's hello tells of it: the best version it
// speaks, so that a failed handshake can be counted for what it was, and what kind
// of client it is. An error from here would change the alert that the client gets.
func helloWitness(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if w, ok := hello.Conn.(*wire); ok {
		for _, v := range hello.SupportedVersions {
			if v <= tls.VersionTLS13 { // above are made-up values (GREASE, RFC 8701)
				w.offered = max(w.offered, v)
			}
		}
		w.fingerprint = helloFingerprint(hello)
	}
	return nil, nil
}

// weakening lists the keys of the GODEBUG variable that take something away
// from TLS or certificates, with the values that do not.
var weakening = map[string][]string{
	"rsa1024min":         {"1"},
	"tls10server":        {"0"},
	"tls3des":            {"0"},
	"tlsmaxrsasize":      {"8192"},
	"tlsmlkem":           {"1"},
	"tlsrsakex":          {"0"},
	"tlssecpmlkem":       {"1"},
	"tlssha1":            {"0"},
	"tlsunsafeekm":       {"0"},
	"x509negativeserial": {"0"},
	"x509sha1":           {"0"},
	"x509usepolicies":    {"1"},
}

// CheckGODEBUG refuses a GODEBUG variable (its value is the argument) that
// weakens TLS, whatever the configuration says: it is set in places nobody looks
// at. The error is an ErrSetup.
func CheckGODEBUG(value string) error {
	var bad []string
	for setting := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(strings.TrimSpace(setting), "=")
		harmless, listed := weakening[key]
		v, _, _ = strings.Cut(v, "#") // "#42" selects some call sites only
		if listed && !slices.Contains(harmless, v) {
			bad = append(bad, fmt.Sprintf("%s=%s", key, v))
		}
	}
	if len(bad) > 0 {
		return setupErrorf("the environment variable GODEBUG weakens TLS (%s): remove it", strings.Join(bad, ", "))
	}
	return nil
}
