package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/mail"
)

// wake tells other nodes what this one committed, and hears from them.
//
// It is told after the commit, on a connection of its own: NOTIFY inside a
// transaction makes all commits of a database queue. What piles up while one
// message is on its way goes into the next. A word that is lost costs time and
// nothing else: after every new connection all accounts are woken, and a look at
// the heads of the accounts in use, one question for a thousand of them, finds what
// a node committed that went down before it told.
type wake struct {
	s       *Store
	config  *pgx.ConnConfig
	channel string
	node    string // this process, which does not listen to itself

	mu        sync.Mutex
	accounts  map[mail.AccountID]*awaited
	pending   map[mail.AccountID]mail.ModSeq // still to be told
	directory bool                           // the directory was changed, still to be told
	changes   int64                          // of the directory, as the last look found it
	todo      chan struct{}

	watchers watchers
}

// awaited is an account somebody asked Grew of: 200 octets for each that was in use
// since the start.
type awaited struct {
	grew chan struct{}
	seen mail.ModSeq // up to here this node has read or written the log
}

func newWake(s *Store, config *pgx.ConnConfig, name string) *wake {
	return &wake{
		s: s, config: config, channel: "postern_" + name, node: fmt.Sprintf("%x", randomName()[:8]),
		accounts: map[mail.AccountID]*awaited{}, pending: map[mail.AccountID]mail.ModSeq{}, todo: make(chan struct{}, 1), changes: -1,
	}
}

// Grew implements store.Account.
func (a account) Grew() <-chan struct{} {
	w := a.s.wake
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.accounts[a.id]
	if e == nil {
		e = &awaited{grew: make(chan struct{}, 1)}
		w.accounts[a.id] = e
	}
	return e.grew
}

// seen notes how far this node knows an account's log.
func (w *wake) seen(id mail.AccountID, last mail.ModSeq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.accounts[id]; e != nil {
		e.seen = max(e.seen, last)
	}
}

// committed notes what this node has committed, and has it told to others.
func (w *wake) committed(id mail.AccountID, last mail.ModSeq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.accounts[id]; e != nil {
		e.seen = max(e.seen, last)
	}
	w.pending[id] = max(w.pending[id], last)
	signal(w.todo)
}

// directoryChanged tells this node's watchers, and has it told to others.
func (w *wake) directoryChanged() {
	w.mu.Lock()
	w.directory = true
	signal(w.todo)
	w.mu.Unlock()
	w.watchers.tell()
}

// grew wakes an account if its log is longer than this node knows. What was told
// counts as known only once it was read.
func (w *wake) grew(id mail.AccountID, last mail.ModSeq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.accounts[id]; e != nil && last > e.seen {
		signal(e.grew)
	}
}

// all wakes everybody: something may have been missed.
func (w *wake) all() {
	w.mu.Lock()
	for _, e := range w.accounts {
		signal(e.grew)
	}
	w.mu.Unlock()
	w.watchers.tell()
}

// maxPayload is how long a notification may be; PostgreSQL takes 8,000 octets.
const maxPayload = 7900

// messages takes what is to be told and puts it into as few messages as it fits:
// the node's name, then "account:ModSeq" in hexadecimal digits or "d" for the
// directory, with spaces between.
func (w *wake) messages() (list []string, again func()) {
	w.mu.Lock()
	pending, directory := w.pending, w.directory
	w.pending, w.directory = map[mail.AccountID]mail.ModSeq{}, false
	w.mu.Unlock()
	if len(pending) == 0 && !directory {
		return nil, nil
	}
	b := []byte(w.node)
	if directory {
		b = append(b, " d"...)
	}
	for id, last := range pending {
		if len(b) > maxPayload-40 {
			list = append(list, string(b))
			b = append(b[:0], w.node...)
		}
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(id), 16)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(last), 16)
	}
	return append(list, string(b)), func() { // it could not be told: with the next
		w.mu.Lock()
		defer w.mu.Unlock()
		for id, last := range pending {
			w.pending[id] = max(w.pending[id], last)
		}
		w.directory = w.directory || directory
	}
}

// tell sends messages.
func (w *wake) tell(ctx context.Context, q querier, list []string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, err := q.Exec(ctx, `SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message`, w.channel, list)
	return err
}

