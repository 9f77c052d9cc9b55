// Package peer starts mail servers for tests: Postern itself, built from this checkout, and the servers we compare
// ourselves with. Each listens on free ports of 127.0.0.1, keeps its data in a directory of its own, and is gone
// with its data when the test that started it ends.
package peer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A Server is a running mail server with as many accounts as a test asks for.
type Server struct {
	Name     string // "postern", "dovecot": the word dialogue files use
	Plain    string // host:port of IMAP with STARTTLS
	TLS      string // host:port of IMAP over TLS
	LMTP     string // host:port of LMTP, or ""
	CertFile string // the certificate in PEM; its name is "localhost"
	KeyFile  string // its key, if it is a Postern

	log        *lockedBuffer
	newAccount func(t testing.TB, name, password string)
	administer func(t testing.TB, input string, args ...string) string // nil where there is no such command
	accounts   int
	mutex      sync.Mutex
}

// NewAccount makes an account nobody used before and returns its name and password.
func (s *Server) NewAccount(t testing.TB) (name, password string) {
	t.Helper()
	return s.newAccountIn(t, "example.org")
}

// NewAdministrator makes one that may set everybody's limits (Postern alone).
func (s *Server) NewAdministrator(t testing.TB) (name, password string) {
	t.Helper()
	return s.newAccountIn(t, administrators)
}

// administrators is the domain of accounts that may set the limits of all.
const administrators = "admin.example"

func (s *Server) newAccountIn(t testing.TB, domain string) (name, password string) {
	t.Helper()
	s.mutex.Lock()
	s.accounts++
	name = fmt.Sprintf("user%d@%s", s.accounts, domain)
	s.mutex.Unlock()
	s.newAccount(t, name, accountPassword)
	return name, accountPassword
}

// accountPassword is every test account's password: long enough for any policy, and with nothing to quote.
const accountPassword = "correct-horse-battery"

// Log returns what the server has written so far, to be shown when a test fails.
func (s *Server) Log() string { return s.log.String() }

// TLSConfig returns a client's configuration that trusts exactly this server's certificate.
func (s *Server) TLSConfig(t testing.TB) *tls.Config {
	t.Helper()
	pemBytes, err := os.ReadFile(s.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pemBytes) {
		t.Fatalf("no certificate in %s", s.CertFile)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// freePorts returns n addresses on 127.0.0.1 that were free a moment ago.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	addresses, err := takePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return addresses
}

// takePorts is freePorts for a program.
func takePorts(n int) ([]string, error) {
	addresses := make([]string, n)
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all at the end, so that no port is given twice
		addresses[i] = listener.Addr().String()
	}
	return addresses, nil
}

// awaitGreeting waits until addr accepts a connection and, where greeting is not empty, begins with it.
func awaitGreeting(ctx context.Context, addr, greeting string) error {
	var lastErr error
	for {
		lastErr = tryGreeting(addr, greeting)
		if lastErr == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", addr, lastErr)
		case <-time.After(20 * time.Millisecond): // a retry, not a synchronisation: the loop ends on the greeting
		}
	}
}

func tryGreeting(addr, greeting string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if greeting == "" {
		return nil
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	got := make([]byte, len(greeting))
	if _, err := conn.Read(got); err != nil {
		return err
	}
	if string(got) != greeting {
		return fmt.Errorf("greeting begins with %q, want %q", got, greeting)
	}
	return nil
}

// writeCertificate makes a self-signed certificate for localhost and 127.0.0.1 and returns its two files.
func writeCertificate(t testing.TB, dir string) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := makeCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// makeCertificate is writeCertificate for a program.
func makeCertificate(dir string) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "localhost"},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // clients are told to trust it as the root it is
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certFile, keyFile, errors.Join(writePEM(certFile, "CERTIFICATE", der, 0o644), writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600))
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// lockedBuffer is a bytes.Buffer that a process writes while a test reads it.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
