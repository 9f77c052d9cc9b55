package imapserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/view"
)

// session is one conversation. Everything it knows is here, and nothing on the
// stack, while it waits for the client. Apart from link and accountID it is used
// by one goroutine at a time.
type session struct {
	srv  *Server
	ctx  context.Context
	conn Conn
	link link
	log  *slog.Logger

	r  *imapwire.Reader
	w  *imapwire.Writer
	br *bufio.Reader // nil while waiting, and the writer has no buffer then

	state      state
	cmd        command // under way
	utf8       bool    // names in UTF-8: IMAP4rev2 or UTF8=ACCEPT is enabled
	rev2       bool    // IMAP4rev2 is enabled
	utf8Accept bool    // UTF8=ACCEPT is enabled
	condstore  bool    // CONDSTORE is, by ENABLE or by use: MODSEQ is told
	uidOnly    bool    // UIDONLY is: messages have no numbers
	qresync    bool    // QRESYNC is: VANISHED in place of EXPUNGE
	user       string  // who signed in
	client     string  // the name given with ID
	first      string  // its first commands, for Rule.First
	rules      []*Rule // that the session is under
	account    *account.Account
	accountID  atomic.Uint64      // of account; 0 before login
	by         atomic.Uint64      // the account that signed in, where it acts as another; 0: it is its own
	app        atomic.Uint64      // the app password that signed in; 0: none did
	readOnly   bool               // nothing may be changed: who signed in may only read
	held       []*account.Account // of others, opened by the command under way
	box        *openBox           // the selected mailbox
	metadata   *toldMetadata      // nil unless METADATA or METADATA-SERVER is enabled
	notify     *notifying         // nil before the first NOTIFY
	progress   progress           // of the command under way
	compare    mail.Comparator    // what SEARCH, SORT and THREAD compare texts by

	draining <-chan struct{}
	begun    time.Time   // when the session began, by the wall clock
	nobody   time.Time   // since when nobody is signed in, while that is so
	expiry   *time.Timer // ends the session with the token it was begun with; nil: there is none
	active   time.Time   // when the last command ended: autologout counts from here

	guesses, bad, badInRow int
	badSignedIn            int // of bad, those up to the last UNAUTHENTICATE
	tally                  tally
}

// tally is what the line at the session's end says it did.
type tally struct {
	commands, fetched, appended, expunged uint64
}

func newSession(ctx context.Context, srv *Server, conn Conn) *session {
	s := &session{srv: srv, ctx: ctx, conn: conn, log: srv.log, state: notAuthenticated,
		draining: conn.Draining(), begun: time.Now()}
	s.link.conn = conn
	s.link.trace = srv.trace.Open(conn.ID(), conn.Remote().Addr(), "")
	s.active, s.nobody = s.begun, s.begun
	s.r = imapwire.NewReader(nil, srv.limits.Before, s.proceed)
	s.w = imapwire.NewWriter(nil, nil)
	s.acquire()
	s.findRules()
	return s
}

// serve holds the conversation.
func (s *session) serve() {
	end := &ending{reason: endFault} // what the log says if a panic gets in the way
	defer func() { s.finish(end) }()
	over := s.greet()
	for over == nil {
		over = s.next()
	}
	if over.say != "" {
		s.w.Status("", imapwire.BYE, over.code, over.say)
	}
	if err := s.flush(); err != nil && over.reason != endGone {
		s.log.LogAttrs(s.ctx, slog.LevelDebug, "last words were not read", append(s.attrs(), observe.Error(err))...)
	}
	end = over
}

// greet says what the server is. Before TLS it says nothing that TLS does not
// say again (RFC 9051 11.1: a client must not believe it).
func (s *session) greet() *ending {
	if err := s.ctx.Err(); err != nil {
		return &ending{reason: endGone}
	}
	s.w.Status("", imapwire.OK, s.capabilityCode(), "Postern is ready")
	if err := s.flush(); err != nil {
		return s.lost(err)
	}
	return nil
}

// next waits for a command, carries it out and answers it.
func (s *session) next() *ending {
	if end := s.awaitCommand(); end != nil {
		return end
	}
	if err := s.listen(); err != nil {
		return s.lost(err)
	}
	s.r.UTF8, s.w.UTF8 = s.utf8, s.utf8
	s.r.Limits = s.srv.limits.Before
	if s.state != notAuthenticated {
		s.r.Limits = s.srv.limits.After
	}
	cmd, err := s.r.Command()
	if errors.Is(err, io.EOF) {
		return &ending{reason: endGone}
	}
	s.cmd = command{tag: cmd.Tag}
	if err == nil {
		err = s.carryOut(cmd.Name)
	}
	return s.conclude(err)
}

