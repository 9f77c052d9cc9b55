package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// poolSize is how many letters are made beforehand: making them must not be what is measured.
const poolSize = 256

func (r *runner) pool() []letter {
	some := make([]letter, poolSize)
	for i := range some {
		some[i] = r.corpus.letter(i)
	}
	return some
}

func appendName(i int) string { return fmt.Sprintf("postern-bench-append-%d", i) }

// appends is the profile of APPEND: every connection its own mailbox.
func (r *runner) appends(ctx context.Context) error {
	n := r.cfg.Connections
	r.begin("append: connecting", n)
	letters := r.pool()
	names := map[string]int{}
	for i := range n {
		names[appendName(i)] = i
	}
	defer r.tidy(ctx, names)
	conns, closeAll, err := r.connect(ctx, n, func(c *client, i int) error { return mailbox(c, appendName(i)) })
	if err != nil {
		return err
	}
	defer closeAll()
	done := make([]int, n)
	row := Row{Profile: "append", Operation: "APPEND", Note: fmt.Sprintf("%d connections, %d octets on average", n, r.cfg.Size)}
	err = r.load(ctx, row, n, func(_ context.Context, i int, t *tally) error {
		l := letters[(i*31+done[i])%len(letters)].raw
		began := time.Now()
		_, err := conns[i].append(appendName(i), "", l)
		if err == nil {
			done[i]++
			t.octets += int64(len(l))
		}
		return t.count(began, err)
	})
	if err != nil {
		return err
	}
	last := &r.report.Rows[len(r.report.Rows)-1]
	for i, c := range conns {
		if err := expect(c, appendName(i), done[i]); isWrong(err) {
			last.Wrong = append(last.Wrong, err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// expect compares how many messages a mailbox says it has with how many were put there.
func expect(c *client, name string, want int) error {
	got, err := messages(c, name)
	if err == nil && got != want {
		err = wrongf("%s has %d messages, %d were acknowledged", name, got, want)
	}
	return err
}

func messages(c *client, name string) (int, error) {
	n := -1
	err := c.do("STATUS "+quote(name)+" (MESSAGES)", func(line []byte) error {
		if bytes.HasPrefix(line, []byte("* STATUS ")) {
			if k, ok := after(line, "MESSAGES "); ok {
				n = k
			}
		}
		return nil
	})
	return n, err
}
