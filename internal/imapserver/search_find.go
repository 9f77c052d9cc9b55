package imapserver

import (
	"context"
	"errors"
	"io"
	"iter"

	"postern/internal/account"
	"postern/internal/index"
	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/search"
)

// find gives the messages that match, of those the client knows of.
func (s *session) find(program *search.Program) (found findings, err error) {
	err = s.whileSearchMayLast(func(ctx context.Context) error {
		found, err = s.findWithin(ctx, s.box, program)
		return err
	})
	return found, err
}

// whileSearchMayLast does work when it is this account's turn. It ends when the
// client leaves, or the limits of one search are reached.
func (s *session) whileSearchMayLast(work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.srv.limits.Search)
	defer cancel()
	tooMuch := false
	_, err := patiently(ctx, s, func(ctx context.Context) (without, error) {
		return without{}, s.whileClientStays(ctx, func(ctx context.Context) error {
			done, err := s.srv.turns.take(ctx, s.account.ID())
			if err != nil {
				return err
			}
			defer done()
			allowance := allow(ctx, s.srv.limits.SearchCPU, s.srv.worked)
			defer allowance.end()
			err = work(allowance)
			tooMuch = allowance.spent
			return err
		})
	})
	switch {
	case err == nil || s.ctx.Err() != nil:
		return err
	case tooMuch:
		return mail.Wrap(err, mail.Limit, "the search takes too much work")
	case ctx.Err() != nil:
		return mail.Wrap(err, mail.Limit, "the search takes too long")
	}
	return err
}

// findWithin gives the messages of a mailbox that match, of those in its view.
func (s *session) findWithin(ctx context.Context, box *openBox, program *search.Program) (findings, error) {
	everything := mail.NumSet{Ranges: []mail.NumRange{{From: 1, To: mail.Star}}}
	all, err := box.view.Resolve(everything, true)
	if err != nil {
		return findings{}, err
	}
	f := finding{session: s, box: box, ctx: ctx, program: program, body: program.Needs().Body}
	among := program.Bound(all)
	f.askIndex(among.Len())
	if err := f.among(among); err != nil {
		return findings{}, err
	}
	return f.found, nil
}

// findings are the messages that a search found.
type findings struct {
	uids mail.UIDSet
	// scores are their relevancies, but for those that are most relevant: these are
	// all there are unless the search was to grade them.
	scores map[mail.UID]uint8
}

// mostRelevant is the score of a message about which nothing is uncertain.
const mostRelevant = 100

func (f *findings) grade(uid mail.UID, score uint8) {
	if score == mostRelevant {
		return
	}
	if f.scores == nil {
		f.scores = map[mail.UID]uint8{}
	}
	f.scores[uid] = score
}

func (f *findings) score(uid mail.UID) uint8 {
	if score, ok := f.scores[uid]; ok {
		return score
	}
	return mostRelevant
}

// relevancy gives the scores of messages in their order.
func (f *findings) relevancy(uids iter.Seq[mail.UID]) []uint8 {
	var scores []uint8
	for uid := range uids {
		scores = append(scores, f.score(uid))
	}
	return scores
}

// finding is one search under way.
type finding struct {
	session   *session
	box       *openBox
	ctx       context.Context
	program   *search.Program
	body      bool              // messages may have to be opened
	evaluator *search.Evaluator // made when a row is not enough
	found     findings

	known   *index.Known    // what the text index says; nil: nothing
	indexed []search.Answer // of one row

	// Of the present chunk of rows:
	answers   []search.Answer
	undecided []account.Row
	places    []int // of the undecided, in answers
	kept      []*account.Summary
}

// fewForIndex is how many messages are rather read than looked up, unless a test says
// otherwise.
const fewForIndex = 16

// octetsForIndex is how much of an index is gone through in the time it takes to read one message,
// about: a small mailbox of an account with much mail is rather read.
const octetsForIndex = 128 << 10

// askIndex looks up the keys of a search among so many messages.
func (f *finding) askIndex(among int) {
	keys := f.program.Lookups()
	if f.session.srv.index == nil || len(keys) == 0 || among <= f.session.srv.fewForIndex {
		return
	}
	segments := f.box.sel.Index()
	var octets uint64
	for i := range segments {
		octets += segments[i].Octets
	}
	if uint64(among) < octets/octetsForIndex {
		return
	}
	f.known = f.session.srv.index.Find(f.ctx, f.box.sel.Account(), segments, keys)
	f.indexed = make([]search.Answer, len(keys))
}

