package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"postern/internal/testenv"
)

// A Contender is a server that a program starts, and not a test: bench/compare lets Postern and its peers run
// against each other. It keeps its data between Stop and Start.
type Contender struct {
	Name     string   // "postern", "dovecot mdbox"
	Version  string   // as the server says it
	Settings []string // what is not as it comes
	TLS      string   // host:port of IMAP over TLS
	LMTP     string   // host:port
	Users    []string
	Password string // of them all

	dir      string // removed at the end
	certFile string
	plain    string
	command  func() *exec.Cmd
	furnish  func() error // makes the accounts once it has started for the first time; nil when done
	log      *lockedBuffer
	process  *exec.Cmd
	ended    chan struct{}
	patience time.Duration // with its end
}

// Race says how contenders are set up, so that they are alike.
type Race struct {
	Users       int // accounts
	Connections int // one account may have at a time
}

func (r Race) users() []string {
	names := make([]string, r.Users)
	for i := range names {
		names[i] = fmt.Sprintf("user%d@example.org", i+1)
	}
	return names
}

// NewPostern sets Postern up: the binary, with its embedded store in a directory under build/, which is on the disk
// that the peers have, too.
func NewPostern(binary string, r Race) (*Contender, error) {
	build := filepath.Join(testenv.ModuleRoot(), "build")
	if err := os.MkdirAll(build, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(build, "race-")
	if err != nil {
		return nil, err
	}
	c := &Contender{Name: "postern", dir: dir, Users: r.users(), Password: accountPassword, log: &lockedBuffer{}, patience: stopPatience}
	version, err := exec.Command(binary, "version").Output()
	if err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	c.Version = strings.TrimSpace(string(version))
	keyFile, err := c.address()
	if err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	config := filepath.Join(dir, "postern.toml")
	text := posternConfig(filepath.Join(dir, "data"), c.certFile, keyFile, c.plain, c.TLS, c.LMTP) +
		fmt.Sprintf("\n[imap]\nsessions_per_account = %d\n", r.Connections)
	c.Settings = []string{fmt.Sprintf("sessions_per_account = %d", r.Connections)}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	c.command = func() *exec.Cmd { return exec.Command(binary, "--config", config, "serve") }
	c.furnish = func() error {
		for _, name := range c.Users {
			add := exec.Command(binary, "--config", config, "account", "add", name)
			add.Stdin = strings.NewReader(c.Password + "\n")
			if out, err := add.CombinedOutput(); err != nil {
				return fmt.Errorf("account add: %w\n%s", err, out)
			}
		}
		return nil
	}
	return c, nil
}

// NewDovecot sets Debian's Dovecot up, with mailboxes in a format: "maildir", "sdbox" or "mdbox"; with "+xapian" behind it
// it indexes all mail for searches, by the plugin of that name. Passwords are
// plain, and login processes serve many connections, as its manual advises for speed. alwaysSync has it sync flag
// changes, too, as Postern does. It takes root, and the packages that `make test` fetches.
func NewDovecot(format string, alwaysSync bool, r Race) (*Contender, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("dovecot runs in a root directory of its own, which takes root")
	}
	programs := testenv.Programs()
	program := programs[slices.IndexFunc(programs, func(p testenv.Program) bool { return p.Name == "dovecot" })]
	if _, err := program.Find(); err != nil {
		return nil, err
	}
	root := program.Root()
	dir, err := os.MkdirTemp(root, "instance-")
	if err != nil {
		return nil, err
	}
	c := &Contender{Name: "dovecot " + format, dir: dir, Users: r.users(), Password: accountPassword, log: &lockedBuffer{}, patience: stopPatience}
	if err := c.setUpDovecot(root, format, alwaysSync, r); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return c, nil
}

