package account

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// lying is a store that shows other data than it has.
type lying struct {
	store.Store
	page    func(kind store.PageKind, low uint64, data []byte) []byte
	head    func(h *store.Head)
	summary func(id mail.MessageID, data []byte) []byte
	hidden  bool // bodies are not there
}

func (l *lying) Account(id mail.AccountID) store.Account {
	return &lyingAccount{l.Store.Account(id), l}
}

type lyingAccount struct {
	store.Account
	l *lying
}

func (a *lyingAccount) Load(ctx context.Context, s store.Scope, k store.PageKind, each func(uint64, []byte) error) (mail.ModSeq, error) {
	return a.Account.Load(ctx, s, k, func(low uint64, data []byte) error {
		if a.l.page != nil {
			data = a.l.page(k, low, data)
		}
		if data == nil {
			return nil
		}
		return each(low, data)
	})
}

func (a *lyingAccount) Heads(ctx context.Context, each func(store.Head) error) error {
	return a.Account.Heads(ctx, func(h store.Head) error {
		if a.l.head != nil {
			a.l.head(&h)
		}
		return each(h)
	})
}

func (a *lyingAccount) Summaries(ctx context.Context, ids []mail.MessageID, each func(int, []byte) error) error {
	return a.Account.Summaries(ctx, ids, func(i int, data []byte) error {
		if a.l.summary != nil {
			data = a.l.summary(ids[i], data)
		}
		if data == nil {
			return nil
		}
		return each(i, data)
	})
}

func (l *lying) Bodies() store.Bodies { return lyingBodies{l.Store.Bodies(), l} }

type lyingBodies struct {
	store.Bodies
	l *lying
}

func (b lyingBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	if b.l.hidden {
		return nil, mail.Errorf(mail.NotFound, "there is no body %s", ref)
	}
	return b.Bodies.Open(ctx, ref)
}

// TestCheckFindsWhatIsWrong shows Check stores that are damaged, each in its way.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	inbox := box(t, a, "INBOX")
	w.fill(inbox, 10)
	s := sel(t, inbox)
	expungeAll(t, s, set(2))
	if _, err := s.Copy(t.Context(), set(3, 4), box(t, a, "Sent")); err != nil {
		t.Fatal(err)
	}
	saveNow(t, a)
	w.fill(inbox, 2)

	rewrite := func(change func(p *storedPage)) func(store.PageKind, uint64, []byte) []byte {
		return func(kind store.PageKind, low uint64, data []byte) []byte {
			if kind != kindRowPage {
				return data
			}
			p, err := decodePage(low, data, false)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.rows) < 5 {
				return data
			}
			change(p)
			table, flags := &table{}, newFlagTable()
			if err := table.add(mail.UID(low), p, flags); err != nil {
				t.Fatal(err)
			}
			return encodePage(table.pages[0], flags)
		}
	}
	head := func(change func(m *mailboxState)) func(h *store.Head) {
		return func(h *store.Head) {
			if h.Scope == scope(inbox.Info()) {
				m, err := decodeMailbox(h.Data)
				if err != nil {
					t.Fatal(err)
				}
				change(m)
				h.Data = m.encode()
			}
		}
	}
	for _, c := range []struct {
		what string
		lie  lying
		want string
	}{
		{"nothing", lying{}, ""},
		{"a page that is damaged", lying{page: func(k store.PageKind, _ uint64, data []byte) []byte { return data[:len(data)-1] }}, "damaged"},
		{"a page that is missing", lying{page: func(k store.PageKind, _ uint64, data []byte) []byte {
			if k == kindRowPage {
				return nil
			}
			return data
		}}, "it counts"},
		{"an expunged page that is missing", lying{page: func(k store.PageKind, _ uint64, data []byte) []byte {
			if k == kindGonePage {
				return nil
			}
			return data
		}}, "expunged messages and says"},
		{"references that are missing", lying{page: func(k store.PageKind, _ uint64, data []byte) []byte {
			if k == kindRefPage {
				return nil
			}
			return data
		}}, "is in 2 rows and its page says 1"},
		{"a row with another flag", lying{page: rewrite(func(p *storedPage) { p.sets[0] = mail.NewFlags(mail.Draft) })}, "not what the log adds up to"},
		{"a row with another message", lying{page: rewrite(func(p *storedPage) { p.rows[0].ID = 7 })}, "message"},
		{"a row with another size", lying{page: rewrite(func(p *storedPage) { p.rows[0].Size++ })}, "it counts"},
		{"a row above UIDNEXT", lying{page: rewrite(func(p *storedPage) { p.rows[len(p.rows)-1].UID = 999 })}, "not below UIDNEXT"},
		{"counts that are wrong", lying{head: head(func(m *mailboxState) { m.counts.Unseen++ })}, "it counts"},
		{"a UIDNEXT that fell", lying{head: head(func(m *mailboxState) { m.counts.UIDNext-- })}, "UIDNEXT"},
		{"another UIDVALIDITY", lying{head: head(func(m *mailboxState) { m.validity++ })}, "not what the log adds up to"},
		{"a summary that is missing", lying{summary: func(id mail.MessageID, data []byte) []byte {
			if id == 5 {
				return nil
			}
			return data
		}}, "message 5 has no summary"},
		{"another's summary", lying{summary: func(id mail.MessageID, data []byte) []byte {
			data = bytes.Clone(data)
			data[1] = 8 // the account, 7, in one octet
			return data
		}}, "account 8"},
		{"bodies that are missing", lying{hidden: true}, "there is no body"},
	} {
		c.lie.Store = w.mem
		var found []string
		if err := Check(t.Context(), &c.lie, func(p Problem) { found = append(found, p.String()) }); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		all := strings.Join(found, "\n")
		if (c.want == "") != (all == "") || !strings.Contains(all, c.want) {
			t.Errorf("%s: found %q, want %q", c.what, all, c.want)
		}
	}
}
