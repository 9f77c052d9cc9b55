package imapserver

import (
	"slices"
	"strings"
	"sync"

	"postern/internal/account"
	"postern/internal/mail"
)

// ServerMetadata are the shared entries of the server (RFC 5464 3.2.1.1), the same
// for everybody, which only the administrator sets. All servers of a process have
// one in common. The zero value has no entries; its methods may be called from any
// goroutine.
type ServerMetadata struct {
	mu       sync.Mutex
	all      []mail.Metadata // replaced and never changed
	watchers map[*func()]struct{}
}

// Entries gives the entries, sorted by name. They are not to be changed.
func (m *ServerMetadata) Entries() []mail.Metadata {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}

// Set gives the server other entries, in place of all that it had, and wakes the
// sessions that asked to be told.
func (m *ServerMetadata) Set(all []mail.Metadata) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b mail.Metadata) int {
		return strings.Compare(mail.EntryKey(a.Name), mail.EntryKey(b.Name))
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = all
	for wake := range m.watchers {
		(*wake)()
	}
}

// watch calls wake, which must not block, after every Set until stop is called.
func (m *ServerMetadata) watch(wake func()) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers == nil {
		m.watchers = map[*func()]struct{}{}
	}
	m.watchers[&wake] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, &wake)
	}
}

// toldMetadata is what a session that has enabled METADATA knows of it.
type toldMetadata struct {
	known     *account.KnownMetadata
	server    []mail.Metadata
	mailboxes bool // METADATA is enabled, not METADATA-SERVER alone
	stop      [2]func()
}

// enableMetadata lets the session be told of what others change from now on
// (RFC 5464 4.1), of the server alone or of mailboxes too. It reports whether that
// is new.
func (s *session) enableMetadata(mailboxes bool) bool {
	if s.metadata != nil {
		isNew := mailboxes && !s.metadata.mailboxes
		s.metadata.mailboxes = s.metadata.mailboxes || mailboxes
		return isNew
	}
	wake := func() { s.link.raise(metadataChanged) }
	s.metadata = &toldMetadata{mailboxes: mailboxes, stop: [2]func(){s.account.WatchMetadata(wake), s.srv.metadata.watch(wake)}}
	s.metadata.known, s.metadata.server = s.account.KnowMetadata(), s.srv.metadata.Entries()
	return true
}

// forgetMetadata ends enableMetadata.
func (s *session) forgetMetadata() {
	if s.metadata != nil {
		for _, stop := range s.metadata.stop {
			stop()
		}
		s.metadata = nil
	}
}

// metadataNews is the signal to wait for in IDLE, 0 for none.
func (s *session) metadataNews() signal {
	if s.metadata == nil {
		return 0
	}
	return metadataChanged
}

// tellMetadata tells of entries that others have changed, by name alone (RFC 5464
// 4.4.2). That may be done at any time: no number depends on it.
func (s *session) tellMetadata() {
	m := s.metadata
	if m == nil || !s.link.take(metadataChanged) {
		return
	}
	now := s.srv.metadata.Entries()
	if changed := account.MetadataChanges(now, m.server); len(changed) > 0 {
		s.w.MetadataChanged("", changed)
	}
	m.server = now
	for _, n := range m.known.News() {
		if m.mailboxes || n.Mailbox == "" {
			s.w.MetadataChanged(n.Mailbox, n.Entries)
		}
	}
}

// setMetadataMyself takes for known what this session has set: only what others
// change is told.
func (s *session) setMetadataMyself(m *account.Mailbox, entries []mail.Metadata, at mail.ModSeq) {
	if s.metadata != nil && at != 0 {
		s.metadata.known.Own(m, entries, at)
	}
}

// createdMyself takes for known the special use of a mailbox that this session has
// made.
func (s *session) createdMyself(info *account.Info) {
	if s.metadata != nil {
		s.metadata.known.OwnMailbox(*info)
	}
}
