package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"postern/internal/bench"
)

type benchCommand struct {
	Server string `arg:"" name:"host[:port]" help:"The IMAP server; port 993 unless given."`

	User         []string `required:"" placeholder:"NAME" help:"Account to sign in as. May be given several times; connections are spread over the accounts. Better accounts made for it: what is written is removed again, but it is load."`
	PasswordFile string   `required:"" placeholder:"FILE" help:"File with the password of them all in its first line."`
	CA           string   `name:"ca" placeholder:"FILE" help:"PEM file of the certificates to trust, such as a self-made one."`
	Insecure     bool     `help:"Believe any certificate. For servers under test."`
	Plaintext    bool     `help:"No TLS. The password goes over the wire as it is."`
	LMTP         string   `name:"lmtp" placeholder:"ADDR" help:"Where the same server takes mail by LMTP: HOST:PORT or unix:PATH."`
	PID          int      `name:"pid" placeholder:"N" help:"The server's first process, if it runs on this machine: its processor time and memory are measured, with those of its children."`

	Profile      []string      `placeholder:"NAME" help:"What to measure: mixed, login, append, lmtp, push, idle, big. May be given several times; without it all of them."`
	For          time.Duration `default:"20s" help:"How long each of mixed, login, append and lmtp."`
	Connections  int           `default:"20" help:"Connections of mixed, login, append and lmtp."`
	Size         int           `default:"26624" help:"Octets of a message, on average."`
	Messages     int           `default:"20000" help:"Messages of the big mailbox."`
	BigSize      int           `default:"6144" help:"Octets of a message in it, on average."`
	Repeat       int           `default:"3" help:"How often each operation on it."`
	Keep         bool          `help:"Leave the big mailbox for a later run."`
	Cold         bool          `help:"The big mailbox was kept by an earlier run and the server has started since: each operation once."`
	Idle         int           `default:"500" help:"Idle connections."`
	IdleMessages int           `default:"1000" help:"Messages in the mailboxes they look at."`
	IdleWait     time.Duration `default:"30s" help:"How long they idle before memory is measured."`
	Pushes       int           `default:"50" help:"Messages whose news are timed."`
	Seed         uint64        `default:"1" help:"Another seed makes other mail."`
	JSON         bool          `name:"json" help:"Print the report as JSON."`
}

// Help explains what kong prints below the flags.
func (benchCommand) Help() string {
	var b strings.Builder
	b.WriteString("Profiles:\n")
	names, help := bench.Profiles()
	for i := range names {
		fmt.Fprintf(&b, "\n  %-7s %s", names[i], help[i])
	}
	b.WriteString("\n\nEvery answer is compared with what must come; a wrong one is listed and makes the exit code 1. Ctrl-C ends the " +
		"run, removes what it wrote and prints what was measured by then.")
	return b.String()
}

// Run measures and prints the report, also that of a run that was broken off.
func (b benchCommand) Run(ctx context.Context, t *terminal) error {
	cfg, err := b.config()
	if err != nil {
		return err
	}
	pace := &benchPace{t: t}
	if f, ok := t.err.(*os.File); ok {
		pace.live = term.IsTerminal(int(f.Fd()))
	}
	cfg.Progress = pace.tell
	report, err := bench.Run(ctx, cfg)
	pace.clear()
	if report == nil {
		return err
	}
	if b.JSON {
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		err = errors.Join(err, e.Encode(report))
	} else {
		err = errors.Join(err, report.Print(t.out))
	}
	if wrong := report.Wrong(); err == nil && len(wrong) > 0 {
		err = fmt.Errorf("wrong answers, %d kinds of them: see the report", len(wrong))
	}
	return err
}

func (b benchCommand) config() (bench.Config, error) {
	cfg := bench.Config{Address: b.Server, LMTP: b.LMTP, PID: b.PID, Profiles: b.Profile, For: b.For,
		Connections: b.Connections, Size: b.Size, Messages: b.Messages, BigSize: b.BigSize, Repeat: b.Repeat, Cold: b.Cold,
		Keep: b.Keep, Idle: b.Idle, IdleMessages: b.IdleMessages, IdleWait: b.IdleWait, Pushes: b.Pushes, Seed: b.Seed}
	host, _, err := net.SplitHostPort(b.Server)
	if err != nil {
		host = strings.Trim(b.Server, "[]")
		cfg.Address = net.JoinHostPort(host, "993")
	}
	text, err := os.ReadFile(b.PasswordFile)
	if err != nil {
		return cfg, err
	}
	password, _, _ := strings.Cut(string(text), "\n")
	password = strings.TrimSuffix(password, "\r")
	for _, name := range b.User {
		if strings.ContainsAny(name+password, "\r\n\x00") {
			return cfg, setupErrorf("a name or password with a control character")
		}
		cfg.Users = append(cfg.Users, bench.Credential{Name: name, Password: password})
	}
	if b.Plaintext {
		return cfg, nil
	}
	cfg.TLS = &tls.Config{ServerName: host, InsecureSkipVerify: b.Insecure} // asked for by name
	if b.CA != "" {
		pem, err := os.ReadFile(b.CA)
		if err != nil {
			return cfg, err
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, setupErrorf("no certificate in %s", b.CA)
		}
	}
	return cfg, nil
}

// benchPace tells how far a run is: on a terminal in one line that changes, otherwise in a line for each thing done
// and every half minute.
type benchPace struct {
	t     *terminal
	live  bool
	doing string
	said  time.Duration
}

func (p *benchPace) tell(at bench.Progress) {
	if p.live {
		p.clear()
		fmt.Fprint(p.t.err, at)
		return
	}
	if at.Doing == p.doing && at.Elapsed < p.said+30*time.Second {
		return
	}
	p.doing, p.said = at.Doing, at.Elapsed
	fmt.Fprintln(p.t.err, "postern:", at)
}

func (p *benchPace) clear() {
	if p.live {
		fmt.Fprint(p.t.err, "\r\x1b[K")
	}
}
