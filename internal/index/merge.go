package index

import (
	"context"
	"errors"
	"io"
	"math/bits"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/search/terms"
)

// Segments are merged by size: four that follow one another and are of the same size, a power of
// four, or smaller, become one. So an account has a few of each size, and a message is
// written about once for each.
const (
	mergeWidth = 4
	leastTier  = 8 // segments of fewer messages than 1<<leastTier are of one size

	// Beyond that segments stay as they are: writing one holds its terms in memory.
	mergeOctets   = 96 << 20
	mergeMessages = 1 << 20
)

func tierOf(messages uint32) int { return max(bits.Len32(messages)-leastTier, 0) / 2 }

// mergeable gives segments that are to be merged: a run of the list, or none.
func mergeable(segments []mail.IndexSegment) []mail.IndexSegment {
	for end := len(segments); end >= mergeWidth; end-- {
		for tier := 0; tier <= tierOf(mergeMessages); tier++ {
			start, octets, messages := end, uint64(0), uint64(0)
			for start > 0 {
				s := segments[start-1]
				if tierOf(s.Messages) > tier || start < end && s.High != segments[start].Low ||
					octets+s.Octets > mergeOctets || messages+uint64(s.Messages) > mergeMessages {
					break
				}
				octets, messages = octets+s.Octets, messages+uint64(s.Messages)
				start--
			}
			if end-start >= mergeWidth {
				return segments[start:end]
			}
		}
	}
	return nil
}

// merge makes one segment of several, without messages that are gone.
func (x *Index) merge(ctx context.Context, a *account.Account, of []mail.IndexSegment, pace *pace) (err error) {
	var segments []*terms.Segment
	var out []mail.BodyRef
	for _, s := range of {
		segment, body, opened := openSegment(ctx, x.pool, s.Body)
		if opened != nil {
			x.damaged(a.ID(), s.Body, opened)
			return opened
		}
		defer func() { err = errors.Join(err, body.Close()) }()
		segments, out = append(segments, segment), append(out, s.Body)
	}
	there, err := x.stillThere(ctx, a, segments, pace)
	if err != nil {
		return err
	}
	s := mail.IndexSegment{Low: of[0].Low, High: of[len(of)-1].High}
	err = x.put(ctx, a, &s, out, pace, func(w io.Writer) error {
		n, err := terms.Merge(paced{ctx, w, pace}, segments, func(id uint64) bool { return there[mail.MessageID(id)] })
		s.Messages = uint32(n)
		return err
	})
	if errors.Is(err, terms.ErrDamaged) || mail.KindOf(err) == mail.Corrupt {
		x.findDamaged(a.ID(), of, segments)
	}
	if err != nil {
		return err
	}
	for _, ref := range out {
		x.cache.forget(ref)
	}
	x.numbers.merges.Add()
	return nil
}

// findDamaged looks which of several segments cannot be read.
func (x *Index) findDamaged(id mail.AccountID, of []mail.IndexSegment, segments []*terms.Segment) {
	for i, s := range segments {
		if _, err := terms.Merge(io.Discard, []*terms.Segment{s}, func(uint64) bool { return false }); err != nil {
			x.damaged(id, of[i].Body, err)
		}
	}
}

// stillThere gives those messages of segments that the account still has.
func (x *Index) stillThere(ctx context.Context, a *account.Account, segments []*terms.Segment, pace *pace) (map[mail.MessageID]bool, error) {
	there := map[mail.MessageID]bool{}
	var ids []mail.MessageID
	look := func() error {
		err := a.Messages(ctx, ids, func(i int, _ *account.Summary) error {
			there[ids[i]] = true
			return nil
		})
		if mail.KindOf(err) == mail.Corrupt { // a search tells; here it may stay
			for _, id := range ids {
				there[id] = true
			}
			err = nil
		}
		ids = ids[:0]
		return errors.Join(err, pace.rest(ctx))
	}
	for _, s := range segments {
		for i := range s.Messages() {
			if ids = append(ids, mail.MessageID(s.ID(i))); len(ids) == 4*batch {
				if err := look(); err != nil {
					return nil, err
				}
			}
		}
	}
	return there, look()
}
