package account

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"postern/internal/mail"
	"postern/internal/store"
)

// Account is an open account, shared by everybody who opened it.
type Account struct {
	pool  *Pool
	id    mail.AccountID
	store store.Account
	flags *flagTable

	// Of the pool, guarded by Pool.mu.
	holders int
	idleAt  int64           // unix seconds since when nobody holds it
	grew    <-chan struct{} // what the store signals on; nil: nothing to follow

	queue queue

	// mu guards the model. The committer writes under it and reads without.
	mu       sync.RWMutex
	model    *model
	loaded   bool // the committer's own: the model is what the log adds up to
	watchers map[*watcher]struct{}

	infos atomic.Pointer[[]Info]   // nil: make anew
	names atomic.Pointer[[]string] // subscriptions

	rules knownRules // guarded by Pool.keeping

	saveAfter int // the committer's own: a save failed, try again when the tail has so many bytes
}

type watcher struct {
	wake     func()
	metadata bool // only when metadata or special uses may have changed
}

// ID names the account.
func (a *Account) ID() mail.AccountID { return a.id }

// Release gives the account back. It is not used afterwards.
func (a *Account) Release() { a.pool.release(a) }

// Mailboxes gives every mailbox, sorted by name. The slice is shared and not to
// be changed.
func (a *Account) Mailboxes() []Info {
	if infos := a.infos.Load(); infos != nil {
		return *infos
	}
	// Whatever changes the model holds the lock and then drops the list, so one
	// made under the lock is never older than the model.
	a.mu.RLock()
	defer a.mu.RUnlock()
	infos := make([]Info, 0, len(a.model.names))
	for _, box := range a.model.names {
		infos = append(infos, a.model.info(box))
	}
	slices.SortFunc(infos, func(x, y Info) int { return cmp.Compare(x.Name, y.Name) })
	a.infos.Store(&infos)
	return infos
}

// Subscriptions gives the names subscribed to, sorted. The slice is shared and
// not to be changed.
func (a *Account) Subscriptions() []string {
	if names := a.names.Load(); names != nil {
		return *names
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	names := slices.Sorted(maps.Keys(a.model.subscribed))
	a.names.Store(&names)
	return names
}

// Mailbox gives the owner's handle on the mailbox of that name: Guest.Mailbox for
// others. An account has all rights on its own mailboxes (RFC 4314 4).
func (a *Account) Mailbox(name string, need mail.Rights) (*Mailbox, error) {
	return a.own().Mailbox(name, need)
}

func noMailbox() error { return mail.Errorf(mail.NotFound, "there is no such mailbox") }

// Watch calls wake whenever names, subscriptions or a mailbox's figures may have
// changed, until stop is called. wake must not block.
func (a *Account) Watch(wake func()) (stop func()) { return a.watch(&watcher{wake: wake}) }

// WatchMetadata calls wake whenever metadata or special uses may have changed, until
// stop is called. wake must not block.
func (a *Account) WatchMetadata(wake func()) (stop func()) {
	return a.watch(&watcher{wake: wake, metadata: true})
}

func (a *Account) watch(w *watcher) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watchers == nil {
		a.watchers = map[*watcher]struct{}{}
	}
	a.watchers[w] = struct{}{}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.watchers, w)
	}
}

// Info is what is known of a mailbox without looking at its messages.
type Info struct {
	Account       mail.AccountID // whose it is
	ID            mail.MailboxID
	Name          string
	Validity      mail.UIDValidity
	Use           mail.SpecialUse
	AppendLimit   mail.AppendLimit
	KeyAt         mail.ModSeq // of the last change of its AccessKey; 0: it never had one
	Counts        mail.Counts
	HighestModSeq mail.ModSeq
	Recent        uint32 // messages no session was shown as \Recent yet (RFC 3501)
	HasChildren   bool
	Subscribed    bool
	Rights        mail.Rights // of whoever was given this
}

func (m *model) info(box *mailbox) Info {
	return Info{
		Account: m.account, ID: box.id, Name: box.name, Validity: box.validity, Use: box.use, AppendLimit: box.limit, KeyAt: box.keyAt, Counts: box.counts,
		HighestModSeq: box.highest, Recent: box.recent,
		HasChildren: m.hasChildren(box.name), Subscribed: m.subscribed[box.name],
		Rights: mail.AllRights,
	}
}

// Mailbox is a guest's handle on one mailbox. It stays good when the mailbox is renamed;
// when it is deleted every method that changes something gives mail.NotFound.
type Mailbox struct {
	viewer
	box *mailbox
}

// Info gives what the guest knows of the mailbox now.
func (m *Mailbox) Info() Info { return m.infoNow(m.box) }

func (g viewer) infoNow(box *mailbox) Info {
	g.a.mu.RLock()
	defer g.a.mu.RUnlock()
	return g.info(box)
}

// ask hands a request to the committer and waits until it is answered.
func (a *Account) ask(ctx context.Context, r *request) error {
	r.done = make(chan error, 1)
	if err := a.queue.put(a, r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if a.queue.withdraw(r) {
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
	return <-r.done // it is on its way and will be answered
}
