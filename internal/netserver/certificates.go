package netserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Pair names the files of a certificate chain (leaf first) and its private key,
// in PEM. One file may hold both.
type Pair struct {
	Certificate string
	Key         string
}

// Certificates are the certificates we show, read from files and read again when
// those change. Every listener's configuration asks it at each handshake, so a
// renewed certificate needs no restart and drops nobody.
type Certificates struct {
	now     func() time.Time
	current atomic.Pointer[[]tls.Certificate]

	mu    sync.Mutex
	pairs []Pair
	seen  string // what the files looked like when they were last read
}

// NewCertificates reads the pairs, of which there must be one. It refuses a pair
// that does not belong together, a certificate that is not valid now, and a key
// that anybody on the machine may read; the error (an ErrSetup) tells all of it.
func NewCertificates(now func() time.Time, pairs ...Pair) (*Certificates, error) {
	c := &Certificates{now: now}
	return c, c.Use(pairs...)
}

// Use reads other pairs and shows them from now on. If any of them is bad it
// keeps what it has and tells why.
func (c *Certificates) Use(pairs ...Pair) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(pairs)
}

// Reload reads the same files again. If any of them is bad it keeps what it has
// and tells why.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(c.pairs)
}

func (c *Certificates) load(pairs []Pair) error {
	if len(pairs) == 0 {
		return setupErrorf("no certificate is set")
	}
	seen := looks(pairs)
	var certs []tls.Certificate
	var errs []error
	for _, p := range pairs {
		cert, err := readPair(p, c.now())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		certs = append(certs, cert)
	}
	if len(errs) > 0 {
		c.seen = seen // bad as they are, there is no use in reading them again
		return errors.Join(errs...)
	}
	c.pairs, c.seen = pairs, seen
	c.current.Store(&certs)
	return nil
}

// Watch looks at the files every so often until ctx ends and reloads them when
// they have changed. It calls report after each reload, with the error if the
// new files were bad and the old certificates stay. It looks at sizes and times
// rather than asking to be notified, because certificates are symbolic links
// into directories that are swapped, mounts that send no events, and because one
// look a minute costs nothing.
func (c *Certificates) Watch(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.poll(report)
		}
	}
}

func (c *Certificates) poll(report func(error)) {
	c.mu.Lock()
	changed := looks(c.pairs) != c.seen
	c.mu.Unlock()
	if changed {
		report(c.Reload())
	}
}

// looks describes the files so that a change shows: a renewed file has another
// inode, a time or a size. Symbolic links are followed.
func looks(pairs []Pair) string {
	var b strings.Builder
	for _, p := range pairs {
		for _, name := range []string{p.Certificate, p.Key} {
			info, err := os.Stat(name)
			if err != nil {
				fmt.Fprintf(&b, "%v;", err)
				continue
			}
			fmt.Fprintf(&b, "%d %d %v %v;", inode(info), info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
	}
	return b.String()
}

// get chooses the certificate for a handshake: the first that the client can
// use, else the first. No name that a client asks for makes us remember
// anything (CVE-2017-15130).
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certs := *c.current.Load()
	for i := range certs {
		if hello.SupportsCertificate(&certs[i]) == nil {
			return &certs[i], nil
		}
	}
	return &certs[0], nil
}

// Fingerprints gives the SHA-256 fingerprint of each certificate shown, in the
// order of the pairs.
func (c *Certificates) Fingerprints() []string {
	var all []string
	for _, cert := range *c.current.Load() {
		all = append(all, fingerprint(cert.Certificate[0]))
	}
	return all
}

// Names gives the names and addresses the certificates are for, each once.
func (c *Certificates) Names() []string {
	var all []string
	for _, cert := range *c.current.Load() {
		names := slices.Clone(cert.Leaf.DNSNames)
		for _, ip := range cert.Leaf.IPAddresses {
			names = append(names, ip.String())
		}
		for _, name := range names {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// Expiry is when the first of the certificates ends to be valid.
func (c *Certificates) Expiry() time.Time {
	var first time.Time
	for _, cert := range *c.current.Load() {
		first = sooner(first, cert.Leaf.NotAfter)
	}
	return first
}

// fingerprint is that of `openssl x509 -noout -fingerprint -sha256`.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	for i := 0; i < len(text); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(text[i : i+2])
	}
	return b.String()
}

// maxPEM bounds a certificate or key file.
const maxPEM = 1 << 20

func readPair(p Pair, now time.Time) (tls.Certificate, error) {
	certPEM, _, err := readPEM(p.Certificate)
	if err != nil {
		return tls.Certificate{}, setupErrorf("certificate: %w", err)
	}
	keyPEM, mode, err := readPEM(p.Key)
	if err != nil {
		return tls.Certificate{}, setupErrorf("private key: %w", err)
	}
	// A group may read: Debian's ssl-cert is there for servers like this one.
	if mode.Perm()&0o027 != 0 {
		return tls.Certificate{}, setupErrorf("private key %s has mode %04o, so that others may read or change it: chmod 0600 (or 0640) %s", p.Key, mode.Perm(), p.Key)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, setupErrorf("certificate %s with key %s: %w", p.Certificate, p.Key, err)
	}
	if err := checkLeaf(cert.Leaf, now); err != nil {
		return tls.Certificate{}, setupErrorf("certificate %s: %w", p.Certificate, err)
	}
	return cert, nil
}

func checkLeaf(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it is valid only from %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0:
		return errors.New("it names no host in its subjectAltName, so that no client will accept it (RFC 9525)")
	}
	return nil
}

func readPEM(name string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no regular file", name)
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, 0, err
	}
	if n > maxPEM {
		return nil, 0, fmt.Errorf("%s is larger than %d bytes", name, maxPEM)
	}
	return b.Bytes(), info.Mode(), nil
}
