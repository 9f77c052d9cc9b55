package main

import (
	"context"
	"reflect"
	"sync"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/auth"
	"postern/internal/authserver"
	"postern/internal/delivery"
	"postern/internal/imapserver"
	"postern/internal/imapwire"
	"postern/internal/lmtpserver"
	"postern/internal/mail"
	"postern/internal/netserver"
)

// generation is who holds the conversations under one configuration. A reload
// that changes their settings begins a new one; the connections of the old one
// keep what they began with.
type generation struct {
	imap        *imapserver.Server
	lmtp        *lmtpserver.Server
	auth        *authserver.Server
	connections int // guarded by conversations
}

// conversations hands each connection to the generation of its time.
type conversations struct {
	mu      sync.Mutex
	census  imapserver.Census        // of all generations
	current *generation              // nil until the store is open; nothing is accepted before
	all     map[*generation]struct{} // the current one, and those that still have connections
}

func newConversations() *conversations {
	return &conversations{all: make(map[*generation]struct{})}
}

// replace makes g hold the conversations that begin from now on.
func (c *conversations) replace(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current
	c.current = g
	c.all[g] = struct{}{}
	c.forget(old)
}

func (c *conversations) enter() *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.connections++
	return c.current
}

func (c *conversations) leave(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.connections--
	c.forget(g)
}

// forget lets go of a generation that nobody will need; c.mu is held.
func (c *conversations) forget(g *generation) {
	if g != nil && g != c.current && g.connections == 0 {
		delete(c.all, g)
	}
}

// imap holds an IMAP conversation.
func (c *conversations) imap(ctx context.Context, conn *netserver.Conn) {
	g := c.enter()
	defer c.leave(g)
	g.imap.Serve(ctx, conn)
}

// lmtp holds an LMTP conversation. Nobody signs in to LMTP: who may connect may
// deliver.
func (c *conversations) lmtp(ctx context.Context, conn *netserver.Conn) {
	if conn.Authenticated() != nil { // closed already
		return
	}
	g := c.enter()
	defer c.leave(g)
	g.lmtp.Serve(ctx, conn, conn.ID(), conn.Draining())
}

// auth answers a mail server that asks who its clients are. Nobody signs in to that: who may
// connect may ask.
func (c *conversations) auth(ctx context.Context, conn *netserver.Conn) { c.answer(ctx, conn, false) }

// authPlaintext is auth where clients without TLS may sign in.
func (c *conversations) authPlaintext(ctx context.Context, conn *netserver.Conn) {
	c.answer(ctx, conn, true)
}

func (c *conversations) answer(ctx context.Context, conn *netserver.Conn, plaintext bool) {
	if conn.Authenticated() != nil { // closed already
		return
	}
	g := c.enter()
	defer c.leave(g)
	g.auth.Serve(ctx, conn, plaintext)
}

// revoke ends the sessions of an account, whenever they began.
func (c *conversations) revoke(id mail.AccountID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.all {
		g.imap.Revoke(id)
	}
}

// revokeApp ends the sessions that signed in with an app password.
func (c *conversations) revokeApp(id mail.AccountID, app uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.all {
		g.imap.RevokeApp(id, app)
	}
}

// converseAnew reports whether a new configuration needs a new generation. One
// that only has other listeners or certificates does not: passwords stay
// remembered.
func (s *server) converseAnew(cfg config.Config) bool {
	type settings struct {
		hostname string
		auth     config.Auth
		imap     config.IMAP
		lmtp     config.LMTP
	}
	of := func(c config.Config) settings { return settings{hostname(c), c.Auth, c.IMAP, c.LMTP} }
	return !reflect.DeepEqual(of(cfg), of(s.inForce))
}

// newGeneration makes the servers of a configuration over the open instance.
func (s *server) newGeneration(cfg config.Config) (*generation, error) {
	tokens, err := providersOf(cfg)
	if err != nil {
		return nil, err
	}
	rules := rulesOf(cfg)
	agent := delivery.New(delivery.Options{
		Pool: s.pool, Directory: deliveryDirectory{s.store.Directory()}, Notes: notes{s.store.Shelf()},
		Hostname: hostname(cfg), Rules: rules, Log: s.log,
	})
	who := auth.New(auth.Config{
		Directory: signInDirectory{s.store.Directory()}, Rules: rules, Log: s.log, Metrics: s.metrics,
		Remember: time.Duration(zeroIsNone(int64(cfg.Auth.Remember))),
		Guard:    loginGuard{s.guard}, FailureDelay: cfg.Auth.FailureDelay,
		Iterations: cfg.Auth.ScramIterations, ScramReady: s.scram.ready.Load, SaltKey: s.scram.saltKey,
		Used: s.uses.used, Watch: s.audit.signedIn, Permit: s.policies.maySignIn,
		Tokens: tokens, MayActAs: mayActAs(proxiesOf(&cfg, func(string, string) {})),
	})
	return &generation{
		auth: authserver.New(authserver.Options{Auth: who, Log: s.log}),
		imap: imapserver.New(imapserver.Options{
			Accounts: s.pool, Log: s.log, Metrics: s.metrics, Limits: imapLimits(cfg), Version: version(), Metadata: &s.metadata,
			Hostname: hostname(cfg), Finder: urlOwners{s.store.Directory(), rules}, Submitters: cfg.IMAP.Submitters, Index: s.searched(),
			People: people{s.store.Directory(), rules}, ACLAnyone: cfg.IMAP.ACLAnyone, Granted: s.audit.granted,
			SetsQuota: quotaAdministrators(cfg), QuotaSet: s.audit.quotaSet,
			SessionsOf: s.policies.sessions, MayShare: s.policies.mayShare,
			Auth:  who,
			Rules: rulesFor(cfg), Census: &s.talk.census,
		}),
		lmtp: lmtpserver.New(lmtpserver.Options{
			Hostname: hostname(cfg), Log: s.log, Deliverer: agent,
			Limits: lmtpserver.Limits{Message: int64(cfg.LMTP.MaxMessage), Recipients: cfg.LMTP.Recipients},
		}),
	}, nil
}

func imapLimits(cfg config.Config) imapserver.Limits {
	limits := imapserver.DefaultLimits()
	limits.Message = int64(cfg.IMAP.MaxMessage)
	limits.After = imapwire.LoggedIn(limits.Message)
	limits.After.Line, limits.After.Literal, limits.After.Args = int(cfg.Limits.CommandLine), int64(cfg.Limits.Literal), int64(cfg.Limits.Arguments)
	limits.Login, limits.Command, limits.Bad = cfg.Limits.LoginTime, cfg.Limits.CommandTime, cfg.Limits.BadCommands
	limits.SearchCPU, limits.Searches = cfg.Limits.SearchTime, cfg.Limits.Searches
	limits.Search = max(limits.Search, 2*limits.SearchCPU) // it waits for others, too
	limits.Idle = cfg.IMAP.Autologout
	limits.Sessions = cfg.IMAP.Sessions
	limits.Messages, limits.Save = cfg.IMAP.MessageLimit, cfg.IMAP.SaveLimit
	// A session that shows expunged mail goes well before the mail does.
	limits.HeldBack = min(limits.HeldBack, cfg.Store.ExpungeHold/2)
	return limits
}
