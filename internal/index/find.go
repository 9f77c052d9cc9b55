package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/search"
	"postern/internal/search/terms"
)

// maxKeys is how many keys of one search are looked up. A set of messages is held for
// each; further ones are answered from the messages.
const maxKeys = 64

// Known is what an index says of the messages of an account: for each key, those that
// cannot match and those that certainly do. It is used by one goroutine at a time.
type Known struct {
	segments []answered
	last     int // the segment that was asked last
}

// answered is what one segment says.
type answered struct {
	low, high mail.MessageID
	*terms.Segment
	may, sure []terms.Set // by key; sure nil: nothing is certain
}

// Find looks up the keys of a search in an account's segments. It ends early, with
// less to be known, if ctx does; what cannot be read is left out.
func (x *Index) Find(ctx context.Context, id mail.AccountID, segments []mail.IndexSegment, keys []search.Lookup) *Known {
	x.numbers.asked.Add()
	k := &Known{}
	keys = keys[:min(len(keys), maxKeys)]
	needles := make([]*terms.Needle, len(keys))
	selective := false
	for i := range keys {
		needles[i] = terms.NewNeedle(keys[i].Text, keys[i].Superset)
		selective = selective || needles[i].Selective()
	}
	if !selective {
		return k
	}
	for _, s := range segments {
		a, err := x.ask(ctx, s, keys, needles)
		switch {
		case ctx.Err() != nil:
			return k
		case err == nil:
			k.segments = append(k.segments, a)
		default:
			x.damaged(id, s.Body, err)
		}
	}
	return k
}

// ask looks up keys in one segment.
func (x *Index) ask(ctx context.Context, s mail.IndexSegment, keys []search.Lookup, needles []*terms.Needle) (answered, error) {
	o, err := x.cache.take(ctx, s.Body)
	if err != nil {
		return answered{}, err
	}
	defer x.cache.give(o)
	a := answered{low: s.Low, high: s.High, Segment: o.Segment,
		may: make([]terms.Set, len(keys)), sure: make([]terms.Set, len(keys))}
	for i := range keys {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		if !needles[i].Selective() {
			continue
		}
		may, sure, err := o.lookUp(&keys[i], needles[i])
		if err != nil {
			return a, err
		}
		if a.may[i] = may; !keys[i].Superset && !keys[i].Inexact {
			a.sure[i] = sure
		}
	}
	return a, nil
}

// lookUp looks up a key, or finds what was looked up before: a search of many mailboxes of
// an account asks the same for each, and so do a SEARCH and the SORT that follows it.
func (o *opened) lookUp(key *search.Lookup, needle *terms.Needle) (may, sure terms.Set, err error) {
	name := fmt.Sprint(key.Places, key.Superset, string(key.Text))
	o.mu.Lock()
	for _, l := range o.lookedUp {
		if l.name == name {
			o.mu.Unlock()
			return l.may, l.sure, nil
		}
	}
	o.mu.Unlock()
	may, sure = terms.NewSet(o.Messages()), terms.NewSet(o.Messages())
	for _, at := range key.Places {
		if err := o.Find(needle, int(at), may, sure); err != nil {
			return nil, nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lookedUp = append(o.lookedUp, lookedUp{name, may, sure})
	if extra := len(o.lookedUp) - maxLookedUp; extra > 0 {
		o.lookedUp = slices.Delete(o.lookedUp, 0, extra)
	}
	return may, sure, nil
}

// Of gives what is known of a message, for each key, in answers, which has room for as
// many. It reports whether anything is.
func (k *Known) Of(id mail.MessageID, answers []search.Answer) bool {
	a := k.segment(id)
	if a == nil {
		return false
	}
	place, there := a.Place(uint64(id))
	if !there {
		return false
	}
	for i := range answers {
		answers[i] = search.Unknown
		switch {
		case i >= len(a.may) || a.may[i] == nil:
		case !a.may[i].Has(place):
			answers[i] = search.No
		case a.sure[i] != nil && a.sure[i].Has(place):
			answers[i] = search.Yes
		}
	}
	return true
}

// segment gives what the segment says in whose range a message is, nil if there is none.
func (k *Known) segment(id mail.MessageID) *answered {
	if k.last < len(k.segments) {
		if a := &k.segments[k.last]; a.low <= id && id < a.high {
			return a
		}
	}
	i, _ := slices.BinarySearchFunc(k.segments, id, func(a answered, id mail.MessageID) int {
		if a.high <= id {
			return -1
		}
		return 1
	})
	if i < len(k.segments) && k.segments[i].low <= id {
		k.last = i
		return &k.segments[i]
	}
	return nil
}

// damaged notes that a segment cannot be read, to be taken out and made again.
func (x *Index) damaged(id mail.AccountID, ref mail.BodyRef, err error) {
	kind, isDamage := mail.KindOf(err), errors.Is(err, terms.ErrDamaged)
	isOther := errors.Is(err, errOtherMaker)
	if !isOther && kind != mail.Corrupt && kind != mail.NotFound && !isDamage {
		x.log.Warn("index: a segment cannot be read now; its messages are read instead", observe.Account(id), observe.Error(err))
		return
	}
	x.cache.forget(ref)
	x.mu.Lock()
	_, known := x.bad[ref]
	x.bad[ref] = id
	x.mu.Unlock()
	// What is not there was merged meanwhile, if not by this node then by another.
	if !known && isOther {
		x.log.Info("index: a segment of another version is made again", observe.Account(id))
	}
	if !known && (isDamage || kind == mail.Corrupt) {
		x.numbers.damaged.Add()
		x.log.Error("index: a segment is damaged; its messages are read instead, and it is made again", observe.Account(id), observe.Error(err))
	}
}
