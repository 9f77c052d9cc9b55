package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"postern/cmd/postern/config"
	"postern/internal/auth"
	"postern/internal/delivery"
	"postern/internal/imapserver"
	"postern/internal/imapwire"
	"postern/internal/lmtpserver"
	"postern/internal/netserver"
	"postern/internal/observe"
)

type serveCommand struct{}

// Run runs the server until a signal ends it.
func (serveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	return serve(ctx, cfg, c.configuration, newLog(t.err, cfg.Log), nil)
}

// drainTime is how long sessions may take to finish the command they are at
// when the server stops.
const drainTime = 20 * time.Second

// serve runs a server until ctx ends. reread gives the configuration anew on
// SIGHUP; ready, if any, is called once everything listens.
func serve(ctx context.Context, cfg config.Config, reread func() (config.Config, error), log *slog.Logger, ready func(*server) error) (err error) {
	if err := netserver.CheckGODEBUG(os.Getenv("GODEBUG")); err != nil {
		return err
	}
	descriptors, err := netserver.RaiseDescriptors()
	if err != nil {
		log.Warn("the number of open files could not be raised", observe.Error(err))
	}
	inherited, err := netserver.InheritedSockets()
	if err != nil {
		return err
	}
	srv, err := newServer(cfg, log, inherited)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.close()) }()
	srv.net.Start()
	stopControl, err := serveControl(ctx, controlPath(cfg.Control.Socket, cfg.Data), srv.instance, log)
	if err != nil {
		return err
	}
	defer stopControl()
	log.Info("Postern serves", "version", version(), "data", cfg.Data, "connections_at_most", descriptors)
	for _, unused := range srv.net.Unused() {
		log.Warn("a socket from systemd is used by no listener: clients that connect to it wait in vain", "socket", unused)
	}
	notify(log, daemon.SdNotifyReady)
	if ready != nil {
		if err := ready(srv); err != nil {
			return err
		}
	}
	srv.untilDone(ctx, reread)
	notify(log, daemon.SdNotifyStopping)
	log.Info("Postern stops")
	return nil
}

// notify tells systemd, if systemd started us.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be told", observe.Error(err))
	}
}

// server is an instance with its network.
type server struct {
	*instance
	net   *netserver.Server
	certs *netserver.Certificates
	print string // fingerprint of a self-made certificate; "" otherwise
	stop  context.CancelFunc

	tls        *tls.Config
	minVersion string // of tls

	metrics *observe.Registry
	inner   conversations
}

// conversations hold what comes in by each kind of listener.
type conversations struct {
	imap *imapserver.Server
	lmtp *lmtpserver.Server
}

// newServer binds every address first, so that a taken port is told before
// anything else happens, then opens the store.
func newServer(cfg config.Config, log *slog.Logger, inherited *netserver.Inherited) (*server, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	metrics := observe.NewRegistry()
	s := &server{metrics: metrics, stop: func() {}}
	s.net = netserver.New(netserver.Config{Log: log, Metrics: metrics, Inherited: inherited})
	pair, print, err := certificate(cfg)
	if err != nil {
		return nil, err
	}
	s.print = print
	if s.certs, err = netserver.NewCertificates(time.Now, pair); err != nil {
		return nil, err
	}
	if err := s.listen(cfg); err != nil {
		return nil, err
	}
	if s.instance, err = openInstance(cfg, log); err != nil {
		return nil, errors.Join(err, s.net.Shutdown(context.Background()))
	}
	s.converse(cfg)
	var watching context.Context
	watching, s.stop = context.WithCancel(context.Background())
	go s.certs.Watch(watching, time.Minute, func(err error) {
		if err != nil {
			log.Error("the new certificate is bad, the old one stays", observe.Error(err))
			return
		}
		log.Info("certificate reloaded", "fingerprints", s.certs.Fingerprints(), "until", s.certs.Expiry())
	})
	return s, nil
}

// certificate names the configured pair, or one that Postern makes itself.
func certificate(cfg config.Config) (netserver.Pair, string, error) {
	if cfg.TLS.Certificate != "" {
		return netserver.Pair{Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key}, "", nil
	}
	hosts := []string{hostname(cfg), "localhost", "127.0.0.1", "::1"}
	slices.Sort(hosts)
	return netserver.SelfSigned(filepath.Join(cfg.Data), slices.Compact(hosts), time.Now())
}

