package account

import (
	"cmp"
	"context"
	"slices"

	"postern/internal/mail"
)

// Guest is an account as one of all accounts sees it: its owner, who has all
// rights everywhere, or somebody else, who has those that the mailboxes' access
// control lists give (RFC 4314). Handles a guest gets stay the guest's: what they
// do is checked against the rights of that moment, in the same step in which it is
// planned, so that a right that was taken away is gone.
type Guest struct{ viewer }

// viewer is who looks at an account.
type viewer struct {
	a      *Account
	who    mail.AccountID
	prefix string
}

// Guest gives the account as who sees it. Names in what it gives begin with
// prefix, by which who calls the account; names it is given do not.
func (a *Account) Guest(who mail.AccountID, prefix string) Guest {
	return Guest{viewer{a, who, prefix}}
}

// own gives the account as its owner sees it.
func (a *Account) own() Guest { return Guest{viewer{a: a, who: a.id}} }

// Account is whose account it is.
func (g Guest) Account() mail.AccountID { return g.a.id }

// Prefix is that of the names.
func (g Guest) Prefix() string { return g.prefix }

// Watch is Account.Watch.
func (g Guest) Watch(wake func()) (stop func()) { return g.a.Watch(wake) }

// IsOwner reports whether the guest is the owner.
func (g Guest) IsOwner() bool { return g.isOwner() }

func (g viewer) isOwner() bool { return g.who == g.a.id }

// rights gives what the guest may do with a mailbox. The model is read, so the
// lock is held or the committer calls it.
func (g viewer) rights(box *mailbox) mail.Rights {
	if g.isOwner() {
		return mail.AllRights
	}
	return box.acl.For(g.who)
}

// check says whether the guest has these rights. Who may not look the mailbox up
// hears what they would hear if it were not there (RFC 4314 6).
func (g viewer) check(box *mailbox, need mail.Rights) error {
	has := g.rights(box)
	switch {
	case has&need == need:
		return nil
	case has&mail.RightLookup == 0:
		return noMailbox()
	}
	return notPermitted()
}

func notPermitted() error {
	return mail.Errorf(mail.NotPermitted, "your rights on the mailbox do not allow it")
}

// Mailbox gives a handle on the mailbox of that name to a guest who needs these
// rights. It is the one road to a mailbox. A mailbox that is not there and one
// that may not be looked up are mail.NotFound alike; one that may be looked up and
// not used so is mail.NotPermitted.
func (g Guest) Mailbox(name string, need mail.Rights) (*Mailbox, error) {
	return g.mailbox(name, func(box *mailbox) error { return g.check(box, need) })
}

// MailboxOfAny is Mailbox for somebody who needs one of these rights.
func (g Guest) MailboxOfAny(name string, need mail.Rights) (*Mailbox, error) {
	return g.mailbox(name, func(box *mailbox) error {
		if g.rights(box)&need == 0 {
			return noMailbox()
		}
		return nil
	})
}

func (g Guest) mailbox(name string, check func(*mailbox) error) (*Mailbox, error) {
	name, err := CanonicalName(name)
	if err != nil {
		return nil, noMailbox()
	}
	g.a.mu.RLock()
	defer g.a.mu.RUnlock()
	box := g.a.model.names[name]
	if box == nil {
		return nil, noMailbox()
	}
	if err := check(box); err != nil {
		return nil, err
	}
	return &Mailbox{viewer: g.viewer, box: box}, nil
}

// Mailboxes gives every mailbox that the guest may look up, sorted by name. The
// slice is not to be changed.
func (g Guest) Mailboxes() []Info {
	if g.isOwner() && g.prefix == "" {
		return g.a.Mailboxes()
	}
	g.a.mu.RLock()
	defer g.a.mu.RUnlock()
	parents := g.visibleParents()
	var infos []Info
	for _, box := range g.a.model.names {
		if g.rights(box)&mail.RightLookup != 0 {
			infos = append(infos, g.infoAmong(box, parents))
		}
	}
	slices.SortFunc(infos, func(x, y Info) int { return cmp.Compare(x.Name, y.Name) })
	return infos
}

