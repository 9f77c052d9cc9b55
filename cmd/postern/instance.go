package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/guard"
	"postern/internal/imapserver"
	"postern/internal/importer"
	"postern/internal/index"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
	"postern/internal/store/embedded"
)

// instance is an open store and what stands on it, short of the network: all
// that an administrative operation needs. The server has one, and so has a
// command that runs while no server does.
type instance struct {
	cfg   config.Config // as it was at the start
	log   *slog.Logger
	store store.Store
	pool  *account.Pool
	index *index.Index
	rules addressRules

	imports  *importer.Importer
	guard    *guard.Guard              // with what was kept of it
	metadata imapserver.ServerMetadata // as it is on the shelf
	audit    *auditTrail               // nil: there is none
	policies *policies

	// status tells how the server is. Nil without a server.
	status func(context.Context) (*serverStatus, error)

	// revoke ends the sessions of an account. Nil without a server.
	revoke func(mail.AccountID)
	// revokeApp ends those that signed in with an app password. Nil without a server.
	revokeApp func(id mail.AccountID, app uint64)
}

// openInstance opens the store.
func openInstance(cfg config.Config, log *slog.Logger, metrics *observe.Registry) (*instance, error) {
	st, err := openStore(cfg, log)
	if err != nil {
		return nil, err
	}
	held := &policies{directory: st.Directory()}
	held.set(rulesOfPolicy(&cfg, func(string, string) {})) // the configuration was checked
	pool := account.NewPool(st, account.Options{
		Rules: held.mail,
		Log:   log, ExpungeHold: cfg.Store.ExpungeHold, Defaults: defaultMailboxes(cfg.Mailboxes),
		Quota: quotaOf(cfg.Quota),
		// The conversations keep the configured limits, which a reload may raise.
		Limits: account.Limits{
			MessageSize: int64(config.LargestMessage) + traceRoom,
			Mailboxes:   cfg.Limits.Mailboxes, MailboxKeywords: cfg.Limits.Keywords,
		},
	})
	watch, err := openGuard(context.Background(), st.Shelf(), log, metrics)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	trail, err := openAudit(context.Background(), cfg.Audit.File, st.Shelf(), log, metrics)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	in := &instance{
		cfg: cfg, log: log, store: st, pool: pool, guard: watch, audit: trail, policies: held,
		index:   index.New(index.Options{Pool: pool, Log: log, Metrics: metrics, Share: float64(cfg.Index.CPU) / 100}),
		imports: importer.New(importer.Options{Pool: pool, Notes: importNotes{st.Shelf()}}),
	}
	in.rules.set(rulesOf(cfg))
	if err := in.readMetadata(context.Background()); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

// addressRules are how addresses are read. A reload changes them under whoever
// reads one.
type addressRules struct{ now atomic.Pointer[auth.Rules] }

func (r *addressRules) set(rules auth.Rules) { r.now.Store(&rules) }

// Parse reads an address.
func (r *addressRules) Parse(address string) (auth.Address, error) {
	return r.now.Load().Parse(address)
}

// storeDirectory is where in the data directory the store is. Beside it are the
// control socket and a self-made certificate.
const storeDirectory = "store"

// traceRoom is room for what delivery puts before a message.
const traceRoom = 16 << 10

// zeroIsNone translates a setting of 0 for options in which 0 is the default.
func zeroIsNone(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

func rulesOf(cfg config.Config) auth.Rules {
	var r auth.Rules
	if cfg.LMTP.Detail != "" {
		r.Separator = cfg.LMTP.Detail[0]
	}
	return r
}

func defaultMailboxes(m config.Mailboxes) []account.DefaultMailbox {
	list := []account.DefaultMailbox{{Name: mail.Inbox, Subscribed: true}}
	for _, d := range []struct {
		name string
		use  mail.SpecialUse
	}{
		{m.Drafts, mail.UseDrafts}, {m.Sent, mail.UseSent}, {m.Archive, mail.UseArchive},
		{m.Junk, mail.UseJunk}, {m.Trash, mail.UseTrash},
	} {
		if d.name != "" {
			list = append(list, account.DefaultMailbox{Name: d.name, Use: d.use, Subscribed: true})
		}
	}
	return list
}

// explainOpen says what to do about a data directory that does not open. Where
// trying again is no use the error is a setup error.
func explainOpen(dir string, err error) error {
	var locked *embedded.LockedError
	switch {
	case errors.As(err, &locked):
		return fmt.Errorf("%w: stop it, or give this one a directory of its own with --data", locked)
	case errors.Is(err, fs.ErrPermission):
		return setupErrorf("data directory %s: %w: run this as its owner or as root, or name another with --data", dir, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EROFS):
		return setupErrorf("data directory %s: %w: name another with --data", dir, err)
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// closeTimeout is how long commits under way may take when a process ends.
const closeTimeout = 30 * time.Second

// close ends it, after commits under way.
func (in *instance) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(in.pool.Close(ctx), in.keepGuard(ctx), in.index.Close(), in.store.Close(), in.audit.close())
}

// becomeOwner makes a command that root runs take on the owner of the data
// directory first, so that no file there becomes root's. A directory that is
// still to be made has no owner.
func becomeOwner(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explainOpen(dir, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || !ok || owner.Uid == 0 {
		return nil
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid))); err != nil {
		return fmt.Errorf("take on the owner of %s: %w", dir, err)
	}
	return nil
}

// searched is the text index that searches ask, if any.
func (in *instance) searched() *index.Index {
	if !in.cfg.Index.Enabled {
		return nil
	}
	return in.index
}