// row makes of a row what a search looks at.
func (f *finding) row(dst *search.Row, row *account.Row) {
	f.box.searchRow(dst, row)
	if dst.Known = nil; f.known != nil && f.known.Of(row.ID, f.indexed) {
		dst.Known = f.indexed
	}
}

// among goes over the messages in chunks of rows.
func (f *finding) among(uids mail.UIDSet) error {
	s := f.session
	s.progress.begin(uids.Len())
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	for !uids.Empty() {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		rows, rest := f.box.sel.Rows(room[:0], uids)
		if len(rows) == 0 {
			return nil
		}
		if err := f.chunk(rows); err != nil {
			return err
		}
		uids = rest
	}
	return nil
}

// chunk asks the rows, and the summaries and messages of those whose rows are not
// enough.
func (f *finding) chunk(rows []account.Row) error {
	f.answers, f.undecided, f.places = f.answers[:0], f.undecided[:0], f.places[:0]
	var row search.Row
	for i := range rows {
		f.row(&row, &rows[i])
		answer := f.program.MatchRow(&row)
		f.answers = append(f.answers, answer)
		if answer == search.Unknown {
			f.undecided, f.places = append(f.undecided, rows[i]), append(f.places, i)
		}
	}
	f.session.progress.add(len(rows) - len(f.undecided))
	for at := 0; at < len(f.undecided); {
		n, err := f.decide(at)
		if err != nil {
			return err
		}
		at += n
	}
	for i := range rows {
		if f.answers[i] == search.Yes {
			f.found.uids = f.found.uids.Append(rows[i].UID)
		}
	}
	return nil
}

// decide asks the summaries of undecided rows from at on and says of how many.
// Messages are opened after the summaries were read: the store may hold a
// snapshot while it gives them.
func (f *finding) decide(at int) (int, error) {
	rows := f.undecided[at:]
	if f.body {
		rows = rows[:min(len(rows), contentChunk)]
	}
	f.kept = append(f.kept[:0], make([]*account.Summary, len(rows))...)
	err := f.box.sel.Summaries(f.ctx, rows, func(i int, m *account.Summary) error {
		if !f.body {
			return f.match(at+i, m)
		}
		f.kept[i] = m.Clone()
		return nil
	})
	if err != nil {
		return 0, err
	}
	for i, m := range f.kept {
		if m != nil {
			if err := f.match(at+i, m); err != nil {
				return 0, err
			}
		}
	}
	return len(rows), nil
}

// match decides one of the undecided.
func (f *finding) match(k int, m *account.Summary) error {
	if f.evaluator == nil {
		f.evaluator = f.program.Evaluator()
	}
	var row search.Row
	f.row(&row, &f.undecided[k])
	source := searchSource{sel: f.box.sel, stored: m}
	yes, err := f.evaluator.Match(f.ctx, &row, &source)
	if source.open != nil {
		err = errors.Join(err, source.open.Close())
	}
	if err != nil {
		return err
	}
	f.session.progress.add(1)
	f.answers[f.places[k]] = search.No
	if yes {
		f.answers[f.places[k]] = search.Yes
		f.found.grade(row.UID, f.evaluator.Relevancy())
	}
	return nil
}

// searchRow is a row as this session sees it.
func (b *openBox) searchRow(dst *search.Row, row *account.Row) {
	dst.Message = mail.Message{UID: row.UID, ModSeq: row.ModSeq, Flags: b.sel.Flags(row.Flags),
		Size: row.Size, Date: row.Date, Saved: int64(row.Saved), ID: row.ID}
	dst.Recent = b.view.IsRecent(row.UID)
	if row.Expunged {
		if own, ok := b.view.Flags(row.UID); ok {
			dst.Flags = own
		}
	}
}

// searchSource gives a search what a row does not tell.
type searchSource struct {
	sel    *account.Selection
	stored *account.Summary
	open   account.Body
}

var _ search.Source = (*searchSource)(nil)

// Summary gives the message's Summary, its envelope included.
func (s *searchSource) Summary(context.Context) (*message.Summary, error) {
	return s.stored.Parsed()
}

// Body opens the message.
func (s *searchSource) Body(ctx context.Context) (io.ReaderAt, error) {
	body, err := s.sel.Body(ctx, s.stored)
	s.open = body
	return body, err
}
