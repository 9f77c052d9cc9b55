package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/netserver"
)

// trialMail is what the trial account finds in its INBOX.
//
//go:embed trialmail/*.eml
var trialMail embed.FS

type trialCommand struct {
	IMAPS int `default:"1993" help:"Port for IMAP inside TLS."`
	IMAP  int `default:"1143" help:"Port for IMAP with STARTTLS."`
	LMTP  int `default:"1024" help:"Port for LMTP."`
}

const (
	trialAccount = "trial@localhost"
	trialData    = "postern-data"
	trialSecret  = "trial-password" // file in the data directory, so that the next run prints the same
)

// Run serves on loopback, with an account and mail made the first time.
func (tc trialCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	if c.Config != "" {
		return setupErrorf("a trial reads no configuration: leave --config out, or use postern serve")
	}
	cfg := config.Default()
	cfg.Data = trialData
	cfg = c.override(cfg)
	cfg.Hostname = "localhost"
	at := func(port int) []config.Listener {
		return []config.Listener{{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}}
	}
	cfg.Listen = config.Listen{IMAPS: at(tc.IMAPS), IMAP: at(tc.IMAP), LMTP: at(tc.LMTP)}
	cfg.Log.Level = "warn"
	same := func() (config.Config, error) { return cfg, nil }
	return explainTrial(serve(ctx, cfg, same, t.err, func(s *server) error {
		password, err := s.prepareTrial(ctx)
		if err != nil {
			return err
		}
		return tc.explain(t.out, s, password)
	}))
}

// prepareTrial makes the account and its mail if they are not there, and gives
// the password.
func (s *server) prepareTrial(ctx context.Context) (string, error) {
	secret := filepath.Join(s.cfg.Data, trialSecret)
	if kept, err := os.ReadFile(secret); err == nil {
		return strings.TrimSpace(string(kept)), s.fillTrial(ctx)
	}
	password := strings.ToLower(rand.Text()[:16])
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	if _, err := s.addAccount(ctx, trialAccount, password); err != nil {
		return "", errors.Join(err, os.Remove(secret))
	}
	return password, s.fillTrial(ctx)
}

// fillTrial puts the sample mail into an INBOX that never had any.
func (s *server) fillTrial(ctx context.Context) error {
	identity, err := s.find(ctx, trialAccount)
	if err != nil {
		return err
	}
	acct, err := s.pool.Open(ctx, identity.ID)
	if err != nil {
		return err
	}
	defer acct.Release()
	inbox, err := acct.Mailbox(mail.Inbox, mail.RightInsert)
	if err != nil || inbox.Info().Counts.UIDNext > 1 {
		return err
	}
	messages, err := s.keepTrialMail(ctx)
	if err != nil {
		return err
	}
	_, err = inbox.Append(ctx, messages)
	return err
}

func (s *server) keepTrialMail(ctx context.Context) ([]account.NewMessage, error) {
	files, err := trialMail.ReadDir("trialmail")
	if err != nil {
		return nil, err
	}
	var messages []account.NewMessage
	for _, f := range files {
		text, err := trialMail.ReadFile("trialmail/" + f.Name())
		if err != nil {
			return nil, err
		}
		content, err := s.pool.Keep(ctx, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		messages = append(messages, account.NewMessage{Content: content, Date: mail.NewInternalDate(dateOf(text))})
	}
	return messages, nil
}

func dateOf(text []byte) time.Time {
	m, err := netmail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return time.Now()
	}
	date, err := m.Header.Date()
	if err != nil {
		return time.Now()
	}
	return date
}

// explain says how to connect. The lines account: and password: are for scripts
// too. New mail is brought by bash alone, which every machine has that has make;
// it waits for each answer, as LMTP asks for (RFC 2033 4.2, RFC 5321 4.1.1.4).
func (tc trialCommand) explain(w io.Writer, s *server, password string) error {
	certificate := shellWord(filepath.Join(s.cfg.Data, "selfsigned.pem"))
	_, err := fmt.Fprintf(w, `
Postern is running. Its data is in %[1]s; Ctrl-C ends it, and the next run finds everything again.

account: %[2]s
password: %[3]s
certificate (SHA-256): %[4]s

IMAPS 127.0.0.1:%[5]d    IMAP with STARTTLS 127.0.0.1:%[6]d    LMTP 127.0.0.1:%[7]d

Thunderbird   New account > Existing mail, any name, the address above, Configure manually:
              incoming IMAP, host 127.0.0.1, port %[5]d, SSL/TLS, Normal password, user name %[2]s.
              It asks once about the self-made certificate: compare the fingerprint.
              (Outgoing mail is not Postern's affair: keep whatever it proposes.)

curl          curl --cacert %[8]s -u %[2]s:%[3]s 'imaps://localhost:%[5]d/INBOX;MAILINDEX=1'

openssl       openssl s_client -quiet -crlf -CAfile %[8]s -connect localhost:%[5]d
              and then, a line at a time:
              a LOGIN %[2]s %[3]s
              b SELECT INBOX
              c FETCH 1:* (FLAGS ENVELOPE)
              d LOGOUT

New mail      bash -c 'exec 3<>/dev/tcp/127.0.0.1/%[7]d; read -u 3; for c in "LHLO me" "MAIL FROM:<me@example.org>" "RCPT TO:<%[2]s>" DATA "Subject: hello\r\n\r\nHello!\r\n." QUIT; do printf "$c\r\n" >&3; while read -u 3 l; do echo "$l"; [[ $l == ???-* ]] || break; done; done'

`, s.cfg.Data, trialAccount, password, s.print, tc.IMAPS, tc.IMAP, tc.LMTP, certificate)
	return err
}

// shellWord quotes a word for the shell, if it needs it.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./+,:@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// trialFlags are the flags that move a trial's listeners, by their settings.
var trialFlags = map[string]string{"listen.imaps": "--imaps PORT", "listen.imap": "--imap PORT", "listen.lmtp": "--lmtp PORT"}

// explainTrial names the flag in place of the setting in every error about a
// port: a trial has no configuration.
func explainTrial(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []error
		for _, one := range joined.Unwrap() {
			list = append(list, explainTrial(one))
		}
		return errors.Join(list...)
	}
	var taken *netserver.TakenError
	var privilege *netserver.PrivilegeError
	switch {
	case errors.As(err, &taken):
		with := *taken
		with.Setting = trialFlags[taken.Setting]
		return &with
	case errors.As(err, &privilege):
		with := *privilege
		with.Setting = trialFlags[privilege.Setting]
		return &with
	}
	return err
}
