package imapserver

// namespace is the command NAMESPACE (RFC 2342, RFC 9051 6.3.10): one namespace
// of one's own, without a prefix. Those of others and shared ones come with ACL.
func (s *session) namespace(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.w.Star().Raw(`NAMESPACE (("" "/")) NIL NIL`).CRLF()
	return nil
}
