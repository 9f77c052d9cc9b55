package bench

import (
	"context"
	"fmt"
	"time"
)

const idleName = "postern-bench-idle"

// idles is the profile of connections that wait in IDLE, spread over the users, each looking at a mailbox of its account.
func (r *runner) idles(ctx context.Context) error {
	n, users := r.cfg.Idle, min(len(r.cfg.Users), r.cfg.Idle)
	names := map[string]int{}
	for u := range users {
		names[fmt.Sprintf("%s-%d", idleName, u)] = u
	}
	defer r.tidy(ctx, names)
	if err := r.fillIdle(ctx, users); err != nil {
		return err
	}
	if err := r.tree.rest(ctx, longestRest); err != nil {
		return err
	}
	before, memory, err := r.state()
	if err != nil {
		return err
	}
	r.begin("idle: connecting", n)
	began := time.Now()
	_, closeAll, err := r.connect(ctx, n, func(c *client, i int) error {
		if err := c.do("SELECT "+quote(fmt.Sprintf("%s-%d", idleName, i%users)), nil); err != nil {
			return err
		}
		if c.exists != r.cfg.IdleMessages {
			return wrongf("%d messages are told of, %d were appended", c.exists, r.cfg.IdleMessages)
		}
		return c.idle()
	})
	if err != nil {
		return err
	}
	defer closeAll()
	row := Row{Profile: "idle", Operation: "TLS connections in IDLE", Operations: int64(n), Seconds: time.Since(began).Seconds()}
	if r.cfg.TLS == nil {
		row.Operation = "connections in IDLE, without TLS"
	}
	r.begin("idle: waiting", 0)
	if err := pause(ctx, r.cfg.IdleWait); err != nil {
		return err
	}
	row.Note = fmt.Sprintf("%d accounts, %d messages, %s after the last", users, r.cfg.IdleMessages, r.cfg.IdleWait)
	if err := r.enterRow(ctx, row, &tally{}, before); err != nil {
		return err
	}
	if last := &r.report.Rows[len(r.report.Rows)-1]; last.PSSKiB != nil {
		each := (*last.PSSKiB - memory) / float64(n)
		last.PSSKiBEach = &each
		last.Note = fmt.Sprintf("%s KiB a connection; %s", figure(each), last.Note)
	}
	return nil
}

// state is the server's processor time and its memory in KiB.
func (r *runner) state() (cpu, kib float64, err error) {
	if r.tree == 0 {
		return 0, 0, nil
	}
	if cpu, err = r.tree.cpu(); err != nil {
		return 0, 0, err
	}
	memory, err := r.tree.pss()
	return cpu, float64(memory) / 1024, err
}

// fillIdle gives the first users the mailboxes that are looked at.
func (r *runner) fillIdle(ctx context.Context, users int) error {
	r.begin("idle: filling the mailboxes", users*r.cfg.IdleMessages)
	small := newCorpus(r.cfg.Seed, 1<<10, r.corpus.run)
	_, err := r.each(ctx, min(users, r.cfg.Connections), func(ctx context.Context, worker int, _ *tally) error {
		for u := worker; u < users; u += min(users, r.cfg.Connections) {
			if err := r.fill(ctx, small, u, fmt.Sprintf("%s-%d", idleName, u), 0, 1, r.cfg.IdleMessages); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// fill appends the letters first, first+step, ... below last to a mailbox of a user, which it makes if first is 0.
func (r *runner) fill(ctx context.Context, from *corpus, user int, name string, first, step, last int) error {
	c, err := r.signIn(ctx, user)
	if err != nil {
		return err
	}
	defer c.close()
	if first == 0 && step == 1 {
		if err := mailbox(c, name); err != nil {
			return err
		}
	}
	for i := first; i < last; i += step {
		l := from.letter(i)
		if _, err := c.append(name, seenFlag(l), l.raw); err != nil {
			return err
		}
		r.done.Add(1)
	}
	return nil
}
