package imapserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/index"
	"postern/internal/mail"
	"postern/internal/netserver"
	"postern/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// users is the directory: each name is an account whose password is "secret".
type users struct {
	record []byte

	mu    sync.Mutex
	names map[string]mail.AccountID
}

// add makes an account and gives its name.
func (u *users) add() string { return u.addIn("example.org") }

func (u *users) addIn(domain string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	id := mail.AccountID(len(u.names) + 1)
	name := fmt.Sprintf("user%d@%s", id, domain)
	u.names[name] = id
	return name
}

func (u *users) SignIn(_ context.Context, address string) (auth.Entry, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	id, ok := u.names[address]
	if !ok {
		return auth.Entry{}, mail.Errorf(mail.NotFound, "nobody")
	}
	return auth.Entry{Account: id, Name: address, Version: 1, Record: u.record}, nil
}

func (u *users) Named(_ context.Context, name string) (Person, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name = strings.ToLower(name)
	id, ok := u.names[name]
	if !ok {
		return Person{}, mail.Errorf(mail.NotFound, "nobody")
	}
	return Person{Account: id, Name: name, Shared: strings.HasPrefix(name, "team")}, nil
}

func (u *users) Person(_ context.Context, id mail.AccountID) (Person, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, other := range u.names {
		if other == id {
			return Person{Account: id, Name: name, Shared: strings.HasPrefix(name, "team")}, nil
		}
	}
	return Person{}, mail.Errorf(mail.NotFound, "nobody")
}

func (u *users) Find(ctx context.Context, address string) (mail.AccountID, error) {
	e, err := u.SignIn(ctx, address)
	return e.Account, err
}

func (u *users) Rehash(context.Context, mail.AccountID, uint64, []byte) error { return nil }

// world is a server with a store in memory behind real sockets.
type world struct {
	t      testing.TB
	mem    *storetest.Mem
	faults *storetest.Faulty // stands before mem
	pool   *account.Pool
	server *Server
	index  *index.Index
	net    *netserver.Server
	users  *users
	clock  *clock
	log    *logBuffer
	roots  *tls.Config
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var cheap = auth.Argon2{Memory: 8, Time: 1, Threads: 1}

// newServer makes the parts of a world without sockets.
func newServer(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, mem: storetest.Memory(), log: &logBuffer{},
		clock: &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}}
	w.mem.SetNow(w.clock.Now)
	w.faults = storetest.Failing(w.mem)
	w.pool = account.NewPool(w.faults, account.Options{Now: w.clock.Now, Every: -1})
	record, err := auth.SetPassword(nil, "secret", cheap, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	w.users = &users{record: record, names: map[string]mail.AccountID{"ada@example.org": 1, "bob@example.org": 2}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := Options{Accounts: w.pool, People: w.users, SetsQuota: func(user string) bool { return user == "ada@example.org" || strings.HasSuffix(user, "@admin.example") }, Log: log, Now: w.clock.Now, Version: "1.2", Hostname: "mail.example.org", Finder: w.users, Auth: auth.New(auth.Config{
		Directory: w.users, Cost: cheap, Now: w.clock.Now, Iterations: 10_000, ScramReady: func() bool { return true },
	})}
	w.index = index.New(index.Options{Pool: w.pool, Log: log, Share: 1, Least: 1, Every: 5 * time.Millisecond})
	o.Index = w.index
	if change != nil {
		change(&o)
	}
	w.server = New(o)
	w.server.fewForIndex = 0
	return w
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := newServer(t, change)
	pair, _, err := netserver.SelfSigned(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	w.roots = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	certs, err := netserver.NewCertificates(time.Now, pair)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := netserver.NewTLSConfig(certs, "1.3", "imap")
	if err != nil {
		t.Fatal(err)
	}
	w.net = netserver.New(netserver.Config{Log: slog.New(slog.DiscardHandler)})
	handler := func(ctx context.Context, c *netserver.Conn) { w.server.Serve(ctx, c) }
	var specs []netserver.Listen
	for setting, security := range map[string]netserver.Security{
		"plain": netserver.Plaintext, "starttls": netserver.StartTLS, "tls": netserver.ImplicitTLS,
	} {
		specs = append(specs, netserver.Listen{Setting: setting, Address: "127.0.0.1:0", Security: security,
			TLS: cfg, Handler: handler, LastWords: LastWords})
	}
	if err := w.net.Listen(specs); err != nil {
		t.Fatal(err)
	}
	w.net.Start()
	t.Cleanup(w.close)
	return w
}

// keepIndex builds the text index while the test goes on: now it is behind, now it is not.
func (w *world) keepIndex() {
	running, stop := context.WithCancel(context.Background())
	var building sync.WaitGroup
	building.Go(func() { w.index.Run(running) })
	w.t.Cleanup(func() {
		stop()
		building.Wait()
	})
}

// setQuota gives an account limits, in the units of RFC 9208 5.
func (w *world) setQuota(name string, limits map[string]uint64) error {
	ctx := context.Background()
	w.users.mu.Lock()
	id := w.users.names[name]
	w.users.mu.Unlock()
	a, err := w.pool.Open(ctx, id)
	if err != nil {
		return err
	}
	defer a.Release()
	limit := func(resource string, unit uint64) mail.QuotaLimit {
		n, ok := limits[resource]
		return mail.QuotaLimit{Given: ok, Most: n * unit}
	}
	return a.SetQuota(ctx, mail.OwnQuota{Octets: limit("STORAGE", 1024), Messages: limit("MESSAGE", 1), Mailboxes: limit("MAILBOX", 1)})
}

// close stops everything and goes over the store.
func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.net.Shutdown(ctx); err != nil {
		w.t.Error(err)
	}
	if n := w.server.Sessions(); n != 0 {
		w.t.Errorf("%d sessions are left", n)
	}
	w.closeStore(ctx)
}

func (w *world) closeStore(ctx context.Context) {
	if err := errors.Join(w.pool.Close(ctx), w.index.Close()); err != nil {
		w.t.Error(err)
	}
	if err := account.Check(ctx, w.mem, func(p account.Problem) { w.t.Errorf("check: %s", p) }); err != nil {
		w.t.Error(err)
	}
	if err := w.mem.Close(); err != nil {
		w.t.Error(err)
	}
	if w.t.Failed() {
		w.t.Logf("log:\n%s", w.log)
	}
}
