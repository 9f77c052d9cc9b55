package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// mixedMessages is how many messages each connection's mailbox has to begin with.
const mixedMessages = 50

// station is one connection of the mixed profile.
type station struct {
	c       *client
	mailbox string
	size    int // messages in it
	rng     *rand.Rand
	news    []letter // to append
}

func mixedName(i int) string { return fmt.Sprintf("postern-bench-mixed-%d", i) }

// stations signs everybody in, with a mailbox each, filled.
func (r *runner) stations(ctx context.Context) ([]*station, func(), error) {
	n := r.cfg.Connections
	r.begin("mixed: filling mailboxes", n)
	names := map[string]int{}
	for i := range n {
		names[mixedName(i)] = i
	}
	some := make([]letter, mixedMessages)
	for i := range some {
		some[i] = r.corpus.letter(i)
	}
	all := make([]*station, n)
	conns, closeAll, err := r.connect(ctx, n, func(c *client, i int) error {
		all[i] = &station{c: c, mailbox: mixedName(i), size: mixedMessages, rng: rand.New(rand.NewPCG(r.cfg.Seed, uint64(i))), news: some}
		if err := mailbox(c, mixedName(i)); err != nil {
			return err
		}
		for _, l := range some {
			if _, err := c.append(mixedName(i), seenFlag(l), l.raw); err != nil {
				return err
			}
		}
		return c.do("SELECT "+quote(mixedName(i)), nil)
	})
	if err != nil {
		r.tidy(ctx, names)
		return nil, nil, err
	}
	for i, c := range conns {
		if c.exists != mixedMessages {
			closeAll()
			r.tidy(ctx, names)
			return nil, nil, wrongf("%s has %d messages, %d were appended", mixedName(i), c.exists, mixedMessages)
		}
	}
	return all, func() { closeAll(); r.tidy(ctx, names) }, nil
}

func seenFlag(l letter) string {
	if l.seen {
		return `\Seen`
	}
	return ""
}

// mixed is the profile of long sessions.
func (r *runner) mixed(ctx context.Context) error {
	all, end, err := r.stations(ctx)
	if err != nil {
		return err
	}
	defer end()
	row := Row{Profile: "mixed", Operation: "commands in long sessions", Note: fmt.Sprintf("%d connections", len(all))}
	return r.load(ctx, row, len(all), func(_ context.Context, i int, t *tally) error {
		began := time.Now()
		return t.count(began, all[i].command())
	})
}

// command carries out one command, drawn as a mail client would have it.
func (s *station) command() error {
	c, n := s.c, s.size
	from := 1 + s.rng.IntN(n)
	switch draw := s.rng.IntN(100); {
	case draw < 20:
		return c.do("NOOP", nil)
	case draw < 40:
		return c.fetch(from, min(from+19, n), "(UID FLAGS)", "UID ", nil)
	case draw < 58:
		return c.fetch(from, min(from+9, n), "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", "ENVELOPE (", nil)
	case draw < 72:
		return s.read(from)
	case draw < 82:
		sign := "+-"[s.rng.IntN(2)]
		return c.do(fmt.Sprintf(`STORE %d %cFLAGS (\Seen)`, from, sign), nil)
	case draw < 88:
		_, err := c.numbers("SEARCH UNSEEN", "SEARCH")
		return err
	case draw < 94:
		return s.status()
	case draw < 97:
		return s.list()
	}
	l := s.news[s.rng.IntN(len(s.news))]
	if _, err := c.append(s.mailbox, "", l.raw); err != nil {
		return err
	}
	s.size++ // the server tells at once, or with the next NOOP
	if c.exists < s.size {
		return s.catchUp()
	}
	return nil
}

// catchUp asks for news until the appended message is told of. An APPEND to the selected mailbox should be told of
// with its OK (RFC 9051 6.3.12); a server that does not tells with a NOOP.
func (s *station) catchUp() error {
	for range 100 {
		if err := s.c.do("NOOP", nil); err != nil {
			return err
		}
		if s.c.exists >= s.size {
			return nil
		}
	}
	return wrongf("%s has %d messages and %d are told of after 100 NOOPs", s.mailbox, s.size, s.c.exists)
}

// read fetches a whole message and looks whether it is what was appended; later ones are drawn, so their size alone.
func (s *station) read(seq int) error {
	return s.c.fetch(seq, seq, "(UID BODY.PEEK[])", "BODY[]", func(_ int, line []byte) error {
		body, ok := section(line)
		if !ok {
			return wrongf("FETCH of BODY[] without a literal: %q", head(line))
		}
		if seq <= mixedMessages && !bytes.Equal(body, s.news[seq-1].raw) {
			return wrongf("message %d of %s is not what was appended", seq, s.mailbox)
		}
		return nil
	})
}

func (s *station) status() error {
	found := false
	err := s.c.do("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", func(line []byte) error {
		found = found || bytes.HasPrefix(line, []byte("* STATUS ")) && bytes.Contains(line, []byte("UIDNEXT "))
		return nil
	})
	if err == nil && !found {
		return wrongf("STATUS without its answer")
	}
	return err
}

func (s *station) list() error {
	found := false
	err := s.c.do(`LIST "" "*"`, func(line []byte) error {
		found = found || bytes.HasPrefix(line, []byte("* LIST ")) && bytes.Contains(line, []byte(s.mailbox))
		return nil
	})
	if err == nil && !found {
		return wrongf("LIST does not know %s", s.mailbox)
	}
	return err
}

// logins is the profile of short sessions.
func (r *runner) logins(ctx context.Context) error {
	all, end, err := r.stations(ctx)
	if err != nil {
		return err
	}
	defer end()
	row := Row{Profile: "login", Operation: "sessions of connect, LOGIN, SELECT, three FETCH, LOGOUT",
		Note: fmt.Sprintf("%d clients", len(all))}
	return r.load(ctx, row, len(all), func(ctx context.Context, i int, t *tally) error {
		began := time.Now()
		return t.count(began, r.shortSession(ctx, i, all[i]))
	})
}

// shortSession is what a telephone does when it wakes.
func (r *runner) shortSession(ctx context.Context, i int, s *station) error {
	leave, err := r.enter(ctx)
	if err != nil {
		return err
	}
	defer func() { leave() }()
	c, err := dial(ctx, r.cfg.Address, r.cfg.TLS)
	if err != nil {
		return err
	}
	if err := c.login(r.user(i)); err != nil {
		_ = c.close()
		return err
	}
	leave()
	leave = func() {}
	visit := station{c: c, mailbox: s.mailbox, size: s.size, rng: s.rng, news: s.news}
	if err := visit.glance(); err != nil {
		_ = c.close()
		return err
	}
	return c.logout()
}

func (s *station) glance() error {
	if err := s.c.do("SELECT "+quote(s.mailbox), nil); err != nil {
		return err
	}
	n := s.size
	if s.c.exists != n {
		return wrongf("%s has %d messages, %d were appended", s.mailbox, s.c.exists, n)
	}
	if err := s.c.fetch(max(n-19, 1), n, "(UID FLAGS)", "UID ", nil); err != nil {
		return err
	}
	if err := s.c.fetch(max(n-4, 1), n, "(UID ENVELOPE RFC822.SIZE)", "ENVELOPE (", nil); err != nil {
		return err
	}
	return s.read(1 + s.rng.IntN(n))
}
