package netserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// How long a certificate of our own is good. Apple's clients refuse server
// certificates that are valid for more than 825 days, their owner's choice or
// not. One that has a month left is replaced at the next start.
const (
	selfSignedLife   = 820 * 24 * time.Hour
	selfSignedMargin = 30 * 24 * time.Hour
)

// SelfSigned gives a certificate that we made ourselves, for trials and for
// hosts that have no other: an ECDSA P-256 key, the hosts (names or addresses)
// as subject alternative names. It is made once and kept, with its key, in
// dir/selfsigned.pem, mode 0600; it is made anew only when it lacks one of the
// hosts or is about to expire. The fingerprint is the SHA-256 one that clients
// show when they ask whether to trust it.
func SelfSigned(dir string, hosts []string, now time.Time) (pair Pair, fingerprint string, err error) {
	name := filepath.Join(dir, "selfsigned.pem")
	pair = Pair{Certificate: name, Key: name}
	fingerprint, err = keptSelfSigned(pair, hosts, now)
	if err == nil || !errors.Is(err, errMakeAnew) {
		return pair, fingerprint, err
	}
	data, fingerprint, err := makeSelfSigned(hosts, now)
	if err != nil {
		return Pair{}, "", fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := writeSecret(name, data); err != nil {
		return Pair{}, "", fmt.Errorf("self-signed certificate: %w", err)
	}
	return pair, fingerprint, nil
}

var errMakeAnew = errors.New("a new certificate is needed")

func keptSelfSigned(pair Pair, hosts []string, now time.Time) (string, error) {
	_, err := os.Lstat(pair.Certificate)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errMakeAnew
	}
	if err != nil {
		return "", err
	}
	// Judged as of its own first day: an expired one is to be replaced, but
	// any other fault is not ours to paper over.
	data, _, err := readPEM(pair.Certificate)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", setupErrorf("%s holds no certificate: remove it, and a new one is made", pair.Certificate)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", setupErrorf("%s: %w: remove it, and a new one is made", pair.Certificate, err)
	}
	if _, err := readPair(pair, leaf.NotBefore); err != nil {
		return "", err
	}
	if now.Before(leaf.NotBefore) || now.Add(selfSignedMargin).After(leaf.NotAfter) {
		return "", errMakeAnew
	}
	for _, h := range hosts {
		if leaf.VerifyHostname(h) != nil {
			return "", errMakeAnew
		}
	}
	return fingerprint(leaf.Raw), nil
}

func makeSelfSigned(hosts []string, now time.Time) (pemData []byte, print string, err error) {
	if len(hosts) == 0 {
		return nil, "", errors.New("no host to name in it")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)), // positive (RFC 5280 4.1.2.2)
		Subject:               pkix.Name{CommonName: hosts[0], Organization: []string{"Postern self-signed"}},
		NotBefore:             now.Add(-time.Hour), // for clients whose clock is behind
		NotAfter:              now.Add(selfSignedLife - time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", err
	}
	pemData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pemData = append(pemData, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return pemData, fingerprint(der), nil
}

// writeSecret writes a file of mode 0600, whole or not at all: clients pin this
// certificate, so half of one after a crash would be a nuisance.
func writeSecret(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*.pem") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
