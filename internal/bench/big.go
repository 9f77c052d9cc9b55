package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// box is the big mailbox and what is known of it.
type box struct {
	r      *runner
	name   string
	n      int
	corpus *corpus
	hay    *haystack
	bodies string // a second mailbox, of messages of one size
	repeat int
	state  string // "cold" or "warm"
}

const (
	bodyMessages = 1000
	bodySize     = 10 << 10
)

func (r *runner) box() *box {
	b := &box{r: r, n: r.cfg.Messages, corpus: newCorpus(r.cfg.Seed, r.cfg.BigSize, "big"), repeat: r.cfg.Repeat, state: "warm",
		name:   fmt.Sprintf("postern-bench-big-%d-%d-%d", r.cfg.Seed, r.cfg.Messages, r.cfg.BigSize),
		bodies: fmt.Sprintf("postern-bench-bodies-%d", r.cfg.Seed)}
	if r.cfg.Cold {
		b.repeat, b.state = 1, "cold"
	}
	return b
}

// big is the profile of one big mailbox.
func (r *runner) big(ctx context.Context) error {
	b := r.box()
	if !r.cfg.Keep {
		defer r.tidy(ctx, map[string]int{b.name: 0, b.bodies: 0})
	}
	r.begin("big: reading the corpus", 2*b.n)
	var err error
	if b.hay, err = newHaystack(ctx, b.corpus, b.n, 2*b.repeat, func(int) { r.done.Add(1) }); err != nil {
		return err
	}
	if !r.cfg.Cold { // looking whether it is there would warm it
		if err := b.prepare(ctx); err != nil {
			return err
		}
	}
	for _, op := range operations() {
		if err := b.measure(ctx, op); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
	}
	return nil
}

// FillBig fills the big mailbox, for a later run with Cold.
func FillBig(ctx context.Context, cfg Config) (*Report, error) {
	cfg.Profiles, cfg.Keep = []string{"big"}, true
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := newRunner(cfg)
	defer r.tell()()
	return r.report, r.box().prepare(ctx)
}

// prepare fills the mailboxes unless they are there. One connection fills a mailbox, so that its order is known.
func (b *box) prepare(ctx context.Context) error {
	c, err := b.r.signIn(ctx, 0)
	if err != nil {
		return err
	}
	defer c.close()
	if there, err := messages(c, b.name); err != nil && !isWrong(err) {
		return err
	} else if there != b.n {
		if err := b.fillTimed(ctx); err != nil {
			return err
		}
	}
	if there, err := messages(c, b.bodies); err != nil && !isWrong(err) {
		return err
	} else if there == bodyMessages {
		return nil
	}
	if err := mailbox(c, b.bodies); err != nil {
		return err
	}
	b.r.begin("big: filling the mailbox of bodies", bodyMessages)
	for i := range bodyMessages {
		if _, err := c.append(b.bodies, "", b.corpus.exact(i, bodySize).raw); err != nil {
			return err
		}
		b.r.done.Add(1)
	}
	return nil
}

// fillTimed fills the big mailbox and enters a row for it.
func (b *box) fillTimed(ctx context.Context) error {
	r := b.r
	before, err := r.usage()
	if err != nil {
		return err
	}
	r.begin("big: filling the mailbox", b.n)
	began := time.Now()
	if err := r.fill(ctx, b.corpus, 0, b.name, 0, 1, b.n); err != nil {
		return err
	}
	row := Row{Profile: "big", Operation: "filling, one connection", Operations: int64(b.n), Seconds: time.Since(began).Seconds()}
	return r.enterRow(ctx, row, &tally{}, before)
}

// operation is one thing done to the whole mailbox.
type operation struct {
	name    string
	needs   string // a capability, "" for none
	times   int    // how much more often than the others, because it is short; 0 is 1
	mailbox func(*box) string
	before  func(*box, *client) error // not measured
	run     func(*box, *client) (octets int64, err error)
}

