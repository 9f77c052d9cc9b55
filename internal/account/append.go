package account

import (
	"bytes"
	"context"
	"errors"

	"postern/internal/mail"
	"postern/internal/store"
)

// NewMessage is a message to append.
type NewMessage struct {
	Content *Content
	Prefix  []byte // header lines to put before the body, each ended by CRLF; may be nil
	Flags   mail.Flags
	Date    mail.InternalDate
	UID     mail.UID // 0: the next one. Import gives UIDs at or above UIDNEXT, ascending
}

// Appended is what Append answers (RFC 4315 APPENDUID). UIDs are in the order of
// the messages given.
type Appended struct {
	Validity mail.UIDValidity
	UIDs     mail.UIDSet
}

// maxPrefix bounds the header lines put before a body.
const maxPrefix = 64 << 10

// Append is the one door for new mail. All messages come in or none does, and
// they are durable when it returns. mail.OverQuota if there is no room for them. It
// takes the right i; of the flags those are stored that the guest's rights allow
// (RFC 4314 4).
func (m *Mailbox) Append(ctx context.Context, msgs []NewMessage) (Appended, error) {
	return m.append(ctx, msgs, nil)
}

// replaced is a message that leaves its mailbox as another comes into one.
type replaced struct {
	box *mailbox
	uid mail.UID
}

// append is Append, and Replace if old is not nil: then what comes in comes in
// only if old is there, and old is expunged by the same commit.
func (m *Mailbox) append(ctx context.Context, msgs []NewMessage, old *replaced) (Appended, error) {
	if len(msgs) == 0 {
		return Appended{}, mail.Errorf(mail.Invalid, "there is no message to append")
	}
	for i := range msgs {
		if err := m.a.checkNew(&msgs[i]); err != nil {
			return Appended{}, err
		}
	}
	refs := make([]mail.BodyRef, len(msgs))
	for i := range msgs {
		ref, err := msgs[i].Content.bodyFor(ctx, m.a.id)
		if err != nil {
			untakeAll(ctx, m.a.id, msgs[:i], refs)
			return Appended{}, err
		}
		refs[i] = ref
	}
	var done Appended
	r := &request{notes: notesOf(msgs)}
	if old == nil {
		r.plan = func(p *plan) (err error) {
			if err := m.check(m.box, mail.RightInsert); err != nil {
				return err
			}
			done, err = p.append(m, msgs, refs, mail.Usage{})
			return err
		}
	} else {
		r.needs = []*mailbox{old.box}
		r.plan = func(p *plan) (err error) {
			if err := m.check(m.box, mail.RightInsert); err != nil {
				return err
			}
			if err := m.check(old.box, rightsToMove); err != nil {
				return err
			}
			done, err = p.replace(old, m, msgs, refs)
			return err
		}
	}
	if err := m.a.ask(ctx, r); err != nil {
		if !errors.Is(err, store.ErrUnknown) && mail.KindOf(err) != mail.Internal {
			untakeAll(ctx, m.a.id, msgs, refs)
		}
		return Appended{}, err
	}
	return done, nil
}

func untakeAll(ctx context.Context, id mail.AccountID, msgs []NewMessage, refs []mail.BodyRef) {
	for i := range msgs {
		msgs[i].Content.untake(context.WithoutCancel(ctx), id, refs[i])
	}
}

func (a *Account) checkNew(msg *NewMessage) error {
	limits := &a.pool.o.Limits
	if n := int64(len(msg.Prefix)); n > 0 {
		if n > maxPrefix || !bytes.HasSuffix(msg.Prefix, []byte("\r\n")) {
			return mail.Errorf(mail.Invalid, "the prefix is too long or does not end its last line")
		}
	}
	if int64(len(msg.Prefix))+msg.Content.size > min(limits.MessageSize+maxPrefix, 1<<32-1) {
		return mail.Errorf(mail.TooBig, "the message is larger than %d octets", limits.MessageSize)
	}
	if unix := msg.Date.Unix(); unix < minDate || unix > maxDate {
		return mail.Errorf(mail.Invalid, "the internal date is out of range")
	}
	return a.checkFlags(msg.Flags)
}

// checkFlags refuses keywords that are no atoms (RFC 9051 9, flag-keyword): they
// go out as they are.
func (a *Account) checkFlags(f mail.Flags) error {
	if len(f.Keywords) > a.pool.o.Limits.Keywords {
		return mail.Errorf(mail.Limit, "a message can have %d keywords", a.pool.o.Limits.Keywords)
	}
	for _, k := range f.Keywords {
		if len(k) == 0 || len(k) > MaxKeywordBytes {
			return mail.Errorf(mail.Limit, "a keyword can have 1 to %d octets", MaxKeywordBytes)
		}
		for i := range len(k) {
			if c := k[i]; c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`(){%*"\]`), c) >= 0 {
				return mail.Errorf(mail.Invalid, "a keyword holds a character that flags cannot have")
			}
		}
	}
	if f.System&^mail.AllSystem != 0 {
		return mail.Errorf(mail.Invalid, "a system flag is unknown")
	}
	return nil
}

// append plans new messages, with the flags that the guest may give them. freed is
// what the account ceases to use by the same commit.
func (p *plan) append(to *Mailbox, msgs []NewMessage, refs []mail.BodyRef, freed mail.Usage) (Appended, error) {
	box, kinds := to.box, to.rights(to.box).Flags()
	o, err := p.mailbox(box)
	if err != nil {
		return Appended{}, err
	}
	next, err := o.reserve(len(msgs))
	if err != nil {
		return Appended{}, err
	}
	done := Appended{Validity: box.validity}
	rows := make([]Row, len(msgs))
	for i := range msgs {
		msg := &msgs[i]
		if msg.UID != 0 {
			if msg.UID < next {
				return Appended{}, mail.Errorf(mail.Invalid, "UID %d was used already", msg.UID)
			}
			next = msg.UID
		}
		if next == 1<<32-1 {
			return Appended{}, mail.Errorf(mail.Limit, "the mailbox has no UIDs left")
		}
		rows[i] = Row{
			UID: next, Flags: p.a.flags.intern(msg.Flags.Of(kinds)), Date: msg.Date, Saved: uint32(p.now),
			Size: uint32(int64(len(msg.Prefix)) + msg.Content.size), ID: p.nextMessage + mail.MessageID(i),
		}
		done.UIDs = done.UIDs.Append(next)
		next++
	}
	if err := p.mayUse(usageOf(rows).Less(freed)); err != nil {
		return Appended{}, err
	}
	for i := range msgs {
		msg, r := &msgs[i], &rows[i]
		thread := p.thread(&msg.Content.relatives, r)
		data := encodeSummary(p.a.id, r, refs[i], thread, msg.Prefix, msg.Content.summary)
		p.summaries = append(p.summaries, store.Summary{ID: r.ID, Data: data})
		p.take = append(p.take, refs[i])
		p.bytes += len(data)
	}
	p.nextMessage += mail.MessageID(len(msgs))
	p.add(o, rows)
	return done, nil
}
