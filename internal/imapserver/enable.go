package imapserver

import (
	"slices"

	"postern/internal/imapwire"
)

// enable is the command ENABLE (RFC 5161, RFC 9051 6.3.1). What we do not know
// is passed over. RFC 9051 asks clients to send it before they select a mailbox;
// like other servers we take it later too.
func (s *session) enable(*command) error {
	var wanted []string
	if !s.r.ExpectEnableArgs(&wanted) {
		return s.r.Err()
	}
	var enabled []string
	aware := s.condstore
	for _, name := range wanted {
		switch {
		case s.hidden(name):
		case name == "IMAP4REV2" && !s.rev2:
			s.rev2, s.utf8 = true, true
			enabled = append(enabled, "IMAP4rev2")
		case name == "UTF8=ACCEPT" && !s.utf8Accept:
			s.utf8Accept, s.utf8 = true, true
			enabled = append(enabled, "UTF8=ACCEPT")
		case name == "CONDSTORE" && !aware && !slices.Contains(enabled, name):
			s.condstore = true
			enabled = append(enabled, name)
		case name == "QRESYNC" && !s.qresync && !s.hidden("CONDSTORE"):
			s.condstore, s.qresync = true, true
			enabled = append(enabled, name)
		case name == "UIDONLY" && !s.uidOnly:
			if err := s.enableUIDOnly(); err != nil {
				return err
			}
			enabled = append(enabled, name)
		case (name == "METADATA" || name == "METADATA-SERVER") && s.enableMetadata(name == "METADATA"):
			enabled = append(enabled, name)
		}
	}
	w := s.w.Star().Raw("ENABLED")
	for _, name := range enabled {
		w.Raw(" ").Raw(name)
	}
	w.CRLF()
	if s.condstore && !aware && s.box != nil {
		s.w.Status("", imapwire.OK, s.highestCode(), "mod-sequences are told from now on") // RFC 7162 3.1
	}
	return nil
}
