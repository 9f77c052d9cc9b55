package imapserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"postern/internal/account"
	"postern/internal/index"
	"postern/internal/mail"
	"postern/internal/netserver"
	"postern/internal/observe"
)

// Conn is a connection as netserver hands it over. It is an interface so that a
// conversation can be held over a pipe.
type Conn interface {
	net.Conn
	ID() string                // names the connection in logs
	Setting() string           // the listener, such as "listen.imaps"
	Listener() string          // its address, as configured
	Remote() netip.AddrPort    // zero for a Unix socket
	Opened() time.Time         // when it was accepted
	TLS() *tls.ConnectionState // nil without TLS
	Fingerprint() uint64       // stands for the kind of client; 0 without TLS
	Private() bool             // passwords may cross it
	CanUpgrade() bool          // STARTTLS may be offered
	Upgrade() error            // do the handshake
	Authenticated() error      // the client has signed in
	Rest()                     // give back memory that is not needed while the client is waited for
	Draining() <-chan struct{} // closed when the server is about to stop
}

var _ Conn = (*netserver.Conn)(nil)

// Options are what a Server is made with. Accounts and Auth are needed; other
// zero fields take the defaults named.
type Options struct {
	Accounts    *account.Pool
	Auth        Authenticator
	People      People               // nobody can share anything
	Log         *slog.Logger         // discards
	Metrics     *observe.Registry    // counts for nobody
	Transcripts *observe.Transcripts // off
	Limits      Limits               // DefaultLimits
	Rules       []Rule               // everybody is treated alike
	Census      *Census              // one of its own
	Now         func() time.Time     // time.Now
	Version     string               // told by ID after login; "" is not told
	Metadata    *ServerMetadata      // none
	Hostname    string               // the host that URLs of ours name; "": URLs are relative only
	Finder      Finder               // finds the owners of URLs; nil: there is no URLAUTH
	Submitters  []string             // users that may fetch by URLs made for submission
	Index       *index.Index         // what searches of text ask first; nil: they read the messages

	// ACLAnyone lets owners share their mailboxes with "anyone".
	ACLAnyone bool
	// SessionsOf gives how many sessions an account may have, 0 being Limits.Sessions. nil is that for all.
	SessionsOf func(user string) int
	// MayShare reports whether mailboxes of an account may be shared with another, "" being everybody. nil is yes. What
	// was shared before stays so.
	MayShare func(owner, with string) bool
	// SetsQuota reports whether a user may set the limits of all accounts (SETQUOTA). nil: nobody may.
	SetsQuota func(user string) bool
	// QuotaSet is told of every change that SETQUOTA made. It must be quick. nil is nobody.
	QuotaSet func(context.Context, QuotaChange)
	// Granted is told of every change that SETACL and DELETEACL made. It must be quick. nil is nobody.
	Granted func(context.Context, Grant)
}

// Server is what all IMAP conversations of a process share. Make one with New;
// its methods may be called from any goroutine.
type Server struct {
	accounts   *account.Pool
	auth       Authenticator
	people     People
	log        *slog.Logger
	trace      *observe.Transcripts
	limits     Limits
	rules      []Rule
	census     *Census
	now        func() time.Time
	version    string
	hostname   string
	finder     Finder
	submitters []string
	index      *index.Index

	aclAnyone bool // mailboxes may be shared with "anyone"
	granted   func(context.Context, Grant)

	setsQuota  func(user string) bool
	quotaSet   func(context.Context, QuotaChange)
	sessionsOf func(user string) int
	mayShare   func(owner, with string) bool

	count counters

	table    []spec
	commands map[string]*spec // by name
	features []feature

	readers sync.Pool // *bufio.Reader
	writers sync.Pool // *[]byte
	rows    sync.Pool // *[]account.Row

	contents sync.Pool // *[]byte of contentRoom octets
	suspects suspects

	turns *turns
	// lookoutAfter is when a search that works begins to look whether its client is
	// still there.
	lookoutAfter time.Duration
	fewForIndex  int
	worked       func() time.Duration // threadTime, unless a test has another clock
	metadata     *ServerMetadata

	mu       sync.Mutex
	sessions map[*session]struct{}
	drains   map[<-chan struct{}]*drainWatch // who tells sessions that their server stops
}

// Buffers of a session that is at work. A read buffer holds a typical pipeline
// of commands; a write buffer a fetch of some hundred envelopes, which becomes a
// few TLS records.
const (
	readBuffer  = 4 << 10
	writeBuffer = 16 << 10
)

// rowChunk is how many rows of a mailbox are looked at at a time.
const rowChunk = 256

