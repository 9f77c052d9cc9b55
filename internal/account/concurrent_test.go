package account

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/embedded"
	"postern/internal/store/storetest"
	"postern/internal/view"
)

// TestConcurrentSessions lets sessions of two nodes work at once on the memory
// driver, and of one on the embedded one. What they must never see is checked as
// they go; what they have made is checked by Check, and must be there again after
// a restart. It is the race detector's test.
func TestConcurrentSessions(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		mem := storetest.Memory()
		concurrently(t, mem, mem, mem.Node())
	})
	t.Run("embedded", func(t *testing.T) {
		s, err := embedded.Open(t.TempDir(), embedded.Options{Reserve: -1, Ballast: -1})
		if err != nil {
			t.Fatal(err)
		}
		concurrently(t, s, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func concurrently(t *testing.T, s store.Store, nodes ...store.Store) {
	steps := 300
	if testing.Short() {
		steps = 60
	}
	var sessions sync.WaitGroup
	var pools []*Pool
	var appended sync.Map // mailbox and UID to text
	for n, node := range nodes {
		p := NewPool(node, Options{Every: -1})
		p.forgetAll = n == 0
		pools = append(pools, p)
		for i := range 4 {
			w := &worker{t: t, pool: p, random: rand.New(rand.NewPCG(uint64(n), uint64(i))), texts: &appended, seed: (n*10 + i) * 1_000_000}
			sessions.Go(func() {
				if err := w.work(steps); err != nil {
					t.Errorf("session %d of node %d: %v", i, n, err)
				}
			})
		}
		sessions.Go(func() {
			a := openIn(t, p, 7)
			defer a.Release()
			for range steps / 20 {
				saveNow(t, a)
				if err := p.Housekeep(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sessions.Wait()
	before := map[string]Info{}
	for _, p := range pools {
		a := openIn(t, p, 7)
		if err := a.ask(context.Background(), &request{sync: true}); err != nil {
			t.Error(err)
		}
		for _, info := range a.Mailboxes() {
			info.Recent, info.HighestModSeq = 0, 0
			if was, ok := before[info.Name]; ok && was != info {
				t.Errorf("two nodes disagree: %+v and %+v", was, info)
			}
			before[info.Name] = info
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if err := Check(context.Background(), s, func(p Problem) { t.Errorf("check: %s", p) }); err != nil {
		t.Error(err)
	}
	again := NewPool(s, Options{Every: -1})
	for _, info := range openIn(t, again, 7).Mailboxes() {
		info.Recent, info.HighestModSeq = 0, 0
		if info != before[info.Name] {
			t.Errorf("after a restart: %+v and was %+v", info, before[info.Name])
		}
	}
	if err := again.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// worker is one session that does this and that.
type worker struct {
	t      *testing.T
	pool   *Pool
	random *rand.Rand
	texts  *sync.Map
	seed   int
}

type textKey struct {
	box mail.MailboxID
	uid mail.UID
}

func (w *worker) work(steps int) error {
	ctx := context.Background()
	a, err := w.pool.Open(ctx, 7)
	if err != nil {
		return err
	}
	defer a.Release()
	inbox, err := a.Mailbox("INBOX", mail.RightRead)
	if err != nil {
		return err
	}
	trash, err := a.Mailbox("Trash", mail.RightRead)
	if err != nil {
		return err
	}
	s, err := inbox.Select(ctx, true)
	if err != nil {
		return err
	}
	defer s.Close()
	v := view.New(s.Start().UIDs, s.Start().At)
	var highest mail.ModSeq
	for range steps {
		if err := w.step(ctx, s, v, inbox, trash); err != nil {
			return err
		}
		d := s.Delta(v.Cursor(), v.UIDs())
		if d.At < highest {
			w.t.Errorf("the cursor falls from %d to %d", highest, d.At)
		}
		highest = d.At
		v.Advance(d, w.pool.o.Now())
		s.Claim(d.Added)
		v.Tell(w.random.IntN(2) == 0)
		if err := w.read(ctx, s, v); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) step(ctx context.Context, s *Selection, v *view.View, inbox, trash *Mailbox) error {
	some := func() mail.UIDSet {
		if v.Len() == 0 {
			return set(1)
		}
		uid, _ := v.UID(1 + w.random.Uint32N(v.Len()))
		return span(uid, uid+mail.UID(w.random.IntN(3)))
	}
	var err error
	switch w.random.IntN(8) {
	case 0, 1, 2:
		w.seed++
		text := mailText(w.seed)
		var c *Content
		if c, err = w.pool.Keep(ctx, newReader(text)); err != nil {
			return err
		}
		var done Appended
		if done, err = inbox.Append(ctx, []NewMessage{{Content: c}}); err == nil {
			if _, twice := w.texts.LoadOrStore(textKey{inbox.Info().ID, done.UIDs.Min()}, text); twice {
				w.t.Errorf("UID %d is used twice", done.UIDs.Min())
			}
		}
	case 3:
		_, err = s.StoreFlags(ctx, StoreRequest{UIDs: some(), Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted)})
	case 4:
		uids := some()
		_, err = s.Expunge(ctx, &uids)
	case 5:
		_, err = s.Move(ctx, some(), trash)
	case 6:
		_, err = s.Copy(ctx, some(), trash)
	default:
		_, err = s.StoreFlags(ctx, StoreRequest{UIDs: some(), Op: mail.SetFlags, Flags: mail.NewFlags(mail.SystemFlags(w.random.IntN(32)), "k")})
	}
	return err
}

// read reads a message the session shows, expunged or not.
func (w *worker) read(ctx context.Context, s *Selection, v *view.View) error {
	if v.Len() == 0 {
		return nil
	}
	uid, _ := v.UID(1 + w.random.Uint32N(v.Len()))
	rows, _ := s.Rows(make([]Row, 0, 1), set(uid))
	if len(rows) != 1 {
		w.t.Errorf("UID %d is shown and has no row", uid)
		return nil
	}
	_ = s.FlagText(rows[0].Flags)
	return s.Summaries(ctx, rows, func(_ int, m *Summary) error {
		b, err := s.Body(ctx, m)
		if err != nil {
			return err
		}
		text := make([]byte, b.Size())
		_, err = b.ReadAt(text, 0)
		if want, ok := w.texts.Load(textKey{s.Info().ID, uid}); ok && want != string(text) {
			w.t.Errorf("UID %d reads %q, want %q", uid, text, want)
		}
		return errors.Join(ignoreEOF(err), b.Close())
	})
}
