package dialogue

// astrings compares what consists of astrings alone (RFC 4314 7): each may be an atom or a string.
func (m *matcher) astrings(want, got []node) bool {
	if len(want) != len(got) {
		return m.fail("there are %d strings and not %d", len(got), len(want))
	}
	for i := range want {
		if !m.mailbox(want[i], got[i]) {
			return false
		}
	}
	return true
}
