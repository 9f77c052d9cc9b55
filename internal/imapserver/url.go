package imapserver

import (
	"context"
	"net"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/message"
)

// urlMessage is the message, or the part of one, that a URL names, open for
// reading.
type urlMessage struct {
	open   openMessage
	part   contentPart
	octets opened
	sel    *account.Selection // nil if it is the selected mailbox
	owner  *account.Account   // of the URL, if it is not the session's own affair
}

// size is how many octets the URL names.
func (m *urlMessage) size() int64 { return m.part.size }

// Read gives them.
func (m *urlMessage) Read(p []byte) (int, error) {
	m.octets.open = m.part.open
	return m.octets.Read(p)
}

// close lets go of the message.
func (m *urlMessage) close() {
	m.octets.close()
	m.open.close()
	if m.sel != nil {
		m.sel.Close()
	}
	if m.owner != nil {
		m.owner.Release()
	}
}

// openURL opens what a URL names in this session (RFC 4469 3): relative to our
// server and to who signed in, and while a mailbox is selected also relative to
// that. mail.Invalid, NotFound and NotPermitted say what is wrong with the URL.
func (s *session) openURL(text string) (*urlMessage, error) {
	u, ok := imapwire.ParseURL(text)
	switch {
	case !ok:
		return nil, mail.Errorf(mail.Invalid, "the URL does not name a message or a part of one")
	case u.Authorized != nil:
		return nil, mail.Errorf(mail.Invalid, "a URL with URLAUTH is for URLFETCH")
	case u.Absolute && !s.srv.isOurs(u.Host):
		return nil, mail.Errorf(mail.NotPermitted, "the URL names another server")
	case u.User != "" && !strings.EqualFold(u.User, s.user):
		return nil, mail.Errorf(mail.NotPermitted, "the URL names another user")
	case u.Mailbox == "" && s.box == nil:
		return nil, mail.Errorf(mail.Invalid, "the URL names no mailbox, and none is selected")
	}
	sel, own, err := s.selectionFor(u.Mailbox)
	if err != nil {
		return nil, err
	}
	m := &urlMessage{}
	if !own {
		m.sel = sel
	}
	if err := s.openPart(m, sel, own, &u); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// isOurs reports whether a URL's host, with or without the port that URLs mean
// (RFC 5092 11: 143), is this server.
func (srv *Server) isOurs(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil && port == "143" {
		host = name
	}
	return srv.hostname != "" && strings.EqualFold(host, srv.hostname)
}

// selectionFor gives a hold on a mailbox to read from, which is the session's own
// if that has the mailbox selected or no name is given; another one wants a Close.
func (s *session) selectionFor(name string) (sel *account.Selection, own bool, err error) {
	if name == "" {
		return s.box.sel, true, nil
	}
	mailbox, err := s.mailbox(name, mail.RightRead)
	if err != nil {
		return nil, false, err
	}
	if s.box != nil && s.box.sel.Holds(mailbox) {
		return s.box.sel, true, nil
	}
	sel, err = mailbox.Select(s.ctx, false)
	return sel, false, err
}

// openPart finds the message and the part of it that the URL names, and opens it.
// A message that was expunged elsewhere can be named as long as the session still
// shows it, as in COPY.
func (s *session) openPart(m *urlMessage, sel *account.Selection, own bool, u *imapwire.URL) error {
	if u.Validity != 0 && u.Validity != sel.Info().Validity {
		return mail.Errorf(mail.NotFound, "the mailbox has another UIDVALIDITY")
	}
	noMessage := mail.Errorf(mail.NotFound, "there is no such message")
	var room [1]account.Row
	rows, _ := sel.Rows(room[:0], mail.UIDSet{{First: u.UID, Last: u.UID}})
	if len(rows) == 0 {
		return noMessage
	}
	if rows[0].Expunged {
		if !own {
			return noMessage
		}
		if _, shown := s.box.view.Seq(u.UID); !shown {
			return noMessage
		}
	}
	sum, err := summaryOf(s.ctx, sel, rows)
	if err != nil {
		return err
	}
	if sum == nil {
		return noMessage
	}
	item := imapwire.FetchItem{Kind: imapwire.FetchSection, Peek: true, Section: u.Section,
		Partial: u.Partial, Offset: u.Offset, Count: u.Count}
	if m.open.body, err = sel.Body(s.ctx, sum); err != nil {
		return err
	}
	if whole(&item, u.Section) {
		m.part, err = m.open.cut(message.Section{Length: m.open.body.Size()}, &item)
		return err
	}
	shape, err := sum.Shape()
	if err != nil {
		return err
	}
	if m.part, err = m.open.prepare(shape, &item, u.Section); err == nil && m.part.missing {
		err = mail.Errorf(mail.NotFound, "the message has no such part")
	}
	return err
}

// summaryOf reads the summary of one row, nil if it is not there any more.
func summaryOf(ctx context.Context, sel *account.Selection, rows []account.Row) (sum *account.Summary, err error) {
	err = sel.Summaries(ctx, rows, func(_ int, m *account.Summary) error {
		sum = m.Clone()
		return nil
	})
	return sum, err
}
