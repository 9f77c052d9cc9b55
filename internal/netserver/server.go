package netserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"postern/internal/observe"
)

// Config is what a Server needs. Limits that are zero are taken from
// DefaultLimits; Log and Metrics may be nil.
type Config struct {
	Limits    Limits
	Log       *slog.Logger
	Metrics   *observe.Registry
	Inherited *Inherited // sockets that systemd opened, or nil

	// TurnedAway is told of clients that speak no TLS version that is spoken here. It must be quick. nil is nobody.
	TurnedAway func(from netip.Addr)
}

// Server is a set of listeners and the connections that came through them.
type Server struct {
	limits    Limits
	log       *slog.Logger
	count     counters
	inherited *Inherited
	ledger    *ledger

	turnedAway func(from netip.Addr)

	ctx      context.Context // of every connection; ended when Shutdown's patience is
	cancel   context.CancelFunc
	draining chan struct{}
	loops    sync.WaitGroup

	reload sync.Mutex // held by Listen; taken before mu

	mu        sync.Mutex
	listeners []*listener
	conns     map[*Conn]struct{}
	started   bool
	drained   bool
	empty     chan struct{} // closed when draining and the last connection has gone
}

// listener is one open socket. Its spec changes on reload while it stays open.
type listener struct {
	target target
	ln     net.Listener
	closed chan struct{}

	mu   sync.Mutex
	spec *Listen
}

func (l *listener) current() *Listen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spec
}

// New makes a server without listeners.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults()
	count := newCounters(cfg.Metrics)
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		turnedAway: cfg.TurnedAway, limits: limits, log: cfg.Log, count: count, inherited: cfg.Inherited,
		ledger: newLedger(limits), ctx: ctx, cancel: cancel,
		draining: make(chan struct{}), conns: make(map[*Conn]struct{}), empty: make(chan struct{}),
	}
}

// Listen makes the server listen on exactly these addresses. Called again, as on
// SIGHUP, it opens what is new, closes what is gone, and gives those that stay
// their new handler and TLS settings; no connection is dropped. If anything
// cannot be opened nothing changes, and the error tells everything that is wrong
// (it is an ErrSetup).
//
// Sockets are bound at once; connections are accepted after Start. So the roof
// can bind, give up its privileges, open the store, and only then serve.
func (s *Server) Listen(specs []Listen) error {
	s.reload.Lock() // names are looked up below: accepting goes on meanwhile
	defer s.reload.Unlock()
	plan := plan{now: s.open(), staying: make(map[*listener]*Listen)}
	for _, spec := range specs {
		s.prepare(&plan, &spec)
	}
	for l, spec := range plan.staying {
		if len(plan.errs) == 0 {
			plan.fail(l.target.adjust(spec))
		}
	}
	if len(plan.errs) == 0 {
		plan.fail(s.exchange(plan.next, plan.staying))
	}
	if len(plan.errs) > 0 {
		for _, l := range plan.opened {
			l.close()
		}
	}
	return errors.Join(plan.errs...)
}

func (s *Server) open() []*listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners
}

// plan is what a call of Listen is about to do.
type plan struct {
	now     []*listener // those that are open
	next    []*listener // all that will be listened on
	opened  []*listener // those of them that are new
	staying map[*listener]*Listen
	errs    []error
}

func (p *plan) fail(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

// prepare finds or opens the sockets of one spec.
func (s *Server) prepare(p *plan, spec *Listen) {
	targets, err := s.resolve(spec)
	if err != nil {
		p.fail(err)
		return
	}
	have := len(p.next) + len(p.errs)
	var missing error
	for _, t := range targets {
		at := slices.IndexFunc(p.now, func(l *listener) bool { return l.target.key == t.key })
		if at >= 0 && p.staying[p.now[at]] == nil {
			p.staying[p.now[at]] = spec
			p.next = append(p.next, p.now[at])
			continue
		}
		ln, err := s.bind(t, spec)
		switch {
		case err == nil:
			l := &listener{target: t, ln: ln, closed: make(chan struct{}), spec: spec}
			p.opened, p.next = append(p.opened, l), append(p.next, l)
		case t.optional && noIPv6(err):
			missing = err
			s.log.Info("no IPv6 here", observe.Listener(spec.Setting), slog.String(observe.KeyAddress, t.address))
		default:
			p.fail(err)
		}
	}
	if len(p.next)+len(p.errs) == have {
		p.fail(missing) // every address of the name was one that this machine lacks
	}
}

// exchange puts the new set of listeners in force.
func (s *Server) exchange(next []*listener, staying map[*listener]*Listen) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained {
		return errors.New("the server is shutting down")
	}
	for l, spec := range staying {
		l.mu.Lock()
		l.spec = spec
		l.mu.Unlock()
	}
	for _, l := range s.listeners {
		if staying[l] == nil {
			l.close()
			s.log.Info("listener closed", observe.Listener(l.current().Setting), slog.String(observe.KeyAddress, l.target.address))
		}
	}
	for _, l := range next {
		if staying[l] == nil {
			s.log.Info("listening", observe.Listener(l.spec.Setting), slog.String(observe.KeyAddress, l.address().String()))
			if s.started {
				s.run(l)
			}
		}
	}
	s.listeners = next
	return nil
}

// Start begins to accept connections on every listener.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.drained {
		return
	}
	s.started = true
	for _, l := range s.listeners {
		s.run(l)
	}
}

// Connections is how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Open gives the listeners there are: their settings and the addresses they are bound to, in the order of their making.
func (s *Server) Open() []OpenListener {
	var all []OpenListener
	for _, l := range s.open() {
		all = append(all, OpenListener{l.current().Setting, l.address().String()})
	}
	return all
}

// OpenListener is a listener that is open.
type OpenListener struct{ Setting, Address string }

// Addrs gives the addresses that are listened on for a setting, in the order in
// which they were opened. With port 0 this is how to learn the port.
func (s *Server) Addrs(setting string) []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addrs []net.Addr
	for _, l := range s.listeners {
		if l.current().Setting == setting {
			addrs = append(addrs, l.address())
		}
	}
	return addrs
}

// address is where the listener can be reached. A Unix socket was bound under
// another name than it has now.
func (l *listener) address() net.Addr {
	if l.target.network == "unix" {
		return &net.UnixAddr{Name: l.target.address, Net: "unix"}
	}
	return l.ln.Addr()
}

func (l *listener) close() {
	close(l.closed)
	l.ln.Close()
}

func (s *Server) run(l *listener) {
	s.loops.Go(func() { s.acceptLoop(l) })
}
