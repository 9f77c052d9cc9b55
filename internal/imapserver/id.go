package imapserver

import (
	"strings"

	"postern/internal/imapwire"
)

// identify is the command ID (RFC 2971). Before login we say who we are and not
// which version: a stranger has no use for it that we like.
func (s *session) identify(c *command) error {
	var fields []imapwire.IDField
	if !s.r.ExpectIDArgs(&fields) {
		return s.r.Err()
	}
	var name, version string
	for _, f := range fields {
		switch f.Name {
		case "name":
			name = f.Value
		case "version":
			version = f.Value
		}
	}
	s.client = strings.TrimSpace(name + " " + version)
	if s.findRules() {
		c.done(s.capabilityCode(), "") // the list that the client has is no longer right
	}
	s.w.Star().Raw(`ID ("name" "Postern"`)
	if s.state != notAuthenticated && s.srv.version != "" {
		s.w.Raw(` "version" `).String(s.srv.version)
	}
	s.w.Raw(")").CRLF()
	return nil
}