// visibleParents gives the names below which the guest may look something up. The
// lock is held.
func (g viewer) visibleParents() map[string]bool {
	parents := map[string]bool{}
	for name, box := range g.a.model.names {
		if g.rights(box)&mail.RightLookup == 0 {
			continue
		}
		for up, ok := parentName(name); ok && !parents[up]; up, ok = parentName(up) {
			parents[up] = true
		}
	}
	return parents
}

// info gives what the guest knows of a mailbox. The lock is held.
func (g viewer) info(box *mailbox) Info {
	if g.isOwner() {
		info := g.a.model.info(box)
		info.Name = g.prefix + info.Name
		return info
	}
	var parents map[string]bool
	if g.a.model.hasChildren(box.name) {
		parents = g.visibleParents()
	}
	return g.infoAmong(box, parents)
}

// infoAmong is info of somebody who knows what is visible. What a mailbox is for
// concerns its owner alone: it is not where the guest's sent mail goes. So do the
// owner's subscriptions.
func (g viewer) infoAmong(box *mailbox, parents map[string]bool) Info {
	info := g.a.model.info(box)
	info.Name, info.Rights = g.prefix+info.Name, g.rights(box)
	if !g.isOwner() {
		info.Use, info.Subscribed, info.HasChildren = 0, false, parents[box.name]
	}
	return info
}

// maySee reports whether there is a mailbox of that name that the guest may look
// up. The committer calls it.
func (g viewer) maySee(name string) bool {
	box := g.a.model.names[name]
	return box != nil && g.rights(box)&mail.RightLookup != 0
}

// mayMake says whether the guest may make a mailbox of that name: that takes the
// right k on the nearest mailbox above it (RFC 4314 4). At the top of an account
// INBOX stands for that. The committer calls it.
func (g viewer) mayMake(name string) error {
	if g.isOwner() {
		return nil
	}
	above := g.nearest(name)
	if above != nil && g.rights(above)&mail.RightCreate != 0 {
		return nil
	}
	// What lies above may be hidden, and then it must not show whether it is there.
	for up, ok := parentName(name); ok; up, ok = parentName(up) {
		if g.maySee(up) {
			return notPermitted()
		}
	}
	if g.maySee(mail.Inbox) {
		return notPermitted()
	}
	return noMailbox()
}

// nearest gives the nearest mailbox above a name, INBOX where there is none.
func (g viewer) nearest(name string) *mailbox {
	for up, ok := parentName(name); ok; up, ok = parentName(up) {
		if box := g.a.model.names[up]; box != nil {
			return box
		}
	}
	return g.a.model.names[mail.Inbox]
}

// inherited gives the access control list of a mailbox that the guest makes: that
// of the nearest mailbox above it (RFC 4314 4: SHOULD). What the owner makes at
// the top is the owner's alone.
func (g viewer) inherited(name string) mail.ACL {
	for up, ok := parentName(name); ok; up, ok = parentName(up) {
		if box := g.a.model.names[up]; box != nil {
			return box.acl
		}
	}
	if box := g.a.model.names[mail.Inbox]; box != nil && !g.isOwner() {
		return box.acl
	}
	return nil
}

// CreateMailbox makes a mailbox and the parents it lacks, as the owner does with
// Account.CreateMailbox.
func (g Guest) CreateMailbox(ctx context.Context, name string, use mail.SpecialUse) (Info, error) {
	return g.a.createMailbox(ctx, g.viewer, name, use)
}

// DeleteMailbox removes a mailbox, as the owner does with Account.DeleteMailbox.
// It takes the right x.
func (g Guest) DeleteMailbox(ctx context.Context, name string) error {
	return g.a.deleteMailbox(ctx, g.viewer, name)
}

// RenameMailbox renames a mailbox, as the owner does with Account.RenameMailbox.
// It takes the right x on the mailbox and k on the new parent; the lists of those
// renamed stay. INBOX is its owner's to rename.
func (g Guest) RenameMailbox(ctx context.Context, from, to string) error {
	return g.a.renameMailbox(ctx, g.viewer, from, to)
}
