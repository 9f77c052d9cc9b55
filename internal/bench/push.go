package bench

import (
	"context"
	"time"
)

const pushName = "postern-bench-push"

// push is the profile of news: one connection idles, another appends, one message at a time.
func (r *runner) push(ctx context.Context) error {
	r.begin("push", r.cfg.Pushes)
	defer r.tidy(ctx, map[string]int{pushName: 0})
	idler, err := r.signIn(ctx, 0)
	if err != nil {
		return err
	}
	defer idler.close()
	sender, err := r.signIn(ctx, 0)
	if err != nil {
		return err
	}
	defer sender.close()
	if err := mailbox(sender, pushName); err != nil {
		return err
	}
	if err := idler.do("SELECT "+pushName, nil); err != nil {
		return err
	}
	if err := idler.idle(); err != nil {
		return err
	}
	if err := r.tree.rest(ctx, longestRest); err != nil {
		return err
	}
	before, err := r.usage()
	if err != nil {
		return err
	}
	told := make(chan heard, r.cfg.Pushes+1) // hearken never waits
	go hearken(idler, r.cfg.Pushes, told)
	var appended, all, beyond tally
	for i := range r.cfg.Pushes {
		l := r.corpus.letter(i)
		sent, err := sender.append(pushName, "", l.raw)
		if err != nil {
			return err
		}
		ok := time.Now()
		var news heard
		select {
		case news = <-told:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return wrongf("nothing was told within a minute of APPEND's OK")
		}
		if news.err != nil {
			return news.err
		}
		if news.exists != i+1 {
			return wrongf("EXISTS says %d after %d messages", news.exists, i+1)
		}
		appended.times = append(appended.times, ok.Sub(sent))
		all.times = append(all.times, news.at.Sub(sent))
		beyond.times = append(beyond.times, max(news.at.Sub(ok), 0))
		r.done.Add(1)
	}
	return r.pushRows(ctx, &appended, &all, &beyond, before)
}

// pushRows enters the three latencies. The processor time is that of all of it and stands in the first.
func (r *runner) pushRows(ctx context.Context, appended, all, beyond *tally, before float64) error {
	for i, row := range []struct {
		name string
		t    *tally
	}{
		{"last octet of APPEND to EXISTS", all}, {"last octet of APPEND to its OK", appended}, {"OK to EXISTS, 0 if it came first", beyond},
	} {
		made := Row{Profile: "push", Operation: row.name, Operations: int64(len(row.t.times)), Latency: latency(row.t.times), Wrong: row.t.wrong}
		if i > 0 {
			r.report.Rows = append(r.report.Rows, made)
			continue
		}
		if err := r.enterRow(ctx, made, row.t, before); err != nil {
			return err
		}
	}
	return nil
}

// heard is one EXISTS.
type heard struct {
	exists int
	at     time.Time
	err    error
}

// hearken reads what an idling connection is told, until it was told n times or the connection ends.
func hearken(c *client, n int, told chan<- heard) {
	for n > 0 {
		line, err := c.response()
		now := time.Now()
		if err != nil {
			told <- heard{err: err}
			return
		}
		if exists, ok := numbered(line, "EXISTS"); ok && exists > 0 {
			told <- heard{exists: exists, at: now}
			n--
		}
	}
}
