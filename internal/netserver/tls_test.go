package netserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTLSVersions(t *testing.T) {
	for _, test := range []struct {
		least        string
		client       uint16
		suites       []uint16
		want         string // "" is success
		refusedCount string
	}{
		{"", tls.VersionTLS10, nil, "protocol version not supported", "1.0"},
		{"", tls.VersionTLS11, nil, "protocol version not supported", "1.1"},
		{"", tls.VersionTLS12, nil, "protocol version not supported", "1.2"},
		{"1.3", tls.VersionTLS12, nil, "protocol version not supported", "1.2"},
		{"1.3", tls.VersionTLS13, nil, "", ""},
		{"1.2", tls.VersionTLS11, nil, "protocol version not supported", "1.1"},
		{"1.2", tls.VersionTLS12, nil, "", ""},
		{"1.2", tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}, "", ""},
		{"1.2", tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, "handshake failure", ""},
		{"1.2", tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}, "handshake failure", ""},
		{"1.2", tls.VersionTLS13, nil, "", ""},
	} {
		name := fmt.Sprintf("%x with %x to %q", test.client, test.suites, test.least)
		s := newTestServer(t, Limits{})
		cfg, err := NewTLSConfig(s.certs, test.least, "imap")
		if err != nil {
			t.Fatal(err)
		}
		s.serve(t, Listen{Setting: "listen.imaps", TLS: cfg, Handler: echo})
		client := s.client()
		client.MinVersion, client.MaxVersion, client.CipherSuites = tls.VersionTLS10, test.client, test.suites
		c := tls.Client(s.dial(t, "listen.imaps"), client)
		err = c.Handshake()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want == "":
			expect(t, c, "* hello")
			if v := c.ConnectionState().Version; v != test.client {
				t.Errorf("%s became %x", name, v)
			}
		case err == nil || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		if test.refusedCount != "" {
			eventually(t, name+" is counted", func() bool {
				return s.figure(t, "postern_tls_refused_old_total "+test.refusedCount) == 1 && s.figure(t, "postern_tls_failures_total version") == 1
			})
		}
	}
	if _, err := NewTLSConfig(nil, "1.1"); !errors.Is(err, ErrSetup) {
		t.Errorf("min_version 1.1: %v", err)
	}
}

func TestALPN(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{Setting: "listen.imaps", Handler: echo})
	for _, test := range []struct {
		offer []string
		got   string
		ok    bool
	}{
		{nil, "", true}, {[]string{"imap"}, "imap", true}, {[]string{"h2", "imap"}, "imap", true},
		{[]string{"http/1.1"}, "", false}, {[]string{"acme-tls/1"}, "", false}, {[]string{"IMAP"}, "", false},
		{[]string{"x\nforged\x1b[1m"}, "", false},
	} {
		client := s.client()
		client.NextProtos = test.offer
		c := tls.Client(s.dial(t, "listen.imaps"), client)
		err := c.Handshake()
		if (err == nil) != test.ok || c.ConnectionState().NegotiatedProtocol != test.got {
			t.Errorf("%q: %v, protocol %q", test.offer, err, c.ConnectionState().NegotiatedProtocol)
		}
		if err != nil && !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("%q: %v", test.offer, err)
		}
	}
	eventually(t, "the log has the hostile offer", func() bool { return strings.Contains(s.log.String(), "forged") })
	for line := range strings.Lines(s.log.String()) {
		if !strings.HasPrefix(line, "time=") || strings.Contains(line, "\x1b") {
			t.Errorf("a client wrote into the log: %q", line)
		}
	}
}

func TestOtherProtocolsOnTheTLSPort(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{Setting: "listen.imaps", Handler: echo})
	for _, first := range []string{"a LOGIN ada pw\r\n", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", strings.Repeat("\x00", 64<<10)} {
		c := s.dial(t, "listen.imaps")
		c.Write([]byte(first)) // may be cut short by the close
		got := make([]byte, 64)
		n, _ := c.Read(got)
		if n > 7 || n > 0 && got[0] != 0x15 { // one TLS alert record at most
			t.Errorf("%.10q was answered %q", first, got[:n])
		}
	}
	eventually(t, "they are counted", func() bool { return s.figure(t, "postern_tls_failures_total not_tls") == 4 })
}

func TestClientThatRefusesOurCertificate(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{Setting: "listen.imaps", Handler: echo})
	c := tls.Client(s.dial(t, "listen.imaps"), &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()})
	if err := c.Handshake(); err == nil {
		t.Fatal("the client accepted a certificate it cannot know")
	}
	eventually(t, "it is counted as the client's refusal", func() bool { return s.figure(t, "postern_tls_failures_total alert") == 1 })
}

