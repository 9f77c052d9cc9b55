// Command postern is the Postern mail server and everything its administrator
// does with it. Configuration, flags, wiring and signals live here, in the roof;
// no package below knows a file format or a flag.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"postern/cmd/postern/config"
	"postern/internal/netserver"
	"postern/internal/store/embedded"
)

// commands is the command line.
type commands struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file (default: /etc/postern/postern.toml if it is there)."`
	Data   string `short:"d" placeholder:"DIR" help:"Data directory, in place of the configured one."`

	Serve   serveCommand          `cmd:"" help:"Run the server."`
	Trial   trialCommand          `cmd:"" help:"Run a server to try, with an account and some mail, on ports anybody may open."`
	Account accountGroup          `cmd:"" help:"Add, list, rename and remove accounts; set passwords."`
	Alias   aliasGroup            `cmd:"" help:"Add, list and remove aliases and catch-alls."`
	Mailbox mailboxGroup          `cmd:"" help:"Look at and change an account's mailboxes."`
	Status  statusCommand         `cmd:"" help:"Tell how the running server is, and what wants doing."`
	Policy  policyGroup           `cmd:"" help:"See which of the configuration's rules hold for an account."`
	Guard   guardGroup            `cmd:"" help:"See how signing in is guarded against guessing, and help somebody in."`
	Meta    metadataGroup         `cmd:"" name:"metadata" help:"List, set and remove what the server tells all clients about itself."`
	Index   indexGroup            `cmd:"" help:"See how far the text index has come, and make it anew."`
	Store   storeGroup            `cmd:"" help:"Make or migrate the tables of a database that several nodes keep mail in."`
	Check   checkCommand          `cmd:"" help:"Go over everything stored, running or not, and say what is wrong."`
	Backup  backupCommand         `cmd:"" help:"Copy everything stored, as of one moment, running or not."`
	Restore restoreCommand        `cmd:"" help:"Bring a backup back into an empty data directory."`
	Undo    restoreDeletedCommand `cmd:"" name:"restore-deleted" help:"Bring back mail that was deleted and is still kept."`
	Import  importGroup           `cmd:"" help:"Bring mail in from an mbox file or a maildir."`
	Export  exportGroup           `cmd:"" help:"Write mail out as a maildir or an mbox file."`
	Conf    configGroup           `cmd:"" name:"config" help:"Check or show the configuration."`
	Profile profileCommand        `cmd:"" help:"Fetch a profile of the running server, for go tool pprof."`
	Bench   benchCommand          `cmd:"" help:"Put load on an IMAP server, this one or any other, and measure how it bears it."`
	Operate operateCommand        `cmd:"" hidden:""`
	Version versionCommand        `cmd:"" help:"Print the version."`
}

// Exit codes beside 0 and 1: sysexits.h's, and the shell's for an interrupted
// command.
const (
	exitUsage       = 64
	exitConfig      = 78 // a configuration or address that cannot work: restarting will not help
	exitInterrupted = 130
)

func main() {
	// Whatever this process makes, and whatever it remembers, is its user's alone.
	syscall.Umask(0o077)
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		fmt.Fprintln(os.Stderr, "postern: core dumps cannot be turned off:", err)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// terminal is what a command talks to.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("postern"), kong.UsageOnError(),
		kong.Description("An IMAP mail server."), kong.Writers(out, errOut),
		kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(errOut, "postern:", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help has been answered
		return exited
	}
	if err != nil {
		parser.Errorf("%s", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who asks twice is in a hurry: the second signal ends the process at once
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&c, &terminal{in, out, errOut})
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(errOut, "postern: interrupted")
		return exitInterrupted
	}
	complain(errOut, err)
	return exitCode(err)
}

// complain prints an error, which may be several: each on a line of its own that
// says who speaks.
func complain(w io.Writer, err error) {
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fmt.Fprintln(w, "postern:", line)
	}
}

// setupError is a mistake of the administrator's that no package below knows.
type setupError struct{ err error }

func setupErrorf(format string, args ...any) error { return &setupError{fmt.Errorf(format, args...)} }

// Error says what is wrong.
func (e *setupError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *setupError) Unwrap() error { return e.err }

// exitCode tells what restarting cannot mend from what it may.
func exitCode(err error) int {
	var mistakes *config.Mistakes
	var locked *embedded.LockedError
	var setup *setupError
	if errors.As(err, &mistakes) || errors.As(err, &locked) || errors.As(err, &setup) || errors.Is(err, netserver.ErrSetup) {
		return exitConfig
	}
	return 1
}

// standardConfig is read where no --config is given, if it exists.
const standardConfig = "/etc/postern/postern.toml"

// configuration reads what the flags name.
func (c *commands) configuration() (config.Config, error) {
	return c.read(checkNames, checkPolicies, checkStorage, checkTokens, checkProxies, checkQuotaAdministrators)
}

// read reads what the flags name, with checks beyond the file's own.
func (c *commands) read(further ...config.Further) (config.Config, error) {
	file := c.configFile()
	if file == "" {
		return c.override(config.Default()), nil
	}
	cfg, err := config.Read(file, further...)
	return c.override(cfg), err
}

// configFile is the file that is read, "" if there is none.
func (c *commands) configFile() string {
	if c.Config != "" {
		return c.Config
	}
	if _, err := os.Stat(standardConfig); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return standardConfig
}

func (c *commands) override(cfg config.Config) config.Config {
	if c.Data != "" {
		cfg.Data = c.Data
		cfg.Control.Socket = "" // the configured one may be that of a server on other data
	}
	return cfg
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(t *terminal) error {
	_, err := fmt.Fprintln(t.out, "postern", version())
	return err
}
