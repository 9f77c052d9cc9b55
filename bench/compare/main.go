// Command compare runs `postern bench` against Postern and against Debian's Dovecot, on this machine, and writes what
// it found into docs/performance.md.
//
//	go run ./bench/compare
//
// Each contender starts on an empty store of its own, on the same disk, runs every profile, is restarted before the
// big mailbox is measured cold, and goes before the next begins; in every round in another order. The figures are the
// medians of the rounds. It takes root and the packages that `make test` fetches, because a peer runs in a root
// directory of its own.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"postern/internal/bench"
	"postern/test/peer"
)

// options are the command line.
type options struct {
	rounds       int
	peers        string
	profiles     string
	postern      string
	out, raw     string
	alwaysSync   bool
	users        int
	forEach      time.Duration
	connections  int
	messages     int
	repeat       int
	idle         int
	idleMessages int
	idleWait     time.Duration
	pushes       int
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.StringVar(&o.peers, "peers", "maildir,sdbox,mdbox", "Dovecot's mailbox formats; with +xapian behind one, it searches by an index")
	flag.StringVar(&o.profiles, "profiles", "mixed,login,append,lmtp,push,idle,big", "what to measure")
	flag.StringVar(&o.postern, "postern", "", "a postern binary; built from the checkout unless given")
	flag.StringVar(&o.out, "out", "docs/performance.md", "where the table goes, between its two marks")
	flag.StringVar(&o.raw, "raw", "", "file for every row of every round, as JSON")
	flag.BoolVar(&o.alwaysSync, "always-sync", false, "run every Dovecot with mail_fsync=always, too")
	flag.IntVar(&o.users, "users", 50, "accounts")
	flag.DurationVar(&o.forEach, "for", 10*time.Second, "how long each of mixed, login, append and lmtp")
	flag.IntVar(&o.connections, "connections", 20, "connections of these")
	flag.IntVar(&o.messages, "messages", 100000, "messages of the big mailbox")
	flag.IntVar(&o.repeat, "repeat", 3, "how often each operation on it")
	flag.IntVar(&o.idle, "idle", 500, "idle connections")
	flag.IntVar(&o.idleMessages, "idle-messages", 1000, "messages in the mailboxes they look at")
	flag.DurationVar(&o.idleWait, "idle-wait", 30*time.Second, "how long they idle before memory is measured")
	flag.IntVar(&o.pushes, "pushes", 50, "messages whose news are timed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// contender makes a server anew.
type contender struct {
	name string
	make func() (*peer.Contender, error)
}

// result is everything one contender showed.
type result struct {
	Name, Version string
	Settings      []string
	Rounds        [][]bench.Row
	Failed        []string // profiles that did not come to their end, and why
}

func (o *options) run(ctx context.Context) error {
	if o.postern == "" {
		o.postern = filepath.Join("build", "postern-race")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.postern, "./cmd/postern").CombinedOutput(); err != nil {
			return fmt.Errorf("building ./cmd/postern: %w\n%s", err, out)
		}
	}
	contenders := o.contenders()
	results := make([]result, len(contenders))
	err := o.races(ctx, contenders, results)
	if o.raw != "" { // also of a race that was broken off: it took long
		err = errors.Join(err, write(o.raw, results))
	}
	if err != nil {
		return err
	}
	return replace(o.out, o.table(results))
}

func (o *options) races(ctx context.Context, contenders []contender, results []result) error {
	for round := range o.rounds {
		for k := range contenders {
			at := (k + round) % len(contenders)
			if err := o.race(ctx, round, contenders[at], &results[at]); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(file string, results []result) error {
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

func (o *options) contenders() []contender {
	race := peer.Race{Users: o.users, Connections: o.idle + 2*o.connections + 50}
	list := []contender{{"postern", func() (*peer.Contender, error) { return peer.NewPostern(o.postern, race) }}}
	for _, format := range strings.Split(o.peers, ",") {
		list = append(list, contender{"dovecot " + format, func() (*peer.Contender, error) { return peer.NewDovecot(format, false, race) }})
		if o.alwaysSync {
			list = append(list, contender{"dovecot " + format + ", mail_fsync=always",
				func() (*peer.Contender, error) { return peer.NewDovecot(format, true, race) }})
		}
	}
	return list
}

// race runs one contender once, and removes it.
func (o *options) race(ctx context.Context, round int, c contender, into *result) (err error) {
	server, err := c.make()
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	if err := server.Start(ctx); err != nil {
		return err
	}
	into.Name, into.Version, into.Settings = server.Name, server.Version, server.Settings
	t := &turn{o: o, server: server, into: into, where: fmt.Sprintf("round %d, %s", round+1, c.name)}
	defer func() { into.Rounds = append(into.Rounds, t.rows) }()
	for _, profile := range strings.Split(o.profiles, ",") {
		if profile == "big" {
			err = t.big(ctx)
		} else {
			err = t.bench(ctx, profile, nil)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // the others go on; the table says so
			into.Failed = append(into.Failed, fmt.Sprintf("%s: %v", profile, err))
			fmt.Fprintf(os.Stderr, "%s: %s FAILED: %v\n%s\n", t.where, profile, err, tail(server.Log()))
		}
	}
	return nil
}

// tail is the end of a log.
func tail(log string) string { return log[max(len(log)-2000, 0):] }

// turn is one contender in one round.
type turn struct {
	o      *options
	server *peer.Contender
	into   *result
	where  string
	rows   []bench.Row
	told   string
}

func (t *turn) config(profile string) (bench.Config, error) {
	o := t.o
	secure, err := t.server.TLSConfig()
	if err != nil {
		return bench.Config{}, err
	}
	cfg := bench.Config{Address: t.server.TLS, TLS: secure, LMTP: t.server.LMTP, PID: t.server.PID(), Profiles: []string{profile},
		For: o.forEach, Connections: o.connections, Messages: o.messages, Repeat: o.repeat, Idle: o.idle,
		IdleMessages: o.idleMessages, IdleWait: o.idleWait, Pushes: o.pushes, Progress: t.tell}
	for _, name := range t.server.Users {
		cfg.Users = append(cfg.Users, bench.Credential{Name: name, Password: t.server.Password})
	}
	return cfg, nil
}

// tell prints a line for each thing done.
func (t *turn) tell(p bench.Progress) {
	if p.Doing != t.told {
		t.told = p.Doing
		fmt.Fprintf(os.Stderr, "%s %s: %s\n", time.Now().Format(time.TimeOnly), t.where, p)
	}
}

func (t *turn) bench(ctx context.Context, profile string, change func(*bench.Config)) error {
	cfg, err := t.config(profile)
	if err != nil {
		return err
	}
	if change != nil {
		change(&cfg)
	}
	report, err := bench.Run(ctx, cfg)
	return t.take(report, err)
}

func (t *turn) take(report *bench.Report, err error) error {
	if report != nil {
		t.rows = append(t.rows, report.Rows...)
		for _, wrong := range report.Wrong() {
			fmt.Fprintf(os.Stderr, "%s: WRONG %s\n", t.where, wrong)
		}
	}
	return err
}

// big fills the big mailbox, restarts the server, and measures every operation first cold and then warm.
func (t *turn) big(ctx context.Context) error {
	cfg, err := t.config("big")
	if err != nil {
		return err
	}
	report, err := bench.FillBig(ctx, cfg)
	if err := t.take(report, err); err != nil {
		return err
	}
	if err := t.server.Stop(); err != nil {
		return err
	}
	if err := t.server.Start(ctx); err != nil {
		return err
	}
	if err := t.bench(ctx, "big", func(c *bench.Config) { c.Cold, c.Keep = true, true }); err != nil {
		return err
	}
	return t.bench(ctx, "big", func(c *bench.Config) { c.Keep = true }) // it goes with the server
}
