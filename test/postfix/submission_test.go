package postfix_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
	"postern/test/peer"
)

// submissionHouse is a house whose Postfix asks Postern who its clients are, and takes mail of nobody else. TLS is with
// Postern's certificate.
func submissionHouse(t *testing.T) *house {
	t.Helper()
	postfix := peer.NewPostfix(t)
	listener := fmt.Sprintf("[[listen.lmtp]]\naddress = %q\nowner = \"%d\"\ngroup = \"%[2]d\"\nmode = \"0600\"\n"+
		"[[listen.auth]]\naddress = %[3]q\nowner = \"%[2]d\"\ngroup = \"%[2]d\"\nmode = \"0600\"\n",
		"unix:"+postfix.Socket("postern-lmtp"), peer.PostfixUser, "unix:"+postfix.Socket("postern-auth"))
	postern := peer.NewNode(t, filepath.Join(t.TempDir(), "data"), listener)
	postern.Start(t)
	settings := documented(t, "main.cf") + documented(t, "sasl") +
		"smtpd_sasl_auth_enable = yes\nsmtpd_client_restrictions = permit_sasl_authenticated, reject\nsmtpd_tls_security_level = may\n"
	for name, file := range map[string]string{"smtpd_tls_cert_file": postern.CertFile, "smtpd_tls_key_file": postern.KeyFile} {
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		settings += name + " = " + postfix.File(t, name, pem) + "\n"
	}
	postfix.Start(t, settings)
	return &house{t, postern, postfix}
}

// TestSubmission sends mail through Postfix as people's programs do. Who they are Postfix asks Postern: right passwords
// and app passwords let in, wrong ones, disabled accounts, app passwords for reading, and a policy's networks do not.
func TestSubmission(t *testing.T) {
	curl, gsasl := testenv.Need(t, "curl"), testenv.Need(t, "gsasl")
	h := submissionHouse(t)
	password := h.postern.AddAccount(t, "ann@example.org")
	bob := h.account("bob@example.org")
	h.postern.Command(t, "alias", "add", "annie@example.org", "ann@example.org")
	app := secondLine(h.postern.Command(t, "account", "app", "add", "ann@example.org", "phone"))
	reading := secondLine(h.postern.Command(t, "account", "app", "add", "--read-only", "ann@example.org", "backup"))
	_, port, err := net.SplitHostPort(h.postfix.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	letter := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(letter, []byte(head+"hello\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		return string(out), err
	}
	send := func(user, password, mechanism string) (string, error) {
		return run(curl, "--silent", "--show-error", "--verbose", "--ssl-reqd", "--cacert", h.postern.CertFile, "--url", "smtp://localhost:"+port,
			"--user", user+":"+password, "--login-options", "AUTH="+mechanism, "--mail-from", "ann@example.org", "--mail-rcpt", "bob@example.org",
			"--upload-file", letter)
	}
	for _, c := range []struct {
		user, password, mechanism string
	}{
		{"ann@example.org", password, "PLAIN"}, {"ann@example.org", password, "LOGIN"}, {"annie@example.org", password, "PLAIN"},
		{"ann@example.org", app, "PLAIN"},
	} {
		if out, err := send(c.user, c.password, c.mechanism); err != nil {
			t.Errorf("%s as %s: %v\n%s", c.mechanism, c.user, err, out)
		}
	}
	h.await(bob, "INBOX", 4)
	if got := strings.Count(h.postfix.Log(), "sasl_username=ann@example.org"); got != 4 {
		t.Errorf("Postfix knows the sender of %d messages, want 4\n%s", got, h.postfix.Log())
	}
	for _, c := range []struct {
		user, password, mechanism string
	}{
		{"ann@example.org", password + "x", "PLAIN"}, {"ann@example.org", password + "x", "LOGIN"},
		{"nobody@example.org", password, "PLAIN"}, {"ann@example.org", reading, "PLAIN"},
	} {
		out, err := send(c.user, c.password, c.mechanism)
		if err == nil || !strings.Contains(out, "< 535 5.7.8 ") {
			t.Errorf("%s as %s was not refused: %v\n%s", c.mechanism, c.user, err, out)
		}
	}
	// GNU SASL insists that the server proves itself too.
	for _, given := range []string{password, password + "x"} {
		out, err := run(gsasl, "--smtp", "--verbose", "--no-cb", "--mechanism=SCRAM-SHA-256", "--authentication-id=ann@example.org", "--authorization-id=",
			"--password="+given, "--connect=localhost:"+port, "--x509-ca-file="+h.postern.CertFile)
		if right := given == password; right != (err == nil) || right != strings.Contains(out, "235 2.7.0 ") {
			t.Errorf("SCRAM-SHA-256: %v\n%s", err, out)
		}
	}
	// Each try is in the log, as one of this service and from where the client is.
	lines := func(what string) (n int, log string) {
		log = h.postern.Log()
		for line := range strings.Lines(log) {
			if strings.Contains(line, what) && strings.Contains(line, " service=smtp") && strings.Contains(line, " remote=127.0.0.1:") {
				n++
			}
		}
		return n, log
	}
	for what, want := range map[string]int{
		`msg=login session=`: 5, `reason=wrong_password`: 3, `reason=unknown_user`: 1, `reason=not_permitted`: 1,
	} {
		got, log := lines(what)
		for tries := 0; got < want && tries < 200; tries++ { // what a client is told may be ahead of the log
			time.Sleep(50 * time.Millisecond)
			got, log = lines(what)
		}
		if got != want {
			t.Errorf("%d lines with %q, want %d\n%s", got, what, want, log)
		}
	}
	// While Postern is away nobody is told that their password is wrong, and Postfix finds it again.
	h.postern.Stop(t)
	if out, err := send("ann@example.org", password, "PLAIN"); err == nil || strings.Contains(out, "< 535 ") {
		t.Errorf("without Postern: %v\n%s", err, out)
	}
	h.postern.Start(t)
	if out, err := send("ann@example.org", password, "PLAIN"); err != nil {
		t.Errorf("after a restart: %v\n%s", err, out)
	}
	h.await(bob, "INBOX", 5)
}

// secondLine is where the app password stands in what postern prints.
func secondLine(text string) string {
	_, after, _ := strings.Cut(text, "\n")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
