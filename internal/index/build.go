package index

import (
	"context"
	"errors"
	"io"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/search"
	"postern/internal/search/terms"
)

// What bounds a segment that is built of messages, and what of one message is looked at.
const (
	builderMemory = 12 << 20 // octets that are held before a segment is written
	maxTerms      = 20_000   // of one message; one that has more is left out, and read by every search
	batch         = 64       // summaries that are read at once
)

// gap is a range of message numbers that no segment is about.
type gap struct{ low, high mail.MessageID }

// gapsOf gives the ranges that are missing, the last of which may be what came since.
func gapsOf(segments []mail.IndexSegment, next mail.MessageID) []gap {
	var gaps []gap
	low := mail.MessageID(1)
	for _, s := range segments {
		if s.Low > low {
			gaps = append(gaps, gap{low, s.Low})
		}
		low = s.High
	}
	if next > low {
		gaps = append(gaps, gap{low, next})
	}
	return gaps
}

// due gives the first range that is to be made a segment now: one between others, or the
// end if least messages have come.
func due(segments []mail.IndexSegment, next mail.MessageID, least int) (gap, bool) {
	for _, g := range gapsOf(segments, next) {
		if g.high < next || uint64(g.high-g.low) >= uint64(least) {
			return g, true
		}
	}
	return gap{}, false
}

// build makes a segment of what there is in a gap, as far as memory goes, and puts it into
// the account's index.
func (x *Index) build(ctx context.Context, a *account.Account, g gap, pace *pace, told func(messages int)) error {
	b := terms.NewBuilder(search.TextsMaker())
	r := reading{x: x, a: a, b: b, pace: pace}
	low := g.low
	for low < g.high && b.Held() < builderMemory {
		var ids []mail.MessageID
		for ; low < g.high && len(ids) < batch; low++ {
			ids = append(ids, low)
		}
		if err := r.read(ctx, ids); err != nil {
			return err
		}
		told(len(ids))
	}
	s := mail.IndexSegment{Low: g.low, High: low, Messages: uint32(b.Messages())}
	if err := x.put(ctx, a, &s, nil, pace, b.Write); err != nil {
		return err
	}
	x.numbers.segments.Add()
	return nil
}

// put stores what write writes as a segment and puts it into the account's index, in place
// of others.
func (x *Index) put(ctx context.Context, a *account.Account, s *mail.IndexSegment, out []mail.BodyRef, pace *pace, write func(io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		w.CloseWithError(write(w))
	}()
	ref, size, err := x.pool.PutSegment(ctx, r)
	r.CloseWithError(io.ErrClosedPipe) // if it was not read to its end
	<-written
	if err != nil {
		return err
	}
	s.Body, s.Octets = ref, uint64(size)
	if err := a.ReplaceIndex(ctx, out, []mail.IndexSegment{*s}); err != nil {
		x.pool.AbandonSegment(context.WithoutCancel(ctx), ref)
		return err
	}
	return pace.rest(ctx)
}

// reading reads messages into a builder.
type reading struct {
	x     *Index
	a     *account.Account
	b     *terms.Builder
	pace  *pace
	texts search.Texts
}

// read reads some messages. One that cannot be read is left out: a search tells.
func (r *reading) read(ctx context.Context, ids []mail.MessageID) error {
	var found []*account.Summary
	err := r.a.Messages(ctx, ids, func(_ int, m *account.Summary) error {
		found = append(found, m.Clone())
		return nil
	})
	if err != nil {
		if mail.KindOf(err) != mail.Corrupt || len(ids) == 1 {
			return passDamage(err)
		}
		for _, id := range ids { // one after the other, without the one that is damaged
			if err := r.read(ctx, []mail.MessageID{id}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, m := range found {
		if err := r.message(ctx, m); err != nil {
			return err
		}
		if err := r.pace.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

func passDamage(err error) error {
	if kind := mail.KindOf(err); kind == mail.Corrupt || kind == mail.NotFound {
		return nil
	}
	return err
}

var errManyTerms = errors.New("index: the message has too many terms")

func (r *reading) message(ctx context.Context, m *account.Summary) error {
	summary, err := m.Parsed()
	if err != nil {
		return passDamage(err)
	}
	body, err := r.a.OpenMessage(ctx, m)
	if err != nil {
		return passDamage(err)
	}
	r.b.Begin(uint64(m.ID()))
	err = r.texts.Read(ctx, summary, body, func(at search.Place, piece []byte) error {
		if piece == nil {
			r.b.EndText(int(at))
		} else {
			r.b.Text(int(at), piece)
		}
		if r.b.Terms() > maxTerms {
			return errManyTerms
		}
		if at == search.InBody {
			return r.pace.rest(ctx)
		}
		return nil
	})
	if closed := body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		r.b.Undo()
		if errors.Is(err, errManyTerms) || errors.Is(err, search.ErrNoTexts) {
			err = nil
		}
		if mail.KindOf(err) == mail.Corrupt {
			r.x.log.Warn("index: a message is damaged and left out", observe.Account(r.a.ID()), observe.Error(err))
		}
		return passDamage(err)
	}
	r.x.numbers.indexed.Add()
	return nil
}