// listen gives the client its time for a command, or for what belongs to one.
// Before login it is no longer than that for everything.
func (s *session) listen() error {
	by := time.Now().Add(s.srv.limits.Command)
	if s.state == notAuthenticated {
		by = sooner(by, s.patience())
	}
	return s.link.within(by)
}

// carryOut looks a command up and does it.
func (s *session) carryOut(name string) error {
	sp := s.srv.commands[name]
	s.srv.count.commands.Of(name).Add()
	s.noteFirst(name)
	s.tally.commands++
	if sp == nil || sp.rev1 && s.rev2 {
		return bad("unknown command")
	}
	if s.state == notAuthenticated && s.link.trace.On() {
		s.link.trace.Note("%s", name)
	}
	if sp.states&s.state == 0 {
		return bad("%s is not possible %s", name, s.state)
	}
	if s.readOnly && !harmless[name] {
		return mail.Errorf(mail.NotPermitted, "with this app password one can only read")
	}
	s.cmd.spec = sp
	if s.uidOnly && sp.sequences && !sp.byUID {
		return uidRequired()
	}
	s.progress.begin(0)
	s.cmd.ok = reply{status: statusOK}
	if sp.byUID && s.box != nil {
		// A UID that another connection got from APPENDUID means something here at
		// once: Thunderbird looks for what it has just put into Sent.
		if err := s.tell(false); err != nil {
			return err
		}
	}
	return sp.do(s, &s.cmd)
}

// awaitCommand waits until a command has begun to come in. While it waits the
// buffers are given back. A session that has said NOTIFY is told meanwhile what it
// asked for.
func (s *session) awaitCommand() *ending {
	for s.r.Buffered() == 0 {
		if end := s.tellBetween(); end != nil {
			return end
		}
		if err := s.flush(); err != nil {
			return s.lost(err)
		}
		s.release()
		until := s.patience()
		still := until
		if s.news() != 0 {
			still = sooner(until, time.Now().Add(s.still()))
		}
		err := s.link.await(still, serverDraining|sessionRevoked|mailboxClosed|s.news())
		s.acquire()
		switch {
		case err == nil:
			return s.called()
		case errors.Is(err, errWoken):
			if end := s.called(); end != nil {
				return end
			}
		case isTimeout(err) && still.Before(until):
			s.stillHere()
		default:
			return s.silence(err)
		}
	}
	return s.called()
}

// called tells whether the session has been told to end.
func (s *session) called() *ending {
	if s.link.take(mailboxClosed) && s.box != nil && s.box.closed() {
		s.link.raise(mailboxClosed) // whoever asks again hears the same
		return s.boxGone()
	}
	switch {
	case s.link.raised(sessionRevoked):
		return &ending{reason: endRevoked, say: "your access has changed, sign in again"}
	case s.link.raised(serverDraining):
		return &ending{reason: endDraining, code: codeOf(mail.Unavailable), say: "the server is stopping, come back in a moment"}
	}
	return nil
}