// takeRows gives room for rowChunk rows, giveRows gives it back. On the stack it
// would make the goroutine of every session that ever fetched anything larger.
func (s *Server) takeRows() []account.Row { return (*s.rows.Get().(*[]account.Row))[:0] }

func (s *Server) giveRows(room []account.Row) { room = room[:0]; s.rows.Put(&room) }

// New makes a server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.People == nil {
		o.People = nobody{}
	}
	if o.Census == nil {
		o.Census = new(Census)
	}
	s := &Server{
		accounts: o.Accounts, auth: o.Auth, people: o.People, aclAnyone: o.ACLAnyone, granted: o.Granted, sessionsOf: o.SessionsOf, setsQuota: o.SetsQuota, quotaSet: o.QuotaSet, mayShare: o.MayShare, log: o.Log, trace: o.Transcripts,
		limits: o.Limits.withDefaults(), rules: o.Rules, census: o.Census,
		now: o.Now, version: o.Version, hostname: o.Hostname, finder: o.Finder, submitters: o.Submitters, index: o.Index,
		table: commandTable(), features: features(), commands: make(map[string]*spec),
		sessions: make(map[*session]struct{}),
		drains:   make(map[<-chan struct{}]*drainWatch),
	}
	if s.metadata = o.Metadata; s.metadata == nil {
		s.metadata = &ServerMetadata{}
	}
	for i := range s.table {
		s.commands[s.table[i].name] = &s.table[i]
	}
	s.count = newCounters(o.Metrics, s.table)
	s.readers.New = func() any { return bufio.NewReaderSize(nil, readBuffer) }
	s.writers.New = func() any { b := make([]byte, 0, writeBuffer); return &b }
	s.turns = newTurns(s.limits.Searches)
	s.lookoutAfter, s.worked, s.fewForIndex = lookoutAfter, threadTime, fewForIndex
	s.contents.New = func() any { b := make([]byte, contentRoom); return &b }
	s.rows.New = func() any { r := make([]account.Row, 0, rowChunk); return &r }
	return s
}

// Serve holds one conversation and returns when it is over. It does not close
// the connection. ctx is that of the connection: store and account are asked
// under it.
func (s *Server) Serve(ctx context.Context, conn Conn) {
	sess := newSession(ctx, s, conn)
	s.enter(sess)
	defer s.leave(sess)
	sess.serve()
}

// LastWords is what a client hears when a panic ends its session.
func LastWords(ref observe.Ref) string {
	return fmt.Sprintf("* BYE [SERVERBUG] something went wrong here (ref %s)\r\n", ref)
}

// Revoke ends every session of an account, and those in which it acts as another: its password was changed, or it was
// disabled or removed. Each says BYE as soon as it has finished the command it
// is at; waiting ones do at once.
func (s *Server) Revoke(id mail.AccountID) { s.revoke(id, 0) }

// RevokeApp ends the sessions of an account that signed in with an app password,
// which was taken back.
func (s *Server) RevokeApp(id mail.AccountID, app uint64) { s.revoke(id, app) }

func (s *Server) revoke(id mail.AccountID, app uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		theirs := mail.AccountID(sess.accountID.Load()) == id || mail.AccountID(sess.by.Load()) == id
		if theirs && (app == 0 || sess.app.Load() == app) {
			sess.link.raise(sessionRevoked)
		}
	}
}

// Sessions is how many conversations are held now.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// drainWatch is the goroutine that waits for one Draining channel on behalf of
// all sessions that came with it; a goroutine each would double what an idle
// session costs.
type drainWatch struct {
	sessions int
	stop     chan struct{}
}

func (s *Server) enter(sess *session) {
	s.count.open.Add(1)
	s.count.sessions.Add()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[sess] = struct{}{}
	draining := sess.draining
	if draining == nil {
		return
	}
	w := s.drains[draining]
	if w == nil {
		w = &drainWatch{stop: make(chan struct{})}
		s.drains[draining] = w
		go s.watch(draining, w.stop)
	}
	w.sessions++
	select {
	case <-draining:
		sess.link.raise(serverDraining) // the watch may have been over already
	default:
	}
}

func (s *Server) leave(sess *session) {
	s.count.open.Add(-1)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess)
	if w := s.drains[sess.draining]; w != nil {
		if w.sessions--; w.sessions == 0 {
			close(w.stop)
			delete(s.drains, sess.draining)
		}
	}
}

// watch waits until the sockets' server is about to stop, and tells the
// sessions.
func (s *Server) watch(draining <-chan struct{}, stop <-chan struct{}) {
	select {
	case <-stop:
		return
	case <-draining:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		if sess.draining == draining {
			sess.link.raise(serverDraining)
		}
	}
}
