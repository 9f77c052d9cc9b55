package imapserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/account"
	"postern/internal/auth"
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
func (u *users) add() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	id := mail.AccountID(len(u.names) + 1)
	name := fmt.Sprintf("user%d@example.org", id)
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

func (u *users) Rehash(context.Context, mail.AccountID, uint64, []byte) error { return nil }

// world is a server with a store in memory behind real sockets.
type world struct {
	t      testing.TB
	mem    *storetest.Mem
	faults *storetest.Faulty // stands before mem
	pool   *account.Pool
	server *Server
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
	record, err := auth.SetPassword(nil, "secret", cheap)
	if err != nil {
		t.Fatal(err)
	}
	w.users = &users{record: record, names: map[string]mail.AccountID{"ada@example.org": 1, "bob@example.org": 2}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := Options{Accounts: w.pool, Auth: auth.New(auth.Config{Directory: w.users, Cost: cheap, Now: w.clock.Now}),
		Log: log, Now: w.clock.Now, Version: "1.2"}
	if change != nil {
		change(&o)
	}
	w.server = New(o)
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
	if err := w.pool.Close(ctx); err != nil {
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

// client is a client that reads replies as they come.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tags int
}

// dial connects to a listener and reads the greeting.
func (w *world) dial(setting string) *client {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.net.Addrs(setting)[0].String())
	if err != nil {
		w.t.Fatal(err)
	}
	if setting == "tls" {
		conn = tls.Client(conn, w.roots)
	}
	return newClient(w.t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	t.Cleanup(func() { conn.Close() })
	c.deadline()
	if got := c.read(); !strings.HasPrefix(got, "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ") {
		t.Fatalf("greeting: %q", got)
	}
	return c
}

// login gives a client that has signed in as ada.
func (w *world) login() *client {
	w.t.Helper()
	c := w.dial("plain")
	c.ok(`LOGIN ada@example.org secret`)
	return c
}

// selected gives a client that has INBOX selected.
func (w *world) selected() *client {
	w.t.Helper()
	c := w.login()
	c.ok("SELECT INBOX", anything)
	return c
}

// deadline keeps a test that waits for nothing from waiting for ever.
func (c *client) deadline() {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
}

// send sends text as it is.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("send %q: %v", text, err)
	}
}

var literalEnd = regexp.MustCompile(`\{([0-9]+)\}\r\n$`)

// read reads one response, its literals included, without its last CRLF.
func (c *client) read() string {
	c.t.Helper()
	text, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v (after %q)", err, text)
	}
	return text
}

func (c *client) tryRead() (string, error) {
	var text strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			return text.String(), err
		}
		m := literalEnd.FindStringSubmatch(line)
		if m == nil {
			return strings.TrimSuffix(text.String(), "\r\n"), nil
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return text.String(), err
		}
		if _, err := io.CopyN(&text, c.r, int64(n)); err != nil {
			return text.String(), err
		}
	}
}

// expect reads one response that must be as given; see same.
func (c *client) expect(want string) string {
	c.t.Helper()
	got := c.read()
	if !same(got, want) {
		c.t.Fatalf("got  %q\nwant %q", got, want)
	}
	return got
}

// same compares a response with what is wanted: "..." stands for anything.
func same(got, want string) bool {
	if !strings.Contains(want, "...") {
		return got == want
	}
	parts := strings.Split(regexp.QuoteMeta(want), `\.\.\.`)
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, `.*`) + `$`).MatchString(got)
}

// anything, as the one wanted response, leaves the untagged responses open.
const anything = "..."

// do sends a command and gives its untagged responses and what follows the tag.
func (c *client) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(tag + " " + command + "\r\n")
	return c.until(tag)
}

// until reads responses until the one with the tag.
func (c *client) until(tag string) (untagged []string, tagged string) {
	c.t.Helper()
	for {
		line := c.read()
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// ok sends a command that must succeed and be answered by these untagged
// responses, in this order.
func (c *client) ok(command string, want ...string) string {
	c.t.Helper()
	return c.reply(command, "OK ...", want...)
}

// reply sends a command that must be answered so.
func (c *client) reply(command, wantTagged string, want ...string) string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !same(tagged, wantTagged) {
		c.t.Fatalf("%s: got %q, want %q (after %q)", command, tagged, wantTagged, untagged)
	}
	if len(want) == 1 && want[0] == anything {
		return tagged
	}
	ok := len(untagged) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = same(untagged[i], want[i])
	}
	if !ok {
		c.t.Fatalf("%s:\n got %s\nwant %s", command, lines(untagged), lines(want))
	}
	return tagged
}

func lines(list []string) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintf(&b, "\n  %q", l)
	}
	return b.String()
}

// gone expects the server to close the connection, after these responses.
func (c *client) gone(want ...string) {
	c.t.Helper()
	for _, w := range want {
		c.expect(w)
	}
	if text, err := c.tryRead(); err == nil || len(text) > 0 {
		c.t.Fatalf("the connection is open: %q, %v", text, err)
	}
}

// append puts a message into a mailbox by APPEND and gives its UID.
func (c *client) append(mailbox, flags, text string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("t%d", c.tags)
	c.send(fmt.Sprintf("%s APPEND %s %s{%d+}\r\n%s\r\n", tag, mailbox, flags, len(text), text))
	if _, tagged := c.until(tag); !same(tagged, "OK [APPENDUID ...] ...") {
		c.t.Fatalf("APPEND: %q", tagged)
	}
}

// fill appends n small messages to INBOX, numbered from 1 in their subjects.
func (c *client) fill(n int) {
	c.t.Helper()
	for i := range n {
		c.append("INBOX", "", sample(i+1))
	}
}

func sample(i int) string {
	return fmt.Sprintf("From: Fred <fred@example.org>\r\nTo: ada@example.org\r\nSubject: message %d\r\n"+
		"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-Id: <%d@example.org>\r\n\r\nText of message %d.\r\n", i, i, i)
}
