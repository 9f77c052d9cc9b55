package imapserver

import (
	"fmt"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/view"
)

// notifying is what a session has asked for with NOTIFY (RFC 5465). A session that
// never did has none and is told what RFC 9051 says; one that said NOTIFY NONE, or
// whose NOTIFY cost too much, has an empty one and is told nothing.
//
// Nothing is queued for it. Of the selected mailbox it has its view, like every
// session; of each account it follows it has the list of mailboxes as it was when
// the client was last told, and compares it with that of now. The lists belong to
// the account and are shared by all who follow it, so that a session that is in
// step keeps none of its own.
type notifying struct {
	selected imapwire.NotifyEvents // of the selected mailbox
	delayed  bool                  // SELECTED-DELAYED
	items    []imapwire.FetchItem  // of MessageNew

	groups  []imapwire.NotifyGroup // about other mailboxes
	events  imapwire.NotifyEvents  // all that they ask for
	follows []*following
}

// following is one account that a session follows.
type following struct {
	guest  account.Guest
	prefix string // by which names of others' mailboxes there begin; "" for one's own
	stop   func() // ends the wake-ups

	// What the client was told last.
	boxes []account.Info
	names []string // subscriptions

	// lagging are mailboxes that were selected until now, and of which the client
	// was not told everything.
	lagging []account.Info
}

// notifyOffered are the events there are here. There are no annotations (RFC 5257).
const notifyOffered = imapwire.NotifyMessageNew | imapwire.NotifyMessageExpunge | imapwire.NotifyFlagChange |
	imapwire.NotifyMailboxName | imapwire.NotifySubscriptionChange | notifyMetadata

// notifyMetadata are the events that come as METADATA responses. Neither needs
// ENABLE (RFC 5465 5.6, 5.7).
const notifyMetadata = imapwire.NotifyMailboxMetadataChange | imapwire.NotifyServerMetadataChange

// Bounds of a NOTIFY SET. Each change of a mailbox is compared with every name of
// every group.
const (
	notifyGroups = 64
	notifyNames  = 256
)

// setNotify is the command NOTIFY. SET is a NOOP too: what came in is told before
// the new list holds, whatever was asked for so far (RFC 5465 3.1).
func (s *session) setNotify(*command) error {
	var args imapwire.NotifyArgs
	if !s.r.ExpectNotifyArgs(&args) {
		return s.r.Err()
	}
	if !args.Set {
		s.stopNotify()
		s.notify = &notifying{}
		return nil
	}
	n, err := s.planNotify(&args)
	if err != nil {
		return err
	}
	if s.box != nil {
		everything := view.Tellable{Expunges: !s.numbersUnderWay(), Exists: true, Flags: true}
		if err := s.tellOnly(everything); err != nil {
			return err
		}
	}
	s.stopNotify()
	s.notify = n
	if n.events&^notifyMetadata != 0 {
		if err := s.followAccounts(); err != nil {
			s.stopNotify()
			s.notify = &notifying{}
			return err
		}
	}
	if n.events&notifyMetadata != 0 {
		s.followMetadata()
	}
	if s.tooManyToFollow() {
		s.stopNotify()
		s.notify = &notifying{}
		return no("NOTIFICATIONOVERFLOW", "there are more than %d mailboxes", s.srv.limits.Notify)
	}
	if args.Status {
		s.tellAllFigures()
	}
	return nil
}

