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

// toldMetadata is what a session knows of METADATA that has enabled it, or that asks
// for its changes with NOTIFY.
type toldMetadata struct {
	known     *account.KnownMetadata
	server    []mail.Metadata
	enabled   bool // METADATA or METADATA-SERVER is
	mailboxes bool // METADATA is
	stop      [2]func()
}

// enableMetadata lets the session be told of what others change from now on
// (RFC 5464 4.1), of the server alone or of mailboxes too. It reports whether that
// is new.
func (s *session) enableMetadata(mailboxes bool) bool {
	s.followMetadata()
	m := s.metadata
	isNew := !m.enabled || mailboxes && !m.mailboxes
	m.enabled, m.mailboxes = true, m.mailboxes || mailboxes
	return isNew
}

// followMetadata takes what there is now for known, if it was not followed before.
func (s *session) followMetadata() {
	if s.metadata != nil {
		return
	}
	wake := func() { s.link.raise(metadataChanged) }
	s.metadata = &toldMetadata{stop: [2]func(){s.account.WatchMetadata(wake), s.srv.metadata.watch(wake)}}
	s.metadata.known, s.metadata.server = s.account.KnowMetadata(), s.srv.metadata.Entries()
}

// forgetMetadata ends followMetadata.
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
	changed := account.MetadataChanges(now, m.server)
	if len(changed) > 0 && (m.enabled || s.notify.wantsMetadata(s.account, "")) {
		s.w.MetadataChanged("", changed)
	}
	m.server = now
	for _, n := range m.known.News() {
		if m.mailboxes || m.enabled && n.Mailbox == "" || s.notify.wantsMetadata(s.account, n.Mailbox) {
			s.w.MetadataChanged(n.Mailbox, n.Entries)
		}
	}
}

// setMetadataMyself takes for known what this session has set: only what others
// change is told.
func (s *session) setMetadataMyself(m *account.Mailbox, entries []mail.Metadata, at mail.ModSeq) {
	if s.metadata != nil && at != 0 && (m == nil || m.Info().Account == s.account.ID()) {
		s.metadata.known.Own(m, entries, at)
	}
}

// createdMyself takes for known the special use of a mailbox that this session has
// made.
func (s *session) createdMyself(info *account.Info) {
	if s.metadata != nil && info.Account == s.account.ID() {
		s.metadata.known.OwnMailbox(*info)
	}
}
