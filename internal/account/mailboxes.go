package account

import (
	"context"
	"slices"
	"strings"

	"postern/internal/mail"
)

// Requests that change names are each alone in their batch: they are rare, and
// so need no overlay of names.

// create plans a mailbox. Its ID is the ModSeq of its making, which no other
// mailbox of the account ever has.
func (p *plan) create(name string, use mail.SpecialUse) mail.MailboxID {
	// RFC 9051 2.3.1.1 recommends the time; counting on from the highest ever
	// given makes it unique whatever the clock does.
	p.maxValidity = max(p.maxValidity+1, mail.UIDValidity(max(p.now, 1)))
	p.used.Mailboxes++
	id := mail.MailboxID(p.head + 1)
	p.record(id, mail.Counts{UIDNext: 1}, mail.MailboxCreated{Name: name, Validity: p.maxValidity, SpecialUse: use}, len(name))
	return id
}

// createShared is create of a mailbox that others have rights on from its
// beginning.
func (p *plan) createShared(name string, use mail.SpecialUse, acl mail.ACL) mail.MailboxID {
	id := p.create(name, use)
	if len(acl) > 0 {
		p.record(id, mail.Counts{UIDNext: 1}, mail.ACLSet{ACL: acl}, 8*len(acl))
	}
	return id
}

// planDefaults plans INBOX and the default mailboxes of an account that has no
// INBOX.
func (a *Account) planDefaults(p *plan) error {
	if p.model.names[mail.Inbox] != nil {
		return nil
	}
	made := map[string]bool{}
	make1 := func(name string, use mail.SpecialUse) {
		if !made[name] && p.model.names[name] == nil {
			p.create(name, use)
			made[name] = true
		}
	}
	make1(mail.Inbox, 0)
	for _, d := range a.pool.o.Defaults {
		name, err := CanonicalName(d.Name)
		if err != nil {
			return err
		}
		for _, parent := range p.model.missingParents(name) {
			make1(parent, 0)
		}
		make1(name, d.Use)
		if d.Subscribed {
			p.record(0, mail.Counts{}, mail.Subscribed{Name: name, On: true}, len(name))
		}
	}
	return nil
}

// CreateMailbox makes a mailbox and the parents it lacks (RFC 9051 6.3.4). One
// trailing separator, by which a client says that it wants to make mailboxes
// below, is dropped.
func (a *Account) CreateMailbox(ctx context.Context, name string, use mail.SpecialUse) (Info, error) {
	return a.createMailbox(ctx, a.own().viewer, name, use)
}

func (a *Account) createMailbox(ctx context.Context, g viewer, name string, use mail.SpecialUse) (Info, error) {
	name, err := CanonicalName(strings.TrimSuffix(name, string(mail.Separator)))
	if err != nil {
		return Info{}, err
	}
	var id mail.MailboxID
	err = a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		if err := g.mayMake(name); err != nil {
			return err
		}
		if p.model.names[name] != nil {
			return mail.Errorf(mail.AlreadyExists, "there is such a mailbox already")
		}
		if err := p.roomFor(p.model.missingParents(name), 1); err != nil {
			return err
		}
		acl := g.inherited(name)
		for _, parent := range p.model.missingParents(name) {
			p.createShared(parent, 0, acl)
		}
		id = p.createShared(name, use, acl)
		return nil
	}})
	if err != nil {
		return Info{}, err
	}
	a.mu.RLock()
	box := a.model.boxes[id]
	a.mu.RUnlock()
	if box == nil {
		return Info{}, noMailbox() // deleted again at once
	}
	return g.infoNow(box), nil
}

// roomFor checks the limit on mailboxes, and the quota.
func (p *plan) roomFor(parents []string, more int) error {
	if limit := p.a.pool.o.Limits.Mailboxes; len(p.model.names)+len(parents)+more > limit {
		return mail.Errorf(mail.Limit, "an account can have %d mailboxes", limit)
	}
	return p.mayUse(mail.Usage{Mailboxes: uint64(len(parents) + more)})
}

// DeleteMailbox removes a mailbox and its messages (RFC 9051 6.3.5).
// mail.HasChildren if there are mailboxes below it, mail.Cannot for INBOX. Its
// messages stay readable for sessions that have it selected, as expunged ones do.
func (a *Account) DeleteMailbox(ctx context.Context, name string) error {
	return a.deleteMailbox(ctx, a.own().viewer, name)
}

func (a *Account) deleteMailbox(ctx context.Context, g viewer, name string) error {
	name, err := CanonicalName(name)
	if err != nil {
		return noMailbox()
	}
	return a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		box := p.model.names[name]
		if box == nil {
			return noMailbox()
		}
		if err := g.check(box, mail.RightDeleteBox); err != nil {
			return err
		}
		switch {
		case name == mail.Inbox:
			return mail.Errorf(mail.Cannot, "INBOX cannot be deleted")
		case p.model.hasChildren(name):
			return mail.Errorf(mail.HasChildren, "there are mailboxes below it")
		}
		p.record(box.id, mail.Counts{UIDNext: box.counts.UIDNext}, mail.MailboxDeleted{At: p.now}, 8)
		return nil
	}})
}