// planNotify checks what is asked for.
func (s *session) planNotify(args *imapwire.NotifyArgs) (*notifying, error) {
	n := &notifying{}
	names := 0
	for _, g := range args.Groups {
		if more := g.Events &^ notifyOffered; more != 0 {
			return nil, no("BADEVENT ("+strings.Join(notifyOffered.Names(), " ")+")", "there is no such event here")
		}
		if g.Scope.OfSelected() {
			n.selected, n.delayed, n.items = g.Events, g.Scope == imapwire.ScopeSelectedDelayed, g.Items
			continue
		}
		names += len(g.Names)
		if g.Events == 0 {
			continue // NONE: it adds nothing to what other groups say
		}
		g.Names = canonical(g.Names)
		n.groups, n.events = append(n.groups, g), n.events|g.Events
	}
	if len(args.Groups) > notifyGroups || names > notifyNames {
		return nil, no("NOTIFICATIONOVERFLOW", "a NOTIFY has at most %d groups and %d names", notifyGroups, notifyNames)
	}
	if len(n.items) == 0 {
		return n, nil
	}
	plan, err := s.planFetch(imapwire.MergeFetchItems(nil, n.items), false)
	if err == nil && plan.modSeq {
		err = s.enableCondStore()
	}
	return n, err
}

// stopNotify forgets what was asked for: the session is one that never said NOTIFY.
func (s *session) stopNotify() {
	if s.notify == nil {
		return
	}
	for _, f := range s.notify.follows {
		f.stop()
	}
	s.notify = nil
	s.link.take(accountChanged)
	if s.metadata != nil && !s.metadata.enabled {
		s.forgetMetadata()
	}
}

// tooManyToFollow reports whether there are more mailboxes than can be compared at
// every change.
func (s *session) tooManyToFollow() bool {
	count := 0
	for _, f := range s.notify.follows {
		count += len(f.boxes)
	}
	return count > s.srv.limits.Notify
}

// overflow gives up on what was asked for, as if NOTIFY NONE had been said
// (RFC 5465 5.8).
func (s *session) overflow() {
	s.stopNotify()
	s.notify = &notifying{}
	s.w.Status("", imapwire.OK, "NOTIFICATIONOVERFLOW", fmt.Sprintf("there are more than %d mailboxes by now", s.srv.limits.Notify))
}

// tellable says what of the selected mailbox the client is to be told. What a
// command of its own expunges is that command's answer and told in any case.
func (s *session) tellable(mayExpunge bool) view.Tellable {
	if s.notify == nil {
		exists := !s.behaves(DelayNewMail) || s.cmd.spec != nil && s.cmd.spec.tellsNew
		return view.Tellable{Expunges: mayExpunge, Exists: exists, Flags: true}
	}
	wants, removes := s.notify.selected, s.cmd.spec != nil && s.cmd.spec.removes
	return view.Tellable{
		Expunges: mayExpunge && (wants&imapwire.NotifyMessageExpunge != 0 || removes),
		Exists:   wants&imapwire.NotifyMessageNew != 0,
		Flags:    wants&imapwire.NotifyFlagChange != 0,
	}
}

// news are the signals that a session looks up for while it waits for a command:
// only one that has said NOTIFY does.
func (s *session) news() (wanted signal) {
	if s.notify == nil {
		return 0
	}
	if s.box != nil && (s.notify.selected != 0 || len(s.box.contexts) > 0) {
		wanted |= mailboxChanged
	}
	if len(s.notify.follows) > 0 {
		wanted |= accountChanged
	}
	if s.notify.events&notifyMetadata != 0 {
		wanted |= metadataChanged
	}
	return wanted
}

// tellBetween tells while no command is under way. EXPUNGE is told to those who
// asked for it at once: they know that numbers can change at any time (RFC 5465
// 5.3). Others hear of it at the next command that may reveal it.
func (s *session) tellBetween() *ending {
	n := s.notify
	if n == nil {
		return nil
	}
	s.cmd = command{}
	s.w.UTF8 = s.utf8 // which the last command may have enabled
	if n.events&notifyMetadata != 0 {
		s.tellMetadata()
	}
	var err error
	if s.box != nil && (n.selected != 0 || len(s.box.contexts) > 0) {
		err = s.tell(!n.delayed)
	}
	if err == nil {
		s.tellOthers()
		s.tellHighest(false)
		return nil
	}
	_, end := s.replyTo(err)
	return end
}
