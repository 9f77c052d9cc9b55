package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/internal/auth"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

type appGroup struct {
	Add    appAddCommand    `cmd:"" help:"Make a password for one program or device, and show it once."`
	List   appListCommand   `cmd:"" help:"List an account's app passwords, and when each was last used."`
	Remove appRemoveCommand `cmd:"" help:"Take an app password back and end its sessions."`
}

type appAddCommand struct {
	Address  string        `arg:"" help:"The account."`
	Name     string        `arg:"" help:"What it is for, as phone."`
	ReadOnly bool          `help:"Nothing can be changed with it."`
	Expires  time.Duration `placeholder:"TIME" help:"It is good for so long, as 720h; otherwise until it is taken back."`
	Network  []string      `placeholder:"NET" help:"It is good in this network only, as 192.0.2.0/24. Can be given again."`
}

type appListCommand struct {
	Address string `arg:"" help:"The account."`
}

type appRemoveCommand struct {
	Address string `arg:"" help:"The account."`
	Name    string `arg:"" help:"Its name."`
}

// appArgs are the arguments of an operation on app passwords.
type appArgs struct {
	Account  string
	Name     string
	ReadOnly bool
	Expires  time.Duration
	Networks []string `json:",omitempty"`
}

// onApp makes an operation of what is to be done with the app passwords of an
// account that is there.
func onApp(do func(ctx context.Context, in *instance, identity store.Identity, args appArgs, out *answer) error) operation {
	return func(ctx context.Context, in *instance, raw json.RawMessage, _ io.Reader, out *answer) error {
		args, err := decode[appArgs](raw)
		if err != nil {
			return err
		}
		identity, err := in.find(ctx, args.Account)
		if err != nil {
			return err
		}
		return do(ctx, in, identity, args, out)
	}
}

// Run makes an app password.
func (a appAddCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "app-add", appArgs{a.Address, a.Name, a.ReadOnly, a.Expires, a.Network}, nil, t.printing)
}

func appAdd(ctx context.Context, in *instance, identity store.Identity, args appArgs, out *answer) error {
	if args.Expires < 0 {
		return mail.Errorf(mail.Invalid, "an app password cannot have expired already")
	}
	now := time.Now()
	a := auth.AppPassword{Name: args.Name, ReadOnly: args.ReadOnly, Created: now}
	if args.Expires > 0 {
		a.Expires = now.Add(args.Expires)
	}
	for _, text := range args.Networks {
		n, err := parseNetwork(text)
		if err != nil {
			return err
		}
		a.Networks = append(a.Networks, n)
	}
	record, made, password, err := auth.AddAppPassword(identity.Credentials, a)
	if err != nil {
		return err
	}
	identity.Credentials = record
	if _, err := in.store.Directory().Update(ctx, identity); err != nil {
		return err
	}
	return out.printf("app password %q of %s, shown this once:\n%s", made.Name, identity.Name, password)
}

// Run lists app passwords.
func (a appListCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "app-list", appArgs{Account: a.Address}, nil, t.printing)
}

func appList(ctx context.Context, in *instance, identity store.Identity, _ appArgs, out *answer) error {
	c, err := auth.ParseCredentials(identity.Credentials)
	if err != nil {
		return err
	}
	for _, a := range c.AppPasswords() {
		used, err := lastUse(ctx, in.store.Shelf(), identity.ID, a.ID)
		if err != nil {
			return err
		}
		if err := out.printf("%s", describeApp(a, used)); err != nil {
			return err
		}
	}
	return nil
}

func describeApp(a auth.AppPassword, used time.Time) string {
	parts := []string{a.Name, "made " + a.Created.Format(time.DateOnly)}
	switch {
	case used.IsZero():
		parts = append(parts, "never used")
	default:
		parts = append(parts, "last used "+used.Format("2006-01-02 15h"))
	}
	if !a.Expires.IsZero() {
		parts = append(parts, "good until "+a.Expires.Format(time.DateTime))
	}
	if a.ReadOnly {
		parts = append(parts, "read-only")
	}
	if len(a.Networks) > 0 {
		parts = append(parts, "from "+strings.Join(texts(a.Networks), " "))
	}
	return strings.Join(parts, "\t")
}

func texts(networks []netip.Prefix) []string {
	var out []string
	for _, n := range networks {
		out = append(out, n.String())
	}
	return out
}

// Run takes an app password back.
func (a appRemoveCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	return c.administer(ctx, "app-remove", appArgs{Account: a.Address, Name: a.Name}, nil, t.printing)
}

func appRemove(ctx context.Context, in *instance, identity store.Identity, args appArgs, out *answer) error {
	record, gone, err := auth.RemoveAppPassword(identity.Credentials, args.Name)
	if err != nil {
		return err
	}
	identity.Credentials = record
	if _, err := in.store.Directory().Update(ctx, identity); err != nil {
		return err
	}
	if in.revokeApp != nil {
		in.revokeApp(identity.ID, gone.ID)
	}
	if err := in.store.Shelf().Delete(ctx, useKey(identity.ID, gone.ID), store.AnyVersion); err != nil {
		return err
	}
	return out.printf("took back the app password %q of %s; its sessions were ended", gone.Name, identity.Name)
}

// useKey is where the last use of an app password is kept, in Unix seconds.
func useKey(account mail.AccountID, app uint64) string {
	return fmt.Sprintf("%s%016x", usesOf(account), app)
}

// usesOf is what the keys of an account's uses begin with.
func usesOf(account mail.AccountID) string { return fmt.Sprintf("auth/app-used/%d/", account) }

// lastUse gives when an app password was last used, to the hour.
func lastUse(ctx context.Context, shelf store.Shelf, account mail.AccountID, app uint64) (time.Time, error) {
	v, err := shelf.Get(ctx, useKey(account, app))
	if err != nil && mail.KindOf(err) == mail.NotFound {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(string(v.Data), 10, 64)
	if err != nil {
		return time.Time{}, mail.Wrap(err, mail.Corrupt, "the last use of an app password is damaged")
	}
	return time.Unix(seconds, 0), nil
}

// appUses keeps when app passwords were used. A login does not wait for that, and
// within an hour it is kept once.
type appUses struct {
	shelf store.Shelf
	log   *slog.Logger

	mu      sync.Mutex
	kept    map[string]time.Time
	running sync.WaitGroup
}

// appUsePause is how exact the last use of an app password is.
const appUsePause = time.Hour

// maxAppUses bounds what is remembered of uses, some 10 MB.
const maxAppUses = 100_000

func newAppUses(shelf store.Shelf, log *slog.Logger) *appUses {
	return &appUses{shelf: shelf, log: log, kept: make(map[string]time.Time)}
}

// used notes a use.
func (u *appUses) used(_ context.Context, id auth.Identity, at time.Time) {
	key := useKey(id.Account, id.App)
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, ok := u.kept[key]; ok && at.Sub(last) < appUsePause {
		return
	}
	if len(u.kept) >= maxAppUses { // it costs writing some again
		clear(u.kept)
	}
	u.kept[key] = at
	u.running.Go(func() {
		_, err := u.shelf.Put(context.Background(), key, strconv.AppendInt(nil, at.Unix(), 10), store.AnyVersion, time.Time{})
		if err != nil {
			u.log.Warn("the use of an app password could not be noted", observe.Account(id.Account), observe.Error(err))
		}
	})
}

// wait waits until all uses are kept.
func (u *appUses) wait() { u.running.Wait() }
