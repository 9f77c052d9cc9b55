package imapserver

import (
	"postern/internal/mail"
)

// comparator is the command COMPARATOR (RFC 5255 4.7): it tells by what texts are
// compared in this session, or changes it to the first of those asked for that
// there is.
func (s *session) comparator(c *command) error {
	var orders []string
	if !s.r.ExpectComparatorArgs(&orders) {
		return s.r.Err()
	}
	var matching []mail.Comparator
	for _, order := range orders {
		more, ok := mail.MatchComparators(order)
		if !ok {
			return bad("expected the name of a comparator")
		}
		matching = append(matching, more...)
	}
	switch {
	case len(orders) == 0:
		s.w.Comparator(s.compare, nil)
		return nil
	case len(matching) == 0:
		return no("BADCOMPARATOR", "there is no such comparator")
	}
	s.compare = matching[0]
	s.w.Comparator(s.compare, matching)
	c.done("", "texts are compared by it now")
	return nil
}