// issue writes a certificate and its key for tests.
func issue(t *testing.T, dir, name string, change func(*x509.Certificate)) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{p.Certificate: {Type: "CERTIFICATE", Bytes: der}, p.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestBadCertificatesAreRefused(t *testing.T) {
	dir := t.TempDir()
	good := issue(t, dir, "good", nil)
	other := issue(t, dir, "other", nil)
	readable := issue(t, dir, "readable", nil)
	os.Chmod(readable.Key, 0o644)
	group := issue(t, dir, "group", nil)
	os.Chmod(group.Key, 0o640)
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, make([]byte, maxPEM+1), 0o600); err != nil {
		t.Fatal(err)
	}
	expired := issue(t, dir, "expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := issue(t, dir, "early", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	nameless := issue(t, dir, "nameless", func(c *x509.Certificate) { c.DNSNames = nil })
	for _, test := range []struct {
		pair Pair
		want string
	}{
		{good, ""},
		{group, ""},
		{Pair{good.Certificate, other.Key}, "does not match"},
		{Pair{good.Certificate, filepath.Join(dir, "none")}, "no such file"},
		{Pair{filepath.Join(dir, "none"), good.Key}, "no such file"},
		{Pair{dir, good.Key}, "no regular file"},
		{Pair{good.Key, good.Key}, "good.key"},
		{Pair{huge, good.Key}, "larger than"},
		{readable, "mode 0644"},
		{expired, "expired on"},
		{early, "valid only from"},
		{nameless, "subjectAltName"},
	} {
		_, err := NewCertificates(time.Now, test.pair)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrSetup) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: %v, want %q", test.pair, err, test.want)
		}
	}
	_, err := NewCertificates(time.Now, expired, readable)
	wantParts(t, fmt.Sprint(err), "expired on", "mode 0644")
	if _, err := NewCertificates(time.Now); !errors.Is(err, ErrSetup) {
		t.Errorf("no certificate at all: %v", err)
	}
}

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	p := issue(t, dir, "localhost", nil)
	now := time.Now()
	certs, err := NewCertificates(func() time.Time { return now }, p)
	if err != nil {
		t.Fatal(err)
	}
	if d := certs.Expiry().Sub(now); d < 59*time.Minute || d > 61*time.Minute {
		t.Errorf("expires in %v", d)
	}
	s := newTestServer(t, Limits{})
	cfg, err := NewTLSConfig(certs, "")
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, Listen{Setting: "listen.imaps", TLS: cfg, Handler: echo})
	cache := tls.NewLRUClientSessionCache(1)
	shown := func() (print string, resumed bool) {
		t.Helper()
		c := tls.Client(s.dial(t, "listen.imaps"), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: cache})
		expect(t, c, "* hello")
		state := c.ConnectionState()
		return fingerprint(state.PeerCertificates[0].Raw), state.DidResume
	}
	if print, resumed := shown(); print != certs.Fingerprints()[0] || resumed {
		t.Errorf("first: %s, resumed %v", print, resumed)
	}
	if _, resumed := shown(); !resumed {
		t.Error("a ticket was of no use")
	}

	var reports []error
	report := func(err error) { reports = append(reports, err) }
	poll := func(want int) {
		t.Helper()
		certs.poll(report)
		if len(reports) != want {
			t.Fatalf("%d reports (%v), want %d", len(reports), reports, want)
		}
	}
	old := certs.Fingerprints()[0]
	poll(0)

	// Half renewed: the new certificate is there, the new key is not. Said once.
	key, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	issue(t, dir, "localhost", nil)
	newKey, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, p.Key, key)
	poll(1)
	if reports[0] == nil || certs.Fingerprints()[0] != old {
		t.Errorf("a pair that does not match: %v", reports[0])
	}
	poll(1)
	if err := certs.Reload(); err == nil {
		t.Error("Reload of a bad pair said nothing")
	}
	cache = tls.NewLRUClientSessionCache(1)
	if print, _ := shown(); print != old {
		t.Error("the old certificate is not shown any more")
	}
	rewrite(t, p.Key, newKey)
	poll(2)
	if reports[1] != nil || certs.Fingerprints()[0] == old {
		t.Errorf("the whole new pair: %v", reports[1])
	}
	if print, _ := shown(); print != certs.Fingerprints()[0] {
		cache = tls.NewLRUClientSessionCache(1)
		if print, _ = shown(); print != certs.Fingerprints()[0] {
			t.Error("the new certificate is not shown")
		}
	}

	// Another pair by configuration; one that has expired changes nothing.
	other := issue(t, dir, "other", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	current := certs.Fingerprints()[0]
	if err := certs.Use(other); err == nil || certs.Fingerprints()[0] != current {
		t.Errorf("an expired pair: %v", err)
	}
	if err := certs.Use(issue(t, dir, "third", nil)); err != nil || certs.Fingerprints()[0] == current {
		t.Errorf("another pair: %v", err)
	}
}

