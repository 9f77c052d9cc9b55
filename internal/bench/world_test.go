package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/delivery"
	"postern/internal/imapserver"
	"postern/internal/lmtpserver"
	"postern/internal/mail"
	"postern/internal/netserver"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Postern with a store in memory behind real sockets.
type world struct {
	t         *testing.T
	pool      *account.Pool
	net       *netserver.Server
	tls       *tls.Config
	users     []Credential
	delivered atomic.Int64
}

// directory is what the roof makes of a store's.
type directory struct {
	store.Directory
	record []byte
}

func (d directory) SignIn(ctx context.Context, address string) (auth.Entry, error) {
	t, err := d.Find(ctx, address)
	if err != nil {
		return auth.Entry{}, err
	}
	return auth.Entry{Account: t.Accounts[0], Name: address, Version: 1, Record: d.record}, nil
}

func (d directory) Rehash(context.Context, mail.AccountID, uint64, []byte) error { return nil }

func (d directory) Accounts(ctx context.Context, name string) ([]mail.AccountID, error) {
	t, err := d.Find(ctx, name)
	return t.Accounts, err
}

type noNotes struct{}

func (noNotes) Leave(context.Context, string, time.Time) error { return nil }
func (noNotes) Take(context.Context, string) (bool, error)     { return false, nil }

// counting counts what was delivered.
type counting struct {
	*delivery.Agent
	w *world
}

func (c counting) Deliver(ctx context.Context, m delivery.Mail, body io.Reader, outcome func(int, error)) (delivery.Receipt, error) {
	return c.Agent.Deliver(ctx, m, body, func(i int, err error) {
		if err == nil {
			c.w.delivered.Add(1)
		}
		outcome(i, err)
	})
}

func newWorld(t *testing.T, users int) *world {
	t.Helper()
	w := &world{t: t}
	mem := storetest.Memory()
	w.pool = account.NewPool(mem, account.Options{Every: -1})
	cost := auth.Argon2{Memory: 8, Time: 1, Threads: 1}
	record, err := auth.SetPassword(nil, "secret", cost, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		name := fmt.Sprintf("user%d@example.org", i)
		if _, err := mem.Directory().Create(t.Context(), store.Identity{Name: name}, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.users = append(w.users, Credential{name, "secret"})
	}
	d := directory{mem.Directory(), record}
	imap := imapserver.New(imapserver.Options{Accounts: w.pool, Auth: auth.New(auth.Config{Directory: d, Cost: cost})})
	agent := delivery.New(delivery.Options{Pool: w.pool, Directory: d, Notes: noNotes{}, Hostname: "mx.test"})
	lmtp := lmtpserver.New(lmtpserver.Options{Hostname: "mx.test", Deliverer: counting{agent, w}})
	w.listen(imap, lmtp)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := errors.Join(w.net.Shutdown(ctx), w.pool.Close(ctx),
			account.Check(ctx, mem, func(p account.Problem) { t.Errorf("check: %s", p) }), mem.Close())
		if err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) listen(imap *imapserver.Server, lmtp *lmtpserver.Server) {
	t := w.t
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
	w.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	certs, err := netserver.NewCertificates(time.Now, pair)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := netserver.NewTLSConfig(certs, "1.3", "imap")
	if err != nil {
		t.Fatal(err)
	}
	w.net = netserver.New(netserver.Config{Log: slog.New(slog.DiscardHandler)})
	talk := func(ctx context.Context, c *netserver.Conn) { imap.Serve(ctx, c) }
	take := func(ctx context.Context, c *netserver.Conn) { lmtp.Serve(ctx, c, c.ID(), c.Draining()) }
	err = w.net.Listen([]netserver.Listen{
		{Setting: "tls", Address: "127.0.0.1:0", Security: netserver.ImplicitTLS, TLS: cfg, Handler: talk, LastWords: imapserver.LastWords},
		{Setting: "plain", Address: "127.0.0.1:0", Security: netserver.Plaintext, TLS: cfg, Handler: talk, LastWords: imapserver.LastWords},
		{Setting: "lmtp", Address: "127.0.0.1:0", Security: netserver.Plaintext, Handler: take},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.net.Start()
}

// config is a run that takes little time.
func (w *world) config(profiles ...string) Config {
	return Config{Address: w.net.Addrs("tls")[0].String(), TLS: w.tls, LMTP: w.net.Addrs("lmtp")[0].String(), Users: w.users,
		Profiles: profiles, For: 150 * time.Millisecond, Connections: 3, Size: 3000, Messages: 150, BigSize: 2000, Repeat: 2,
		Idle: 5, IdleMessages: 7, IdleWait: time.Millisecond, Pushes: 4}
}

// mailboxes lists what a user has, by way of another client than the one under test.
func (w *world) mailboxes(user int) map[string]int {
	w.t.Helper()
	acct, err := w.pool.Open(w.t.Context(), mail.AccountID(user+1))
	if err != nil {
		w.t.Fatal(err)
	}
	defer acct.Release()
	found := map[string]int{}
	for _, box := range acct.Mailboxes() {
		found[box.Name] = int(box.Counts.Messages)
	}
	return found
}

// liar stands between client and server and alters the server's lines. A line that becomes "" is swallowed.
func liar(t *testing.T, server string, alter func(line string) string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go lie(client, server, alter)
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func lie(client net.Conn, server string, alter func(string) string) {
	defer client.Close()
	honest, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer honest.Close()
	go func() {
		_, _ = io.Copy(honest, client)
		_ = honest.(*net.TCPConn).CloseWrite()
	}()
	for r := bufio.NewReader(honest); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(client, alter(line)); err != nil {
			return
		}
	}
}