// send tells others, until ctx ends.
func (w *wake) send(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { hangUp(conn) }()
	for wait := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-w.todo:
		}
		list, again := w.messages()
		if list == nil {
			continue
		}
		var err error
		if conn == nil {
			conn, err = w.connect(ctx)
		}
		if err == nil {
			err = w.tell(ctx, conn, list)
		}
		if err == nil {
			wait = 0
			continue
		}
		hangUp(conn)
		conn = nil
		again()
		if !pause(ctx, wait) {
			return
		}
		wait = min(wait+1, tries)
		signal(w.todo)
	}
}

// flush tells what is still to be told before the node goes.
func (w *wake) flush() {
	if list, _ := w.messages(); list != nil {
		_ = w.tell(context.Background(), w.s.db, list) // or the others' next look finds it
	}
}

func (w *wake) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, w.config.Copy())
}

func hangUp(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// silence is how long nothing may be heard before the listener asks whether its
// connection still stands.
const silence = 15 * time.Second

// listen hears from others, until ctx ends.
func (w *wake) listen(ctx context.Context) {
	for wait := 0; ctx.Err() == nil; wait = min(wait+1, tries) {
		heard, err := w.listenOnce(ctx)
		if heard {
			wait = 0
		}
		if ctx.Err() != nil {
			return
		}
		w.s.o.Log.Warn("not listening to other nodes until the database can be reached again; what they do is looked for instead", "error", err)
		if !pause(ctx, wait) {
			return
		}
	}
}

// listenOnce listens for as long as a connection stands. It reports whether it ever
// did.
func (w *wake) listenOnce(ctx context.Context) (heard bool, err error) {
	conn, err := w.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { hangUp(conn) }()
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{w.channel}.Sanitize()); err != nil {
		return false, err
	}
	w.all()
	for {
		waiting, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			w.hear(n.Payload)
		case ctx.Err() != nil:
			return true, ctx.Err()
		case waiting.Err() == nil || conn.IsClosed():
			return true, err
		default: // nothing was said
			asking, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(asking)
			cancel()
			if err != nil {
				return true, err
			}
		}
	}
}

// hear takes a message in. What it does not understand it passes over.
func (w *wake) hear(message string) {
	words := strings.Fields(message)
	if len(words) == 0 || words[0] == w.node {
		return
	}
	for _, word := range words[1:] {
		if word == "d" {
			w.watchers.tell()
			continue
		}
		account, last, _ := strings.Cut(word, ":")
		id, err := strconv.ParseUint(account, 16, 64)
		if err != nil {
			continue
		}
		if m, err := strconv.ParseUint(last, 16, 64); err == nil {
			w.grew(mail.AccountID(id), mail.ModSeq(m))
		}
	}
}

// pollAlways looks for what nobody told, until ctx ends. Nodes do it at different
// moments.
func (w *wake) pollAlways(ctx context.Context) {
	for {
		t := time.NewTimer(w.s.o.PollEvery/2 + rand.N(w.s.o.PollEvery))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if err := w.poll(ctx); err != nil && ctx.Err() == nil {
			w.s.o.Log.Debug("looking for what other nodes did failed and is tried again", "error", err)
		}
	}
}

// poll looks once.
func (w *wake) poll(ctx context.Context) error {
	w.mu.Lock()
	ids := make([]int64, 0, len(w.accounts))
	for id := range w.accounts {
		ids = append(ids, int64(id))
	}
	w.mu.Unlock()
	type head struct {
		id   mail.AccountID
		last mail.ModSeq
	}
	for len(ids) > 0 {
		some := ids[:min(len(ids), idsAtOnce)]
		ids = ids[len(some):]
		heads, err := collect(ctx, w.s, func(r pgx.CollectableRow) (h head, err error) {
			var id int64
			err = r.Scan(&id, &h.last)
			h.id = mail.AccountID(id)
			return h, err
		}, `SELECT q.id, coalesce((SELECT last FROM log WHERE account_id = q.id ORDER BY modseq DESC LIMIT 1), 0)
			FROM unnest($1::bigint[]) AS q(id)`, some)
		if err != nil {
			return err
		}
		for _, h := range heads {
			w.grew(h.id, h.last)
		}
	}
	changes, err := collect(ctx, w.s, pgx.RowTo[int64], `SELECT changes FROM directory`)
	if err != nil || len(changes) == 0 {
		return err
	}
	w.mu.Lock()
	news := w.changes >= 0 && w.changes != changes[0]
	w.changes = changes[0]
	w.mu.Unlock()
	if news {
		w.watchers.tell()
	}
	return nil
}
