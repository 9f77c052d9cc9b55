package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"postern/cmd/postern/config"
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
	return serve(ctx, cfg, c.configuration, t.err, nil)
}

// drainTime is how long sessions may take to finish the command they are at
// when the server stops.
const drainTime = 20 * time.Second

// serve runs a server until ctx ends. reread gives the configuration anew on
// SIGHUP; the log goes to logTo; ready, if any, is called once everything
// listens.
func serve(ctx context.Context, cfg config.Config, reread func() (config.Config, error), logTo io.Writer, ready func(*server) error) (err error) {
	hangup := make(chan os.Signal, 1) // from now on, since without us it ends the process
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	metrics := observe.NewRegistry()
	log := openLog(logTo, cfg.Log, metrics)
	defer log.close()

	if err := netserver.CheckGODEBUG(os.Getenv("GODEBUG")); err != nil {
		return err
	}
	memory := tuneMemory()
	descriptors, err := netserver.RaiseDescriptors()
	if err != nil {
		log.Warn("the number of open files could not be raised", observe.Error(err))
	}
	inherited, err := netserver.InheritedSockets()
	if err != nil {
		return err
	}
	srv, err := newServer(cfg, log, metrics, inherited)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.close()) }()
	stopControl, err := serveControl(ctx, controlPath(cfg.Control.Socket, cfg.Data), srv.instance)
	if err != nil {
		return err
	}
	defer stopControl()
	srv.net.Start()
	log.Info("Postern serves", slog.String("version", version()), slog.String("data", cfg.Data), slog.Uint64("connections_at_most", descriptors), slog.Int64("memory_at_most", memory))
	for _, unused := range srv.net.Unused() {
		log.Warn("a socket from systemd is used by no listener: clients that connect to it wait in vain", slog.String(observe.KeyAddress, unused))
	}
	if ready != nil {
		if err := ready(srv); err != nil {
			return err
		}
	}
	tellSystemd(log.Logger, daemon.SdNotifyReady)
	srv.untilDone(ctx, hangup, reread)
	tellSystemd(log.Logger, daemon.SdNotifyStopping)
	log.Info("Postern stops")
	return nil
}

// tellSystemd says how we are, if systemd started us.
func tellSystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be told", observe.Error(err))
	}
}

// server is an instance with its network.
type server struct {
	*instance
	book    *logbook
	metrics *observe.Registry
	net     *netserver.Server
	certs   *netserver.Certificates
	print   string // fingerprint of a self-made certificate; "" otherwise
	tls     tlsSettings
	talk    *conversations
	old     oldClients
	started time.Time
	scram   *scramState
	uses    *appUses
	stop    context.CancelFunc // of what watches the certificates and keeps the guard's state
	keeping sync.WaitGroup     // the latter

	inForce config.Config // what was read last and is right; for the goroutine of untilDone
}

// newServer binds every address, so that a taken port is told before anything is
// written to, then opens the store. Nothing is accepted before Start.
func newServer(cfg config.Config, log *logbook, metrics *observe.Registry, inherited *netserver.Inherited) (*server, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, explainOpen(cfg.Data, err)
	}
	s := &server{book: log, metrics: metrics, inForce: cfg, started: time.Now()}
	s.net = netserver.New(netserver.Config{Log: log.Logger, Metrics: metrics, Inherited: inherited, Limits: netLimits(cfg),
		TurnedAway: func(from netip.Addr) { s.old.add(from, time.Now()) }})
	pair, print, err := certificate(cfg)
	if err != nil {
		return nil, err
	}
	s.print = print
	if s.certs, err = netserver.NewCertificates(time.Now, pair); err != nil {
		return nil, err
	}
	s.talk = newConversations()
	if err := s.listen(cfg); err != nil {
		return nil, err
	}
	// Ports and the private key are ours now. Whoever started us as root all the
	// same: the mail belongs to the owner of its directory.
	err = becomeOwner(cfg.Data)
	if err == nil {
		s.instance, err = openInstance(cfg, log.Logger, metrics)
	}
	if err != nil {
		return nil, errors.Join(err, s.net.Shutdown(context.Background()))
	}
	if err := s.old.load(context.Background(), s.store.Shelf()); err != nil {
		s.log.Warn("what was counted of clients with old TLS cannot be read", observe.Error(err))
	}
	s.status = s.serverStatus
	s.revoke, s.revokeApp = s.talk.revoke, s.talk.revokeApp
	s.uses = newAppUses(s.store.Shelf(), log.Logger)
	if s.scram, err = openScram(context.Background(), s.store); err != nil {
		return nil, errors.Join(err, s.instance.close(), s.net.Shutdown(context.Background()))
	}
	first, err := s.newGeneration(cfg)
	if err != nil {
		return nil, errors.Join(err, s.instance.close(), s.net.Shutdown(context.Background()))
	}
	s.talk.replace(first)
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.certs.Watch(watching, certificateWatch, s.tellCertificate)
	s.keeping.Go(func() { s.keepGuardAlways(watching) })
	s.keeping.Go(func() { s.watchExpiry(watching) })
	if cfg.Index.Enabled {
		s.keeping.Go(func() { s.index.Run(watching) })
	}
	s.keeping.Go(func() { s.scram.watch(watching, s.store.Directory(), s.log) })
	return s, nil
}

// certificateWatch is how often we look whether the certificate's files have
// changed.
const certificateWatch = time.Minute

func (s *server) tellCertificate(err error) {
	if err != nil {
		s.log.Error("the new certificate is bad, the old one stays", observe.Error(err))
		return
	}
	s.log.Info("certificate reread", slog.Any("fingerprints", s.certs.Fingerprints()), slog.Time("until", s.certs.Expiry()))
}

// close ends the server: no new connections, commands under way finish, waiting
// sessions hear BYE, then the store is closed.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.stop()
	s.keeping.Wait()
	err := s.net.Shutdown(ctx)
	s.uses.wait()
	err = errors.Join(err, s.old.save(ctx, s.store.Shelf()), s.instance.close())
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