// patience is until when a session may stay without a command.
func (s *session) patience() time.Time {
	l := &s.srv.limits
	if s.state != notAuthenticated {
		return s.active.Add(l.Idle)
	}
	until := s.nobody.Add(l.Login)
	if s.tally.commands == 0 {
		return sooner(until, s.begun.Add(l.FirstCommand))
	}
	return until
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// silence tells why nothing came in while a command was waited for.
func (s *session) silence(err error) *ending {
	switch {
	case !isTimeout(err):
		return s.lost(err)
	case s.state == notAuthenticated:
		return &ending{reason: endLoginTime, say: "you take too long to sign in"}
	}
	return &ending{reason: endIdle, say: "autologout; idle for too long"}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// acquire takes buffers for work; release gives them back. Nothing must be in
// them.
func (s *session) acquire() {
	if s.br != nil {
		return
	}
	s.br = s.srv.readers.Get().(*bufio.Reader)
	s.br.Reset(&s.link)
	s.r.Reset(s.br)
	s.w.Reset(&s.link, *s.srv.writers.Get().(*[]byte))
}

func (s *session) release() {
	if s.br == nil {
		return
	}
	s.r.Reset(nil)
	s.br.Reset(nil)
	s.srv.readers.Put(s.br)
	s.br = nil
	if buf := s.w.Release(); cap(buf) >= writeBuffer {
		s.srv.writers.Put(&buf)
	}
}

// flush sends what was written.
func (s *session) flush() error { return s.w.Flush() }

// proceed asks for a literal that the client waits to send.
func (s *session) proceed() error {
	s.w.Continue("go ahead")
	return s.flush()
}

// finish lets go of everything and writes the line at the session's end.
func (s *session) finish(end *ending) {
	s.signOut()
	s.release()
	s.srv.count.ended.Of(end.reason).Add()
	who := s.attrs()
	if s.log.Enabled(s.ctx, slog.LevelDebug) { // what rules go by
		who = append(who, observe.Text(observe.KeyFirst, s.first), slog.String(observe.KeyHello, fmt.Sprintf("%016x", s.conn.Fingerprint())))
		if names := s.ruleNames(); names != "" {
			who = append(who, slog.String(observe.KeyRules, names))
		}
	}
	s.log.LogAttrs(s.ctx, slog.LevelInfo, "session ended", append(who,
		slog.String(observe.KeyReason, end.reason),
		observe.Duration(time.Since(s.begun).Round(time.Millisecond)),
		slog.Uint64(observe.KeyCommands, s.tally.commands),
		slog.Uint64(observe.KeyBytesIn, s.link.bytesIn),
		slog.Uint64(observe.KeyBytesOut, s.link.bytesOut),
		slog.Uint64(observe.KeyFetched, s.tally.fetched),
		slog.Uint64(observe.KeyAppended, s.tally.appended),
		slog.Uint64(observe.KeyExpunged, s.tally.expunged))...)
}

// attrs names the session in a line of the log.
func (s *session) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs, observe.Session(s.conn.ID()), observe.Listener(s.conn.Setting()), observe.Remote(s.conn.Remote()))
	if id := s.accountID.Load(); id != 0 {
		attrs = append(attrs, observe.Account(id), observe.Text(observe.KeyUser, s.user))
	}
	if s.client != "" {
		attrs = append(attrs, observe.Text(observe.KeyClient, s.client))
	}
	if s.cmd.spec != nil {
		attrs = append(attrs, slog.String(observe.KeyCommand, s.cmd.spec.name))
	}
	if s.box != nil {
		attrs = append(attrs, observe.Text(observe.KeyMailbox, s.box.name))
	}
	return attrs
}

// openBox is the selected mailbox and what the client has been told of it.
type openBox struct {
	name     string
	examined bool             // it was opened by EXAMINE
	host     *account.Account // whose it is, if it is somebody else's
	rights   mail.Rights      // of which the client knows
	sel      *account.Selection
	view     *view.View
	keywords []string    // told by FLAGS
	keyAt    mail.ModSeq // of the key for URLs, as it was told
	contexts []*searchContext
	touched  mail.UIDSet // changed since the contexts' searches were asked
	lost     mail.UIDSet // expunged, and not told to contexts yet
	batched  []batched   // what UIDBATCHES was asked
	own      mail.UIDSet // messages of this session's making that EXISTS has not told of
}

// writable refuses what would change a mailbox that was opened by EXAMINE.
func (b *openBox) writable() error {
	if b.examined {
		return mail.Errorf(mail.ReadOnly, "the mailbox is selected read-only")
	}
	return nil
}

// may gives the rights that can be used here now: of a mailbox that was opened by
// EXAMINE none that change it.
func (b *openBox) may() mail.Rights {
	if b.examined {
		return mail.RightLookup | mail.RightRead
	}
	return b.sel.Rights()
}

// closed reports whether the mailbox may not be read any more.
func (b *openBox) closed() bool { return b.sel.Rights()&mail.RightRead == 0 }

// rightsToChange are those of which READ-WRITE wants one (RFC 4314 5.2): all flags
// are shared.
const rightsToChange = mail.RightInsert | mail.RightExpunge | mail.RightSeen | mail.RightWrite | mail.RightDeleteMail

// access is the response code for what the rights allow.
func access(r mail.Rights) string {
	if r&rightsToChange == 0 {
		return "READ-ONLY"
	}
	return "READ-WRITE"
}
