package imapserver

import (
	"context"
	"errors"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// fetch is the commands FETCH and UID FETCH (RFC 9051 6.4.5).
//
// It works through the messages in chunks: their rows, then as much of their
// summaries as was asked for, then the responses. What is written is held by
// nobody else, so a client that reads slowly holds up nothing but itself.
func (s *session) fetch(c *command) error {
	var args imapwire.FetchArgs
	if !s.r.ExpectFetchArgs(&args) {
		return s.r.Err()
	}
	if err := s.fetchAllowed(c, &args); err != nil {
		return err
	}
	if args.HasChangedSince {
		args.Items = withModSeq(args.Items)
	}
	plan, err := s.planFetch(args.Items, c.spec.byUID)
	if err != nil {
		return err
	}
	if err := s.mayBePart(args.HasPartial, args.Partial); err != nil {
		return err
	}
	uids, err := s.toFetch(c, &args)
	if err != nil {
		return err
	}
	uids = s.newest(c, uids)
	if plan.modSeq {
		if err := s.enableCondStore(); err != nil {
			return err
		}
	}
	if args.HasChangedSince {
		uids = s.changedSince(&args, uids)
	}
	f := fetching{session: s, plan: plan, base: s.box.sel.Info().HighestModSeq}
	if err := f.all(uids); err != nil {
		return err
	}
	return f.finish()
}

// fetchPlan is what a FETCH asks for, in the order of the answer.
type fetchPlan struct {
	items []imapwire.FetchItem
	uid   bool // UID comes first
	seen  bool // what is fetched becomes \Seen

	modSeq bool // MODSEQ is among the items

	envelope, structure, body bool // parts of the summary that are needed
	preview                   previewWanted
	thread                    bool
	content                   bool // the message itself is needed
}

func (p *fetchPlan) summary() bool {
	return p.envelope || p.structure || p.body || p.content || p.preview != noPreview || p.thread
}

// planFetch checks the items and puts the UID first, where many clients want it.
func (s *session) planFetch(items []imapwire.FetchItem, byUID bool) (fetchPlan, error) {
	p := fetchPlan{uid: byUID && !s.uidOnly, items: items[:0]}
	for _, item := range items {
		switch item.Kind {
		case imapwire.FetchUID:
			p.uid = true
			continue
		case imapwire.FetchFlags, imapwire.FetchInternalDate, imapwire.FetchSize:
		case imapwire.FetchModSeq:
			p.modSeq = true
		case imapwire.FetchEnvelope:
			p.envelope = true
		case imapwire.FetchBodyStructure:
			p.structure = true
		case imapwire.FetchBody:
			p.body = true
		case imapwire.FetchPreview:
			p.preview = previewAtHand
			if !item.Lazy {
				p.preview = previewMade
			}
		case imapwire.FetchSaveDate, imapwire.FetchEmailID:
		case imapwire.FetchThreadID:
			p.thread = true
		case imapwire.FetchRFC822, imapwire.FetchRFC822Header, imapwire.FetchRFC822Text:
			if s.rev2 { // RFC 9051 Appendix E
				return p, bad("RFC822 is not in IMAP4rev2")
			}
			p.content = true
		case imapwire.FetchSection, imapwire.FetchBinary, imapwire.FetchBinarySize:
			p.content = true
		default:
			return p, bad("unknown item to fetch")
		}
		p.seen = p.seen || item.SetsSeen()
		p.items = append(p.items, item)
	}
	p.seen = p.seen && s.box != nil && s.box.may()&mail.RightSeen != 0 // RFC 4314 4
	return p, nil
}

// withModSeq adds MODSEQ, as CHANGEDSINCE does (RFC 7162 3.1.4.1).
func withModSeq(items []imapwire.FetchItem) []imapwire.FetchItem {
	for i := range items {
		if items[i].Kind == imapwire.FetchModSeq {
			return items
		}
	}
	return append(items, imapwire.FetchItem{Kind: imapwire.FetchModSeq})
}

// fetching is one FETCH under way.
type fetching struct {
	session *session
	plan    fetchPlan
	arena   []byte // values of summaries of this chunk, as they go out
	found   []fromSummary
	unseen  mail.UIDSet // fetched, and to become \Seen
	base    mail.ModSeq // of the mailbox, before the first row was read
	failed  error       // why the first of the messages that were left out was
	skipped int         // messages left out because they could not be read
	content *[]byte     // contentRoom octets, if messages are opened
}

// fromSummary is what a chunk needs of one message's summary. The values are
// ranges of the arena: envelope, structure, body, preview, one after the other.
type fromSummary struct {
	known                                     bool
	start, envelope, structure, body, preview int
	previewed                                 bool
	thread                                    mail.ThreadID
	kept                                      *account.Summary // for the message itself
}

// all fetches the messages.
func (f *fetching) all(uids mail.UIDSet) error {
	s := f.session
	room := s.srv.takeRows()
	defer s.srv.giveRows(room)
	if f.plan.content {
		f.content = s.srv.takeContent()
		defer s.srv.giveContent(f.content)
	}
	for !uids.Empty() {
		rows, rest := s.box.sel.Rows(room[:0], uids)
		if len(rows) == 0 {
			return nil
		}
		for len(rows) > 0 {
			n, err := f.chunk(rows)
			if err != nil {
				return err
			}
			rows = rows[n:]
		}
		uids = rest
	}
	return nil
}

// Bounds of what is taken from summaries before it is written.
const (
	arenaFull    = 64 << 10 // octets of envelopes and structures
	contentChunk = 16       // messages that are opened, and whose summaries are kept for that
)

// errChunkFull ends a batch of summaries early.
var errChunkFull = errors.New("imapserver: enough summaries for now")

// chunk answers for the first of the rows and says for how many.
func (f *fetching) chunk(rows []account.Row) (int, error) {
	if f.plan.content {
		rows = rows[:min(len(rows), contentChunk)]
	}
	n := len(rows)
	if f.plan.summary() {
		var err error
		if n, err = f.gather(rows); err != nil {
			return 0, err
		}
	}
	for i := range rows[:n] {
		seq, ok := f.session.box.view.Seq(rows[i].UID)
		if !ok || f.plan.summary() && !f.found[i].known {
			continue
		}
		if err := f.message(seq, i, &rows[i]); err != nil {
			return 0, err
		}
	}
	return n, f.session.w.Err()
}

// gather takes what is needed from the summaries of the first of the rows and
// says of how many. Nothing is written here: the store may hold a snapshot.
func (f *fetching) gather(rows []account.Row) (int, error) {
	f.arena = f.arena[:0]
	f.found = append(f.found[:0], make([]fromSummary, len(rows))...)
	n, toMake := len(rows), 0
	each := func(i int, m *account.Summary) error {
		if len(f.arena) >= arenaFull || toMake >= contentChunk {
			n = i
			return errChunkFull
		}
		from := &f.found[i]
		from.known, from.start = true, len(f.arena)
		if f.plan.envelope {
			f.arena = append(f.arena, m.Envelope()...)
		}
		from.envelope = len(f.arena)
		if f.plan.structure {
			f.arena = append(f.arena, m.Structure()...)
		}
		from.structure = len(f.arena)
		if f.plan.body {
			f.arena = m.AppendBody(f.arena)
		}
		from.body = len(f.arena)
		if f.keepPreview(from, m) {
			toMake++
		}
		if f.plan.thread {
			thread, err := threadOf(m)
			if err != nil {
				return err
			}
			from.thread = thread
		}
		if f.plan.content && from.kept == nil {
			from.kept = m.Clone()
		}
		return nil
	}
	_, err := patiently(f.session.ctx, f.session, func(ctx context.Context) (without, error) {
		return without{}, f.session.box.sel.Summaries(ctx, rows, each)
	})
	if err != nil && !errors.Is(err, errChunkFull) {
		return 0, err
	}
	return n, nil
}

// message writes the FETCH response of one message. One that cannot be opened is
// left out and the rest goes on; the command fails in the end.
func (f *fetching) message(seq uint32, i int, row *account.Row) error {
	s := f.session
	var open openMessage
	if f.plan.content {
		var err error
		if open, err = f.openMessage(f.found[i].kept); err != nil {
			f.skip(row.UID, err)
			return nil
		}
		defer open.close()
	}
	preview, previewed, err := f.previewOf(i)
	if err != nil {
		f.skip(row.UID, err)
		return nil
	}
	s.beginFetch(seq, row.UID)
	if f.plan.uid {
		s.w.FetchUID(row.UID)
	}
	becomesSeen := f.plan.seen && !row.Expunged && s.box.sel.Flags(row.Flags).System&mail.Seen == 0
	if becomesSeen {
		f.unseen = f.unseen.Append(row.UID)
	}
	if becomesSeen = becomesSeen && !s.condstore; becomesSeen {
		f.flagsWithSeen(row)
	}
	for k := range f.plan.items {
		item := &f.plan.items[k]
		switch item.Kind {
		case imapwire.FetchFlags:
			if !becomesSeen {
				s.fetchFlags(row)
			}
		case imapwire.FetchModSeq:
			s.fetchModSeq(row.ModSeq)
		case imapwire.FetchInternalDate:
			s.w.FetchInternalDate(row.Date)
		case imapwire.FetchSize:
			s.w.FetchSize(uint64(row.Size))
		case imapwire.FetchSaveDate:
			s.w.FetchSaveDate(saveDate(row))
		case imapwire.FetchEmailID:
			s.w.FetchEmailID(s.emailObject(row))
		case imapwire.FetchThreadID:
			s.w.FetchThreadID(f.found[i].thread)
		case imapwire.FetchPreview:
			s.w.FetchText(item.Kind, preview, previewed)
		case imapwire.FetchEnvelope:
			from := &f.found[i]
			s.w.FetchStored(item.Kind, f.arena[from.start:from.envelope])
		case imapwire.FetchBodyStructure:
			from := &f.found[i]
			s.w.FetchStored(item.Kind, f.arena[from.envelope:from.structure])
		case imapwire.FetchBody:
			from := &f.found[i]
			s.w.FetchStored(item.Kind, f.arena[from.structure:from.body])
		default:
			open.parts[k].write(s.w, item)
		}
	}
	s.w.EndFetch()
	if s.w.Err() != nil && f.plan.content {
		f.brokeOff(f.found[i].kept.Object())
	}
	s.tally.fetched++
	s.srv.count.fetched.Add()
	return s.w.Err()
}

// flagsWithSeen adds the flags of a message that becomes \Seen by being fetched:
// "if this causes the flags to change, they SHOULD be included as part of the
// FETCH responses" (RFC 9051 6.4.5).
func (f *fetching) flagsWithSeen(row *account.Row) {
	s := f.session
	flags := s.box.sel.Flags(row.Flags)
	flags.System |= mail.Seen
	s.w.FetchFlags(flags, !s.rev2 && s.box.view.IsRecent(row.UID))
}

// finish sets \Seen on what was fetched, all at once and only now: what the
// client has not got it has not seen. It was told so already, unless another
// session changed the message meanwhile: that one is told again by the exit. Who
// knows of mod-sequences is told by the exit in any case, with the new one (RFC
// 7162 3.2.4); the responses before it show each message as it was.
func (f *fetching) finish() error {
	s := f.session
	if f.unseen.Empty() {
		return f.failure()
	}
	b := s.box
	req := account.StoreRequest{UIDs: f.unseen, Op: mail.AddFlags, Flags: mail.Flags{System: mail.Seen}, UnchangedSince: &f.base}
	result, err := s.storeFlags(req)
	if err == nil {
		if !s.condstore {
			b.view.FlagsTold(result.Changed, result.ModSeq)
		}
		if !result.Modified.Empty() {
			req.UIDs, req.UnchangedSince = result.Modified, nil
			_, err = s.storeFlags(req)
		}
	}
	s.link.raise(mailboxChanged)
	if s.condstore && !s.tellable(false).Flags {
		s.follow()
		s.writeFlags(f.unseen, true)
		b.view.FlagsTold(f.unseen, b.view.Cursor())
	}
	if err != nil && !s.condstore {
		s.writeFlags(f.unseen, f.plan.uid || s.rev2) // not what they were said to be
	}
	if err != nil && mail.KindOf(err) != mail.NotPermitted { // the right was taken away meanwhile
		return err
	}
	return f.failure()
}
