package imapserver

// namespace is the command NAMESPACE (RFC 2342, RFC 9051 6.3.10): one namespace of
// one's own, without a prefix, one of other users and one of what nobody owns.
func (s *session) namespace(*command) error {
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	s.w.Star().Raw(`NAMESPACE (("" "/")) (("` + otherUsers + `" "/")) (("` + sharedOnes + `" "/"))`).CRLF()
	return nil
}
