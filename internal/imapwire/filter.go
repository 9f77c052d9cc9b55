package imapwire

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"postern/internal/mail"
)

// FilterName reports whether a filter can have that name (RFC 5466 4): an atom
// without "/".
func FilterName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAtom(c) || c == '/' {
			return false
		}
	}
	return name != ""
}

func isAtom(c byte) bool { return classes[c]&atomChar != 0 }

// filterKey reads the name of a filter.
func (s *searchReader) filterKey(dst *mail.Criteria) bool {
	dst.Op = mail.SearchFilter
	s.uses |= UsesFilter
	if !s.r.ExpectSP() {
		return false
	}
	dst.Text = string(s.r.span(atomChar))
	return FilterName(dst.Text) || s.r.expected("the name of a filter")
}

// ParseSearchCriteria reads search keys that stand alone, as in the value of a filter
// (RFC 5466 4, search-criteria): in UTF-8, literals included, and nothing behind them.
// The limits are those of a command.
func ParseSearchCriteria(text []byte, limits Limits) (mail.Criteria, SearchUses, error) {
	const command = "filter SEARCH "
	input := io.MultiReader(strings.NewReader(command), bytes.NewReader(text), strings.NewReader("\r\n"))
	br := bufio.NewReaderSize(input, len(command)+len(text)+3)
	r := NewReader(br, limits, func() error { return nil })
	if _, err := r.Command(); err != nil {
		return mail.Criteria{}, 0, err
	}
	s := searchReader{r: r, charset: "UTF-8"}
	var c mail.Criteria
	if !r.ExpectSP() || !s.keys(&c, nil, '\n') || !r.ExpectCRLF() {
		return mail.Criteria{}, 0, r.Err()
	}
	if _, err := r.br.Peek(r.pos + 1); err == nil {
		r.wrong("the end of the search keys", "another line")
		return mail.Criteria{}, 0, r.Err()
	}
	return c, s.uses, nil
}