func TestWatchReportsAndEnds(t *testing.T) {
	dir := t.TempDir()
	certs, err := NewCertificates(time.Now, issue(t, dir, "localhost", nil))
	if err != nil {
		t.Fatal(err)
	}
	old := certs.Fingerprints()[0]
	reports := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		certs.Watch(ctx, time.Millisecond, func(err error) { reports <- err })
		close(ended)
	}()
	issue(t, filepath.Join(dir), "localhost", nil)
	for certs.Fingerprints()[0] == old { // between the two files there may be a report of a bad pair
		<-reports
	}
	cancel()
	<-ended
}

// rewrite replaces a file as certificate tools do: a new file moved into place.
func rewrite(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateByName(t *testing.T) {
	dir := t.TempDir()
	certs, err := NewCertificates(time.Now, issue(t, dir, "mail.example.org", nil), issue(t, dir, "imap.example.net", nil))
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, Limits{})
	cfg, err := NewTLSConfig(certs, "")
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, Listen{Setting: "listen.imaps", TLS: cfg, Handler: echo})
	for asked, want := range map[string]int{"mail.example.org": 0, "imap.example.net": 1, "unknown.example.com": 0, "": 0} {
		c := tls.Client(s.dial(t, "listen.imaps"), &tls.Config{InsecureSkipVerify: true, ServerName: asked})
		expect(t, c, "* hello")
		if got := fingerprint(c.ConnectionState().PeerCertificates[0].Raw); got != certs.Fingerprints()[want] {
			t.Errorf("%q got another certificate than number %d", asked, want)
		}
	}
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	now := time.Now()
	hosts := []string{"mail.example.org", "localhost", "127.0.0.1", "::1"}
	p, print, err := SelfSigned(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.Key)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("key file: %v %v", info.Mode(), err)
	}
	text, err := os.ReadFile(p.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%X", sha256.Sum256(block.Bytes)); strings.ReplaceAll(print, ":", "") != want || len(print) != 95 {
		t.Errorf("fingerprint %s, want %s", print, want)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, h := range hosts {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: h, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", leaf.PublicKey)
	}
	if days := leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24; days > 825 {
		t.Errorf("valid for %v days", days)
	}

	same := func(hosts []string, at time.Time) bool {
		t.Helper()
		_, again, err := SelfSigned(dir, hosts, at)
		if err != nil {
			t.Fatal(err)
		}
		return again == print
	}
	if !same(hosts, now) || !same(hosts[:1], now.Add(400*24*time.Hour)) {
		t.Error("it was made again without need")
	}
	if err := os.Chmod(p.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := SelfSigned(dir, hosts, now); !errors.Is(err, ErrSetup) {
		t.Errorf("a key that everybody may read: %v", err)
	}
	if err := os.Chmod(p.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if same(append(hosts, "other.example.org"), now) {
		t.Error("it lacks a host, and was kept")
	}
	print = ""
	if _, print, err = SelfSigned(dir, hosts, now); err != nil || same(hosts, now.Add(800*24*time.Hour)) {
		t.Errorf("it is about to expire, and was kept (%v)", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v %v", left, err)
	}
	if err := os.WriteFile(p.Key, []byte("what is this"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := SelfSigned(dir, hosts, now); !errors.Is(err, ErrSetup) {
		t.Errorf("a file that is no certificate: %v", err)
	}
	if _, _, err := SelfSigned(t.TempDir(), nil, now); err == nil {
		t.Error("a certificate for nobody was made")
	}
}

func TestRSAWithTLS12(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rsa.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	certs, err := NewCertificates(time.Now, Pair{name, name})
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, Limits{})
	cfg, err := NewTLSConfig(certs, "1.2", "imap")
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, Listen{Setting: "listen.imaps", TLS: cfg, Handler: echo})
	c := tls.Client(s.dial(t, "listen.imaps"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	expect(t, c, "* hello")
	if suite := tls.CipherSuiteName(c.ConnectionState().CipherSuite); !strings.HasPrefix(suite, "TLS_ECDHE_RSA_WITH_AES_") && !strings.HasPrefix(suite, "TLS_ECDHE_RSA_WITH_CHACHA20") {
		t.Errorf("suite %s", suite)
	}
}

func TestCheckGODEBUG(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "http2debug=1,netdns=go": "", "tls10server=0": "", "gctrace=1": "",
		"tls10server=1": "tls10server=1", "tlsrsakex=1": "tlsrsakex=1", "tls3des=1": "tls3des=1", "tlsunsafeekm=1": "tlsunsafeekm=1",
		"tlssha1=1": "tlssha1=1", "tlsmlkem=0": "tlsmlkem=0", "tlsmaxrsasize=16384": "tlsmaxrsasize=16384", "tlssecpmlkem=0": "tlssecpmlkem=0",
		"gctrace=1, tls10server=1,tls3des=1": "tls10server=1, tls3des=1", "tlsrsakex=1#17": "tlsrsakex=1",
	} {
		err := CheckGODEBUG(value)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrSetup) || !strings.Contains(err.Error(), "("+want+")")) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