func hostname(cfg config.Config) string {
	if cfg.Hostname != "" {
		return cfg.Hostname
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// converse makes the conversations over the open instance.
func (s *server) converse(cfg config.Config) {
	limits := imapserver.DefaultLimits()
	limits.Message = int64(cfg.IMAP.MaxMessage)
	limits.After = imapwire.LoggedIn(limits.Message)
	limits.Idle = cfg.IMAP.Autologout
	limits.Sessions = cfg.IMAP.Sessions
	s.inner.imap = imapserver.New(imapserver.Options{
		Accounts: s.pool, Log: s.log, Metrics: s.metrics, Limits: limits, Version: version(),
		Auth: auth.New(auth.Config{
			Directory: signInDirectory{s.store.Directory()}, Rules: s.rules, Remember: cfg.Auth.Remember,
			Log: s.log, Metrics: s.metrics,
		}),
		Masks: []imapserver.Mask{{Hide: cfg.IMAP.DisabledCaps}},
	})
	s.revoke = s.inner.imap.Revoke
	s.inner.lmtp = lmtpserver.New(lmtpserver.Options{
		Hostname: hostname(cfg), Log: s.log,
		Deliverer: delivery.New(delivery.Options{
			Pool: s.pool, Directory: deliveryDirectory{s.store.Directory()}, Notes: notes{s.store.Shelf()},
			Hostname: hostname(cfg), Rules: s.rules, Log: s.log,
		}),
		Limits: lmtpserver.Limits{Message: int64(cfg.LMTP.MaxMessage), Recipients: cfg.LMTP.Recipients},
	})
}

// tlsConfig gives the TLS settings of every listener. They are kept across
// reloads, because clients' session tickets are good for them alone.
func (s *server) tlsConfig(minVersion string) (*tls.Config, error) {
	if s.tls != nil && s.minVersion == minVersion {
		return s.tls, nil
	}
	made, err := netserver.NewTLSConfig(s.certs, minVersion, "imap")
	if err != nil {
		return nil, err
	}
	s.tls, s.minVersion = made, minVersion
	return made, nil
}

// listen makes the server listen where the configuration says. Nothing is
// accepted before Start.
func (s *server) listen(cfg config.Config) error {
	secure, err := s.tlsConfig(cfg.TLS.MinVersion)
	if err != nil {
		return err
	}
	imap := func(ctx context.Context, c *netserver.Conn) { s.inner.imap.Serve(ctx, c) }
	lmtp := func(ctx context.Context, c *netserver.Conn) {
		if c.Authenticated() != nil { // nobody signs in to LMTP: who may connect may deliver
			return
		}
		s.inner.lmtp.Serve(ctx, c, c.ID(), c.Draining())
	}
	lmtpWords := func(observe.Ref) string { return "421 4.3.0 something went wrong here\r\n" }
	var specs []netserver.Listen
	for _, kind := range []struct {
		setting  string
		list     []config.Listener
		security netserver.Security
		handler  netserver.Handler
		words    func(observe.Ref) string
	}{
		{"listen.imaps", cfg.Listen.IMAPS, netserver.ImplicitTLS, imap, imapserver.LastWords},
		{"listen.imap", cfg.Listen.IMAP, netserver.StartTLS, imap, imapserver.LastWords},
		{"listen.lmtp", cfg.Listen.LMTP, netserver.Plaintext, lmtp, lmtpWords},
	} {
		for _, l := range kind.list {
			spec := netserver.Listen{
				Setting: kind.setting, Address: l.Address, Security: kind.security, TLS: secure,
				Unix:    netserver.UnixAccess{Owner: l.Owner, Group: l.Group, Mode: os.FileMode(l.Mode)},
				Handler: kind.handler, LastWords: kind.words,
			}
			if l.Plaintext {
				spec.Security = netserver.Plaintext
			}
			for _, n := range l.Networks {
				prefix, err := netip.ParsePrefix(n)
				if err != nil {
					return fmt.Errorf("%s.networks: %w", kind.setting, err)
				}
				spec.Networks = append(spec.Networks, prefix)
			}
			specs = append(specs, spec)
		}
	}
	return s.net.Listen(specs)
}

// untilDone waits for ctx to end, and rereads the configuration on SIGHUP.
func (s *server) untilDone(ctx context.Context, reread func() (config.Config, error)) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			notify(s.log, daemon.SdNotifyReloading)
			if err := s.reload(reread); err != nil {
				s.log.Error("not reloaded, what was in force stays", observe.Error(err))
			} else {
				s.log.Info("configuration and certificates reread")
			}
			notify(s.log, daemon.SdNotifyReady)
		}
	}
}

// reload puts a new configuration in force for everything that needs no
// restart: certificates, listeners, and the conversations that begin from now
// on. If any of it is wrong nothing changes.
func (s *server) reload(reread func() (config.Config, error)) error {
	cfg, err := reread()
	if err != nil {
		return err
	}
	if cfg.Data != s.cfg.Data || cfg.Store != s.cfg.Store || cfg.Control != s.cfg.Control {
		s.log.Warn("data, store and control are read at start only: restart to change them")
		cfg.Data, cfg.Store, cfg.Control = s.cfg.Data, s.cfg.Store, s.cfg.Control
	}
	pair, _, err := certificate(cfg)
	if err != nil {
		return err
	}
	if err := s.certs.Use(pair); err != nil {
		return err
	}
	if err := s.listen(cfg); err != nil {
		return err
	}
	s.cfg = cfg
	return nil
}

// close ends the server: no new connections, commands under way finish, waiting
// sessions hear BYE, then the store is closed.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.stop()
	return errors.Join(s.net.Shutdown(ctx), s.instance.close())
}
