package main

import (
	"context"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"postern/cmd/postern/config"
	"postern/internal/netserver"
	"postern/internal/observe"
)

// untilDone waits for ctx to end, and rereads the configuration on each hangup.
func (s *server) untilDone(ctx context.Context, hangup <-chan os.Signal, reread func() (config.Config, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			// With Type=notify-reload systemd wants to know when it began.
			tellSystemd(s.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
			if err := s.reload(reread); err != nil {
				s.log.Error("not reloaded: what was in force stays", observe.Error(err))
			} else {
				s.log.Info("configuration and certificates reread")
			}
			tellSystemd(s.log, daemon.SdNotifyReady)
		}
	}
}

// reload puts a new configuration in force: certificates and listeners at once,
// the rest for the connections that come from now on. If any of it is wrong
// nothing changes.
func (s *server) reload(reread func() (config.Config, error)) error {
	cfg, err := reread()
	if err != nil {
		return err
	}
	if s.keepFixed(&cfg) {
		s.log.Warn("data, store, control, limits, mailboxes and log.format are read at start only: restart to change them")
	}
	pair, _, err := certificate(cfg)
	if err != nil {
		return err
	}
	// Looked at first and used last, so that a taken port leaves the old
	// certificate in force too.
	if _, err := netserver.NewCertificates(time.Now, pair); err != nil {
		return err
	}
	if (cfg.Audit.File == "") != (s.inForce.Audit.File == "") {
		s.log.Warn("audit.file is turned on and off at start only: restart to change that")
		cfg.Audit = s.inForce.Audit
	}
	if err := s.audit.reopen(cfg.Audit.File); err != nil {
		return err
	}
	var next *generation
	if s.converseAnew(cfg) {
		if next, err = s.newGeneration(cfg); err != nil {
			return err
		}
	}
	if err := s.listen(cfg); err != nil {
		return err
	}
	if err := s.certs.Use(pair); err != nil {
		return err
	}
	if next != nil {
		s.talk.replace(next)
	}
	s.rules.set(rulesOf(cfg))
	s.policies.set(rulesOfPolicy(&cfg, func(string, string) {}))
	s.pool.NewRules()
	s.book.setLevel(cfg.Log.Level)
	s.inForce = cfg
	return nil
}

// keepFixed gives what is read at start only the value it had then, and tells
// whether anything of it was to be changed.
func (s *server) keepFixed(cfg *config.Config) (changed bool) {
	was := s.inForce
	changed = cfg.Data != was.Data || cfg.Store != was.Store || cfg.Control != was.Control ||
		cfg.Mailboxes != was.Mailboxes || cfg.Limits != was.Limits || cfg.Log.Format != was.Log.Format
	cfg.Data, cfg.Store, cfg.Control, cfg.Limits, cfg.Mailboxes = was.Data, was.Store, was.Control, was.Limits, was.Mailboxes
	cfg.Log.Format = was.Log.Format
	return changed
}
