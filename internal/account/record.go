package account

import (
	"slices"

	"postern/internal/mail"
)

// A record is what one commit puts into the log:
//
//	version | flag sets | number of changes | change*
//	change  = kind | mailbox | counts after it (mailbox not 0) | length | payload
//
// The change at place i of n has ModSeq last-n+1+i, where last is the record's
// own place in the log, which the store keeps. Lengths let a reader pass over
// changes of mailboxes it does not care for.
const recordVersion = 2 // in 1 counts had no octets of deleted messages

// eventKind is how an event is written. The numbers are in stored logs.
type eventKind byte

const (
	kindAdded eventKind = iota + 1
	kindFlags
	kindExpunged
	kindPurgedOnce // as kindPurged, without what was expunged last: read, and not written any more
	kindRecent
	kindCreated
	kindRenamed
	kindDeleted
	kindSpecialUse
	kindSubscribed
	kindValidity
	kindPurged
	kindACL
	kindMetadata
	kindAppendLimit
	kindQuota
	kindAccessKey // 17
	kindIndex
)

// encodeRecord writes changes, which follow one another.
func encodeRecord(changes []mail.Change) []byte {
	var w recordWriter
	body := appendUint(nil, uint64(len(changes)))
	for i := range changes {
		c := &changes[i]
		kind, payload := w.event(c.Event)
		body = append(body, byte(kind))
		body = appendUint(body, uint64(c.Mailbox))
		if c.Mailbox != 0 {
			body = appendCounts(body, c.After)
		}
		body = appendString(body, payload)
	}
	return append(appendFlagSets([]byte{recordVersion}, w.sets), body...)
}

// recordWriter collects a record's dictionary.
type recordWriter struct {
	sets    []mail.Flags
	places  map[string]FlagsID // by text, once there are more than a few
	payload []byte             // scratch
	rows    []Row              // scratch
}

func (w *recordWriter) set(f mail.Flags) FlagsID {
	for i := len(w.sets) - 1; i >= max(0, len(w.sets)-8); i-- {
		if w.sets[i].Equal(f) {
			return FlagsID(i)
		}
	}
	text := f.String()
	if at, ok := w.places[text]; ok {
		return at
	}
	if w.places == nil {
		w.places = map[string]FlagsID{}
	}
	at := FlagsID(len(w.sets))
	w.sets, w.places[text] = append(w.sets, f), at
	return at
}

// event gives the kind and payload of an event. The payload is good until the
// next call.
func (w *recordWriter) event(e mail.Event) (eventKind, []byte) {
	b := w.payload[:0]
	var kind eventKind
	switch e := e.(type) {
	case mail.MessagesAdded:
		kind = kindAdded
		w.rows = w.rows[:0]
		for i := range e.Messages {
			m := &e.Messages[i]
			w.rows = append(w.rows, Row{
				UID: m.UID, Flags: w.set(m.Flags), Size: m.Size, Date: m.Date, Saved: uint32(m.Saved), ID: m.ID,
			})
		}
		b = appendRows(b, 0, w.rows, false)
	case mail.FlagsChanged:
		kind = kindFlags
		b = append(b, byte(e.Op))
		b = appendUint(b, uint64(w.set(e.Flags)))
		b = appendUIDs(b, e.UIDs)
	case mail.MessagesExpunged:
		kind = kindExpunged
		b = appendInt(b, e.At)
		b = appendUIDs(b, e.UIDs)
	case mail.MessagesPurged:
		kind = kindPurged
		b = appendUIDs(b, e.UIDs)
		b = appendIDs(b, e.IDs)
		b = appendUint(b, uint64(e.Through))
	case mail.RecentClaimed:
		kind = kindRecent
		b = appendUint(b, uint64(e.Below))
	case mail.MailboxCreated:
		kind = kindCreated
		b = appendString(b, e.Name)
		b = appendUint(b, uint64(e.Validity))
		b = appendUint(b, uint64(e.SpecialUse))
	case mail.ValiditySet:
		kind = kindValidity
		b = appendUint(b, uint64(e.Validity))
	case mail.MailboxRenamed:
		kind = kindRenamed
		b = appendString(b, e.Name)
	case mail.MailboxDeleted:
		kind = kindDeleted
		b = appendInt(b, e.At)
	case mail.SpecialUseSet:
		kind = kindSpecialUse
		b = appendUint(b, uint64(e.SpecialUse))
	case mail.ACLSet:
		kind = kindACL
		b = appendACL(b, e.ACL)
	case mail.AccessKeySet:
		kind = kindAccessKey
		b = appendKey(b, e.Key)
	case mail.AppendLimitSet:
		kind = kindAppendLimit
		b = appendLimit(b, e.Limit)
	case mail.MetadataSet:
		kind = kindMetadata
		b = appendMetadata(b, e.Entries)
	case mail.QuotaSet:
		kind = kindQuota
		b = appendQuota(b, e.Quota)
	case mail.IndexSet:
		kind = kindIndex
		b = appendIndex(b, e.Segments)
	case mail.Subscribed:
		kind = kindSubscribed
		on := byte(0)
		if e.On {
			on = 1
		}
		b = appendString(append(b, on), e.Name)
	}
	w.payload = b
	return kind, b
}