func (c *Contender) setUpDovecot(root, format string, alwaysSync bool, r Race) error {
	mail := filepath.Join(c.dir, "mail")
	if err := errors.Join(os.Chmod(c.dir, 0o755), os.Mkdir(mail, 0o700), os.Chown(mail, dovecotMailUser, dovecotMailUser)); err != nil {
		return err
	}
	if _, err := c.address(); err != nil {
		return err
	}
	more := fmt.Sprintf("default_client_limit = 20000\nauth_verbose = no\n"+
		"service imap-login {\n  service_count = 0\n  process_min_avail = 2\n  client_limit = %d\n}\n"+
		"service imap {\n  process_limit = %d\n}\n", r.Connections+1000, r.Connections+1000)
	c.Settings = []string{"service imap-login: service_count = 0, process_min_avail = 2", "passdb static {PLAIN}",
		fmt.Sprintf("service imap: process_limit = %d", r.Connections+1000)}
	if alwaysSync {
		more += "mail_fsync = always\n"
		c.Name += ", mail_fsync=always"
		c.Settings = append(c.Settings, "mail_fsync = always")
	}
	format, indexed := strings.CutSuffix(format, "+xapian")
	if indexed {
		if _, err := os.Stat(filepath.Join(root, "usr/lib/dovecot/modules/lib21_fts_xapian_plugin.so")); err != nil {
			return fmt.Errorf("the plugin is missing: fetch Dovecot again (remove %s and run make test): %w", filepath.Dir(root), err)
		}
		more += "mail_plugins = fts fts_xapian\nservice indexer-worker {\n  vsz_limit = 0\n}\n" +
			"plugin {\n  fts = xapian\n  fts_xapian = partial=3 full=20\n  fts_autoindex = yes\n  fts_enforced = yes\n}\n"
		c.patience = 5 * time.Minute // it may be behind with its index
		c.Settings = append(c.Settings, "fts = xapian: partial=3 full=20, fts_autoindex = yes, fts_enforced = yes")
	}
	inside := "/" + filepath.Base(c.dir)
	var config strings.Builder
	err := dovecotConfig.Execute(&config, map[string]any{
		"StillHere": "2 mins", // Dovecot's own
		"Dir":       inside, "UID": dovecotMailUser, "Password": c.Password, "Location": format + ":~/mail", "More": more,
		"Plain": port(c.plain), "TLS": port(c.TLS), "LMTP": port(c.LMTP),
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, "dovecot.conf"), []byte(config.String()), 0o644)
	}
	c.command = func() *exec.Cmd { return dovecotCommand(root, "-F", "-c", inside+"/dovecot.conf") }
	if err != nil {
		return err
	}
	version, err := dovecotCommand(root, "--version").Output()
	c.Version = "Dovecot " + strings.TrimSpace(string(version))
	return err
}

// address chooses ports and makes the certificate.
func (c *Contender) address() (keyFile string, err error) {
	ports, err := takePorts(3)
	if err != nil {
		return "", err
	}
	c.plain, c.TLS, c.LMTP = ports[0], ports[1], ports[2]
	c.certFile, keyFile, err = makeCertificate(c.dir)
	return keyFile, err
}

// TLSConfig is a client's: TLS 1.3 with X25519, which every contender can.
func (c *Contender) TLSConfig() (*tls.Config, error) {
	text, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", c.certFile)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}, nil
}

// Start starts it and waits until it answers.
func (c *Contender) Start(ctx context.Context) error {
	cmd := c.command()
	cmd.Stdout, cmd.Stderr = c.log, c.log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in the log
	}()
	c.process, c.ended = cmd, ended
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, c.plain, "* OK "); err != nil {
		return errors.Join(fmt.Errorf("%s: %w\n%s", c.Name, err, c.log), c.Stop())
	}
	if c.furnish == nil {
		return nil
	}
	if err := c.furnish(); err != nil {
		return errors.Join(err, c.Stop())
	}
	c.furnish = nil
	return nil
}

// PID is its first process; 0 while it is not running.
func (c *Contender) PID() int {
	if c.process == nil {
		return 0
	}
	return c.process.Process.Pid
}

// Log is what it has written so far.
func (c *Contender) Log() string { return c.log.String() }

// Stop ends it in good order, and after a while in any.
func (c *Contender) Stop() error {
	if c.process == nil {
		return nil
	}
	pid := c.PID()
	c.process = nil
	var err error
	if e := syscall.Kill(pid, syscall.SIGTERM); e != nil && e != syscall.ESRCH {
		err = e
	}
	select {
	case <-c.ended:
	case <-time.After(c.patience):
		err = errors.Join(err, fmt.Errorf("%s did not end within %v of SIGTERM", c.Name, c.patience))
	}
	if e := syscall.Kill(-pid, syscall.SIGKILL); e != nil && e != syscall.ESRCH { // what is left of its group
		err = errors.Join(err, e)
	}
	<-c.ended
	return err
}

// Remove stops it and removes its data.
func (c *Contender) Remove() error {
	return errors.Join(c.Stop(), os.RemoveAll(c.dir))
}