// RenameMailbox renames a mailbox and those below it, in one commit, and makes
// the parents the new name lacks. Renaming INBOX moves its messages to a new
// mailbox and leaves those below it alone (RFC 9051 6.3.6). Subscriptions are to
// names and stay.
func (a *Account) RenameMailbox(ctx context.Context, from, to string) error {
	return a.renameMailbox(ctx, a.own().viewer, from, to)
}

func (a *Account) renameMailbox(ctx context.Context, g viewer, from, to string) error {
	from, err := CanonicalName(from)
	if err != nil {
		return noMailbox()
	}
	to, err = CanonicalName(strings.TrimSuffix(to, string(mail.Separator)))
	if err != nil {
		return err
	}
	r := &request{alone: true}
	if from == mail.Inbox && g.isOwner() {
		a.mu.RLock()
		r.needs = []*mailbox{a.model.names[mail.Inbox]}
		a.mu.RUnlock()
		r.plan = func(p *plan) error { return p.renameInbox(r.needs[0], to) }
	} else {
		r.plan = func(p *plan) error { return p.rename(g, from, to) }
	}
	return a.ask(ctx, r)
}

func (p *plan) rename(g viewer, from, to string) error {
	box := p.model.names[from]
	if box == nil {
		return noMailbox()
	}
	if err := g.check(box, mail.RightDeleteBox); err != nil {
		return err
	}
	if err := g.mayMake(to); err != nil {
		return err
	}
	switch {
	case from == mail.Inbox:
		return mail.Errorf(mail.Cannot, "INBOX is its owner's to rename")
	case p.model.names[to] != nil:
		return mail.Errorf(mail.AlreadyExists, "there is such a mailbox already")
	case IsBelow(to, from):
		return mail.Errorf(mail.Cannot, "a mailbox cannot go below itself")
	}
	moved := []*mailbox{box}
	for name, other := range p.model.names {
		if IsBelow(name, from) {
			if _, err := CanonicalName(to + name[len(from):]); err != nil {
				return err
			}
			moved = append(moved, other)
		}
	}
	parents := p.model.missingParents(to)
	if err := p.roomFor(parents, 0); err != nil {
		return err
	}
	acl := g.inherited(to)
	for _, parent := range parents {
		p.createShared(parent, 0, acl)
	}
	slices.SortFunc(moved, func(a, b *mailbox) int { return strings.Compare(a.name, b.name) })
	for _, m := range moved {
		name := to + m.name[len(from):]
		p.record(m.id, m.counts, mail.MailboxRenamed{Name: name}, len(name))
	}
	return nil
}

func (p *plan) renameInbox(inbox *mailbox, to string) error {
	if p.model.names[to] != nil {
		return mail.Errorf(mail.AlreadyExists, "there is such a mailbox already")
	}
	parents := p.model.missingParents(to)
	if err := p.roomFor(parents, 1); err != nil {
		return err
	}
	acl := p.a.own().inherited(to)
	for _, parent := range parents {
		if parent != mail.Inbox {
			p.createShared(parent, 0, acl)
		}
	}
	id := p.createShared(to, 0, acl)
	o, err := p.mailbox(inbox)
	if err != nil {
		return err
	}
	// "Mailbox annotations are preserved on the INBOX when it is renamed" (RFC 5464
	// 4.1), and copied.
	if err := p.copyMetadata(inbox.id, id, mail.Counts{UIDNext: 1}); err != nil {
		return err
	}
	var rows, arrived []Row
	o.each(everything, func(r Row) { rows = append(rows, r) })
	if len(rows) == 0 {
		return nil
	}
	made := &overlay{box: &mailbox{id: id}, counts: mail.Counts{UIDNext: 1}}
	for _, r := range rows {
		r.UID, r.Saved = mail.UID(len(arrived)+1), uint32(p.now)
		arrived = append(arrived, r)
	}
	p.add(made, arrived)
	p.expunge(o, rows)
	return nil
}

// everything is every UID there can be.
var everything = mail.UIDSet{{First: 1, Last: 1<<32 - 1}}

// Subscribe adds a name to the subscriptions or takes it out. The name need not
// be that of a mailbox (RFC 9051 6.3.7). What is so already is no error.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	name, err := CanonicalName(strings.TrimSuffix(name, string(mail.Separator)))
	if err != nil {
		return err
	}
	return a.ask(ctx, &request{alone: true, plan: func(p *plan) error {
		if p.model.subscribed[name] == on {
			return nil
		}
		if limit := a.pool.o.Limits.Subscriptions; on && len(p.model.subscribed) >= limit {
			return mail.Errorf(mail.Limit, "an account can have %d subscriptions", limit)
		}
		p.record(0, mail.Counts{}, mail.Subscribed{Name: name, On: on}, len(name))
		return nil
	}})
}