func appendIDs(dst []byte, ids []mail.MessageID) []byte {
	dst = appendUint(dst, uint64(len(ids)))
	before := mail.MessageID(0)
	for _, id := range ids {
		dst = appendInt(dst, int64(id)-int64(before))
		before = id
	}
	return dst
}

func (d *decoder) ids() []mail.MessageID {
	ids := make([]mail.MessageID, d.count(1))
	before := int64(0)
	for i := range ids {
		before += d.int()
		if before <= 0 || before > maxMessageID {
			d.fail("a message id is out of range")
			return nil
		}
		ids[i] = mail.MessageID(before)
	}
	return ids
}

// logged is a change as it stands in a record, its payload not yet read.
type logged struct {
	modSeq  mail.ModSeq
	mailbox mail.MailboxID
	after   mail.Counts
	kind    eventKind
	payload []byte
	sets    []mail.Flags
}

// decodeRecord calls each for every change of a record. What it is given is good
// until it returns.
func decodeRecord(data []byte, last mail.ModSeq, each func(*logged) error) error {
	d := decoder{what: "a record of the log", b: data}
	version := d.versionUpTo(recordVersion)
	c := logged{sets: d.flagSets()}
	n := d.count(3)
	if d.err == nil && (n == 0 || uint64(n) > uint64(last)) {
		d.fail("it has an impossible number of changes")
	}
	for i := range n {
		c.modSeq = last - mail.ModSeq(n-1-i)
		c.kind = eventKind(d.byte())
		c.mailbox = mail.MailboxID(d.uint())
		c.after = mail.Counts{}
		if c.mailbox != 0 {
			c.after = d.counts(version > 1)
		}
		c.payload = d.bytes()
		if d.err != nil {
			return d.err
		}
		if err := each(&c); err != nil {
			return err
		}
	}
	return d.done()
}

// change reads the payload.
func (c *logged) change() (mail.Change, error) {
	d := decoder{what: "a change in the log", b: c.payload}
	e := c.event(&d)
	switch c.kind {
	case kindSubscribed, kindMetadata, kindQuota, kindIndex:
	default:
		if c.mailbox == 0 {
			d.fail("it names no mailbox")
		}
	}
	if err := d.done(); err != nil {
		return mail.Change{}, err
	}
	return mail.Change{ModSeq: c.modSeq, Mailbox: c.mailbox, After: c.after, Event: e}, nil
}

func (c *logged) event(d *decoder) mail.Event {
	switch c.kind {
	case kindAdded:
		return mail.MessagesAdded{Messages: c.messages(d)}
	case kindFlags:
		op := mail.FlagOp(d.byte())
		if !op.Valid() {
			d.fail("its operation is unknown")
		}
		set := d.uint()
		if set >= uint64(len(c.sets)) {
			d.fail("it names a flag set that is not there")
			return nil
		}
		return mail.FlagsChanged{Op: op, Flags: c.sets[set], UIDs: d.uids()}
	case kindExpunged:
		at := d.int()
		return mail.MessagesExpunged{At: at, UIDs: d.uids()}
	case kindPurged, kindPurgedOnce:
		e := mail.MessagesPurged{UIDs: d.uids(), IDs: d.ids(), Through: c.modSeq}
		if e.UIDs.Len() != len(e.IDs) {
			d.fail("it names not as many messages as UIDs")
		}
		if c.kind == kindPurged {
			if e.Through = mail.ModSeq(d.uint()); e.Through >= c.modSeq {
				d.fail("it purges what is expunged later")
			}
		}
		return e
	case kindRecent:
		return mail.RecentClaimed{Below: mail.UID(d.uint32())}
	case kindCreated:
		e := mail.MailboxCreated{Name: d.string(), Validity: mail.UIDValidity(d.uint32())}
		e.SpecialUse = mail.SpecialUse(d.uint32())
		return e
	case kindValidity:
		return mail.ValiditySet{Validity: mail.UIDValidity(d.uint32())}
	case kindRenamed:
		return mail.MailboxRenamed{Name: d.string()}
	case kindDeleted:
		return mail.MailboxDeleted{At: d.int()}
	case kindSpecialUse:
		return mail.SpecialUseSet{SpecialUse: mail.SpecialUse(d.uint32())}
	case kindACL:
		return mail.ACLSet{ACL: d.acl()}
	case kindAccessKey:
		return mail.AccessKeySet{Key: d.key()}
	case kindAppendLimit:
		return mail.AppendLimitSet{Limit: d.limit()}
	case kindMetadata:
		return mail.MetadataSet{Entries: d.metadata()}
	case kindQuota:
		return mail.QuotaSet{Quota: d.quota()}
	case kindIndex:
		return mail.IndexSet{Segments: d.index()}
	case kindSubscribed:
		on := d.byte() != 0
		return mail.Subscribed{On: on, Name: d.string()}
	default:
		d.fail("its kind is unknown")
		return nil
	}
}

func (c *logged) messages(d *decoder) []mail.Message {
	rows := d.rows(0, len(c.sets), false)
	messages := make([]mail.Message, 0, len(rows))
	for _, r := range rows {
		messages = append(messages, mail.Message{
			UID: r.UID, ModSeq: c.modSeq, Flags: c.sets[r.Flags], Size: r.Size, Date: r.Date,
			Saved: int64(r.Saved), ID: r.ID,
		})
	}
	return slices.Clip(messages)
}
