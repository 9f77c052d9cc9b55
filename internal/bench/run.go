package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Config says what to run against what. Zero values are defaults.
type Config struct {
	Address string       // host:port of IMAP
	TLS     *tls.Config  // nil: no TLS
	Users   []Credential // at least one; connections are spread over them
	LMTP    string       // host:port, or unix: and a path; needed for the profile lmtp
	PID     int          // the server's first process; 0: unknown, so no processor time and no memory

	Profiles     []string      // nil: every one of Profiles() that can be run
	For          time.Duration // how long each of mixed, login, append and lmtp; 20s
	Connections  int           // 20
	Size         int           // mean octets of a message; 26 KiB
	Messages     int           // of the big mailbox; 20,000
	BigSize      int           // mean octets of a message in it; 6 KiB
	Repeat       int           // how often each operation on it, warm; 3
	Cold         bool          // the big mailbox was filled before, and the server has started since: each operation once
	Keep         bool          // leave the big mailbox for a later run
	Idle         int           // idle connections; 500
	IdleMessages int           // in the mailbox they look at; 1,000
	IdleWait     time.Duration // before memory is measured; 30s
	Pushes       int           // 50
	Seed         uint64        // of the corpus; 1

	Progress func(Progress) // called from one goroutine, twice a second; may be nil
}

// Progress says how far a run is.
type Progress struct {
	Doing   string
	Done    int64 // operations
	Total   int64 // 0: not known
	Elapsed time.Duration
}

// String says how far a run is, in a line.
func (p Progress) String() string {
	s := fmt.Sprintf("%s  %d", p.Doing, p.Done)
	if p.Total > 0 {
		s += fmt.Sprintf(" of %d", p.Total)
	}
	return s + fmt.Sprintf("  (%s)", p.Elapsed.Round(time.Second))
}

// profile is one kind of load.
type profile struct {
	name, help string
	run        func(*runner, context.Context) error
}

func profiles() []profile {
	return []profile{
		{"mixed", "long sessions that do what mail clients do", (*runner).mixed},
		{"login", "the same, with a connection and a login for every few commands", (*runner).logins},
		{"append", "APPEND, durable", (*runner).appends},
		{"lmtp", "LMTP delivery, durable", (*runner).deliveries},
		{"push", "from APPEND to EXISTS at an idling client", (*runner).push},
		{"idle", "memory of idle connections", (*runner).idles},
		{"big", "one big mailbox: fill it, then each operation over all of it", (*runner).big},
	}
}

// Profiles names the profiles, in the order in which they run, each with its meaning.
func Profiles() (names, help []string) {
	for _, p := range profiles() {
		names, help = append(names, p.name), append(help, p.help)
	}
	return names, help
}

// runner is one run.
type runner struct {
	cfg     Config
	report  *Report
	corpus  *corpus
	tree    tree
	entries chan struct{} // a slot for each connection that is not signed in yet

	doing       atomic.Pointer[string]
	done, total atomic.Int64
}

// entryLimit is how many connections may be on their way to a login: servers turn strangers away who come in crowds.
const entryLimit = 16

func (c Config) withDefaults() (Config, error) {
	c.For = orElse(c.For, 20*time.Second)
	c.Connections = orElse(c.Connections, 20)
	c.Size = orElse(c.Size, 26<<10)
	c.Messages = orElse(c.Messages, 20000)
	c.BigSize = orElse(c.BigSize, 6<<10)
	c.Repeat = orElse(c.Repeat, 3)
	c.Idle = orElse(c.Idle, 500)
	c.IdleMessages = orElse(c.IdleMessages, 1000)
	c.IdleWait = orElse(c.IdleWait, 30*time.Second)
	c.Pushes = orElse(c.Pushes, 50)
	c.Seed = orElse(c.Seed, 1)
	names, _ := Profiles()
	if c.Profiles == nil {
		c.Profiles = names
		if c.LMTP == "" {
			c.Profiles = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "lmtp" })
		}
	}
	for _, p := range c.Profiles {
		if !slices.Contains(names, p) {
			return c, fmt.Errorf("there is no profile %q: they are %s", p, strings.Join(names, ", "))
		}
		if p == "lmtp" && c.LMTP == "" {
			return c, errors.New("the profile lmtp needs the address of an LMTP server")
		}
	}
	if len(c.Users) == 0 {
		return c, errors.New("no user to sign in as")
	}
	for _, n := range []int{c.Connections, c.Size, c.Messages, c.BigSize, c.Repeat, c.Idle, c.IdleMessages, c.Pushes} {
		if n < 1 {
			return c, fmt.Errorf("%d is too few", n)
		}
	}
	return c, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Run runs the profiles one after another. What it had measured when ctx ended, or a connection broke, is in the
// report beside the error. Wrong answers do not end a run: see Report.Wrong.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := newRunner(cfg)
	if _, err := r.usage(); err != nil {
		return nil, err
	}
	defer r.tell()()
	for _, p := range profiles() {
		if !slices.Contains(cfg.Profiles, p.name) {
			continue
		}
		if err := p.run(r, ctx); err != nil {
			if ctx.Err() != nil {
				r.report.Stopped = true
				return r.report, ctx.Err()
			}
			return r.report, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return r.report, nil
}

func newRunner(cfg Config) *runner {
	return &runner{cfg: cfg, tree: tree(cfg.PID), entries: make(chan struct{}, entryLimit),
		report: &Report{Server: cfg.Address, Seed: cfg.Seed, Began: time.Now()},
		corpus: newCorpus(cfg.Seed, cfg.Size, fmt.Sprintf("%016x", rand.Uint64()))}
}

// tell starts telling of progress, and gives what ends it.
func (r *runner) tell() (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for t := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-quit:
				t.Stop()
				return
			case <-t.C:
				if doing := r.doing.Load(); doing != nil {
					r.cfg.Progress(Progress{*doing, r.done.Load(), r.total.Load(), time.Since(r.report.Began)})
				}
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// begin names what is done from here on.
func (r *runner) begin(doing string, total int) {
	r.doing.Store(&doing)
	r.done.Store(0)
	r.total.Store(int64(total))
}

func (r *runner) user(i int) Credential { return r.cfg.Users[i%len(r.cfg.Users)] }

// signIn gives a connection of user i's.
func (r *runner) signIn(ctx context.Context, i int) (*client, error) {
	leave, err := r.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return signIn(ctx, r.cfg.Address, r.cfg.TLS, r.user(i))
}

// enter waits for a slot on the way to a login.
func (r *runner) enter(ctx context.Context) (leave func(), err error) {
	select {
	case r.entries <- struct{}{}:
		return func() { <-r.entries }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mailbox makes an empty mailbox for a connection.
func mailbox(c *client, name string) error {
	if err := drop(c, name); err != nil {
		return err
	}
	return c.do("CREATE "+quote(name), nil)
}

// drop deletes a mailbox if it is there.
func drop(c *client, name string) error {
	err := c.do("DELETE "+quote(name), nil)
	if isWrong(err) {
		return nil // as a rule it was not there; if it cannot go, CREATE will say so
	}
	return err
}

// tidy deletes mailboxes when a profile is over, even one that was broken off.
func (r *runner) tidy(ctx context.Context, names map[string]int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for name, user := range names {
		c, err := r.signIn(ctx, user)
		if err != nil {
			return // the server is gone, and the run says why
		}
		_ = drop(c, name)
		_ = c.logout()
	}
}