// measure does an operation as often as is asked for, each time on a new connection that has selected the mailbox,
// and enters a row.
func (b *box) measure(ctx context.Context, op operation) error {
	r := b.r
	group := 1
	if b.state == "warm" {
		group = max(op.times, 1)
	}
	r.begin(fmt.Sprintf("big, %s: %s", b.state, op.name), b.repeat*group)
	all := &tally{}
	spent := 0.0
	for range b.repeat {
		conns, err := b.connections(ctx, op, group)
		if err == nil {
			var cpu float64
			cpu, err = b.once(ctx, op, conns, all)
			spent += cpu
		}
		for _, c := range conns {
			_ = c.close() // it has answered
		}
		if errors.Is(err, errNotAnnounced) {
			r.report.Rows = append(r.report.Rows, Row{Profile: "big", Operation: op.name, State: b.state, Note: NotAnnounced})
			return nil
		}
		if errors.Is(err, errNoNeedle) {
			break
		}
		if err != nil {
			return err
		}
	}
	row := Row{Profile: "big", Operation: op.name, State: b.state, Operations: int64(len(all.times))}
	for _, took := range all.times {
		row.Seconds += took.Seconds()
	}
	if len(all.times) == 0 && len(all.wrong) == 0 {
		row.Note = "the corpus has no word for it"
	}
	return r.enterSpent(row, all, spent)
}

// enterSpent enters a row whose processor time is known.
func (r *runner) enterSpent(row Row, t *tally, spent float64) error {
	row.Octets, row.Wrong, row.Latency = t.octets, t.wrong, latency(t.times)
	if row.Seconds > 0 {
		row.PerSecond = float64(row.Operations) / row.Seconds
	}
	if r.tree != 0 && row.Operations > 0 {
		memory, err := r.tree.pss()
		if err != nil {
			return err
		}
		each, kib := spent*1000/float64(row.Operations), float64(memory)/1024
		row.CPUSeconds, row.CPUMillis, row.PSSKiB = &spent, &each, &kib
	}
	if row.Octets > 0 && row.Seconds > 0 {
		row.Note = fmt.Sprintf("%s MB/s", figure(float64(row.Octets)/1e6/row.Seconds))
		if spent > 0 {
			row.Note += fmt.Sprintf(", %s MB per CPU second", figure(float64(row.Octets)/1e6/spent))
		}
	}
	r.report.Rows = append(r.report.Rows, row)
	return nil
}

// connections signs in so many times, and each time selects and prepares what the operation wants selected.
func (b *box) connections(ctx context.Context, op operation, n int) (conns []*client, err error) {
	for range n {
		c, err := b.r.signIn(ctx, 0)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		if op.needs != "" && !c.caps[op.needs] {
			return conns, errNotAnnounced
		}
		if op.mailbox != nil {
			if err := c.do("SELECT "+quote(op.mailbox(b)), nil); err != nil {
				return conns, err
			}
		}
		if op.before != nil {
			if err := op.before(b, c); err != nil {
				return conns, err
			}
		}
	}
	return conns, nil
}

// once does it once on each connection, one after another, and gives the processor time until the server was at rest
// again. Short operations are measured in groups, because being at rest takes a server a little time, too.
func (b *box) once(ctx context.Context, op operation, conns []*client, all *tally) (cpu float64, err error) {
	if err := b.r.tree.rest(ctx, longestRest); err != nil {
		return 0, err
	}
	before, err := b.r.usage()
	if err != nil {
		return 0, err
	}
	for _, c := range conns {
		began := time.Now()
		octets, err := op.run(b, c)
		if errors.Is(err, errNoNeedle) {
			return 0, err
		}
		if err := all.count(began, err); err != nil {
			return 0, err
		}
		all.octets += octets
		b.r.done.Add(1)
	}
	if err := b.r.tree.rest(ctx, longestRest); err != nil {
		return 0, err
	}
	after, err := b.r.usage()
	return max(after-before, 0), err
}

// NotAnnounced is the note of an operation that the server does not know.
const NotAnnounced = "not announced"

var (
	errNoNeedle     = errors.New("no needle is left")
	errNotAnnounced = errors.New(NotAnnounced)
)

// fetchBodies reads every message of the second mailbox.
func fetchBodies(b *box, c *client) (int64, error) {
	octets := int64(0)
	err := c.fetch(1, bodyMessages, "BODY.PEEK[]", "BODY[]", func(seq int, line []byte) error {
		body, ok := section(line)
		if !ok || len(body) != bodySize {
			return wrongf("message %d has %d octets, %d were appended", seq, len(body), bodySize)
		}
		if seq%50 == 0 && !bytes.Equal(body, b.corpus.exact(seq-1, bodySize).raw) { // a sample: making them takes time
			return wrongf("message %d is not what was appended", seq)
		}
		octets += int64(len(body))
		return nil
	})
	return octets, err
}
