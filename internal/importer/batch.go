package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/internal/account"
	"postern/internal/mail"
)

// What is appended in one commit.
const (
	batchMessages = 64
	batchBytes    = 8 << 20
)

// batch is messages that are stored and not in a mailbox yet.
type batch struct {
	messages []account.NewMessage
	given    []mail.UID // that they had, 0 where they are to get new ones
	digests  []byte
	bytes    int64
	broken   int
}

func (b *batch) abandon(ctx context.Context) {
	for i := range b.messages {
		b.messages[i].Content.Abandon(ctx)
	}
	*b = batch{}
}

// message takes in a message.
func (v *arrival) message(ctx context.Context, m messageHead, body io.Reader) error {
	d := digestOf(m.Key)
	if _, in := v.book.done[d]; in {
		v.result.Present++
		v.in.told.Messages++
		return nil
	}
	var check headerCheck
	content, err := v.in.im.o.Pool.Keep(ctx, io.TeeReader(body, &check))
	if err != nil {
		if errors.Is(err, errRefused) {
			return errRefused
		}
		if mail.KindOf(err) == mail.TooBig {
			v.result.skip(m.Key, err.Error())
			v.in.told.Messages++
			return nil
		}
		return err
	}
	v.book.done[d] = struct{}{} // a source that gives a message twice gives one
	b := &v.batch
	b.messages = append(b.messages, account.NewMessage{
		Content: content, Flags: v.flags(m.System, m.Keywords), Date: v.date(m),
	})
	uid := m.UID
	if v.book.Validity == 0 || uid > maxGiven {
		uid = 0
	}
	b.given = append(b.given, uid)
	b.digests = append(b.digests, d[:]...)
	b.bytes += content.Size()
	if check.broken() {
		b.broken++
	}
	if len(b.messages) >= batchMessages || b.bytes >= batchBytes {
		return v.flush(ctx)
	}
	return nil
}

// date is the message's internal date: the time of the import if the source knows
// none that IMAP can write (RFC 9051 9, date-year has four digits).
func (v *arrival) date(m messageHead) mail.InternalDate {
	if m.Date != nil {
		date := mail.InternalDate(*m.Date)
		if minutes := date.ZoneMinutes(); minutes > -24*60 && minutes < 24*60 {
			if year := date.Time().Year(); year >= 1 && year <= 9999 {
				return date
			}
		}
	}
	return mail.NewInternalDate(v.in.im.o.Now())
}

// What keywords can be: account.Limits has 256 of them on a message unless set
// lower.
const maxKeywords = 256

// flags drops keywords that are no atoms (RFC 9051 9, flag-keyword).
func (v *arrival) flags(system mail.SystemFlags, keywords []string) mail.Flags {
	var good []string
	for _, k := range keywords {
		if len(good) < maxKeywords && isKeyword(k) {
			good = append(good, k)
		} else {
			v.result.Keywords++
		}
	}
	return mail.NewFlags(system&mail.AllSystem, good...)
}

func isKeyword(k string) bool {
	if k == "" || len(k) > account.MaxKeywordBytes {
		return false
	}
	for i := range len(k) {
		if c := k[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// maxRaces is how often somebody else's message may come in between.
const maxRaces = 100

// flush appends the batch. It is noted first which UIDs its messages will have,
// and they get these or none.
func (v *arrival) flush(ctx context.Context) error {
	b := &v.batch
	if len(b.messages) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // what came whole is kept
	v.failed = true
	for race := 0; ; race++ {
		next := v.number()
		if err := v.book.write(ctx); err != nil {
			return err
		}
		_, err := v.box.Append(ctx, b.messages)
		if err == nil {
			break
		}
		// Only a delivery that took the UIDs is worth another try. Otherwise the
		// batch may be in, and whoever goes on looks.
		if mail.KindOf(err) == mail.Invalid && v.box.Info().Counts.UIDNext > next && race < maxRaces {
			continue
		}
		return fmt.Errorf("%s: %w", v.head.Name, err)
	}
	v.failed = false
	v.book.came()
	v.result.Messages += len(b.messages)
	v.result.Bytes += b.bytes
	v.result.Broken += b.broken
	v.in.told.Messages += len(b.messages)
	v.in.told.Bytes += b.bytes
	v.batch = batch{}
	v.in.tell()
	return nil
}

// number gives the batch UIDs and notes them. It gives UIDNEXT, which they
// depend on.
func (v *arrival) number() mail.UID {
	b := &v.batch
	next := v.box.Info().Counts.UIDNext
	uid := next
	changed := 0
	v.book.Next = v.book.Next[:0]
	v.book.NextDigest = b.digests
	for i := range b.messages {
		switch given := b.given[i]; {
		case given >= uid:
			uid = given
		case given != 0:
			changed++
		case v.book.Validity != 0: // new, and above all that clients may know
			uid = max(uid, v.head.UIDNext)
		}
		msg := &b.messages[i]
		msg.UID = uid
		v.book.Next = append(v.book.Next, expected{UID: uid, Size: msg.Content.Size(), Date: msg.Date})
		uid++
	}
	if changed > 0 && v.result.UIDs != UIDsNew {
		v.newUIDs("some UIDs are not kept: other messages have them")
	}
	return next
}
