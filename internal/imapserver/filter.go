package imapserver

import (
	"slices"
	"strings"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Where filters are kept (RFC 5466 3.2), among the metadata of the server.
const (
	privateFilters = "/private/filters/values/"
	sharedFilters  = "/shared/filters/values/"
)

// Bounds on filters that name others (RFC 5466 3.1: at least 3 within one another).
const (
	maxFilterDepth = 8
	maxFilters     = 64 // in one search, those named by others included
)

// putFilters puts what filters stand for in the place of their names.
func (s *session) putFilters(args *imapwire.SearchArgs) error {
	if args.Uses&imapwire.UsesFilter == 0 {
		return nil
	}
	if args.Charset != "" && !strings.EqualFold(args.Charset, "UTF-8") && !strings.EqualFold(args.Charset, "US-ASCII") {
		return &refusal{reply: reply{statusBad, codeOf(mail.BadCharset), "FILTER is for UTF-8"}} // RFC 5466 3.1
	}
	p := filterPutter{s: s}
	if err := p.put(&args.Criteria); err != nil {
		return err
	}
	args.Uses |= p.uses
	return nil
}

// filterPutter replaces the names of filters in one search.
type filterPutter struct {
	s      *session
	within []string // the filters whose criteria are gone over, by EntryKey
	count  int
	uses   imapwire.SearchUses
}

// put replaces the names in criteria, whose depth the grammar bounds. A loop, and
// what is beyond the bounds, is as if there were no such filter (RFC 5466 3.1).
func (p *filterPutter) put(c *mail.Criteria) error {
	if c.Op != mail.SearchFilter {
		for i := range c.Children {
			if err := p.put(&c.Children[i]); err != nil {
				return err
			}
		}
		return nil
	}
	name, key := c.Text, mail.EntryKey(c.Text)
	value := p.s.filterValue(key)
	if p.count++; value == nil || p.count > maxFilters || len(p.within) == maxFilterDepth || slices.Contains(p.within, key) {
		return undefinedFilter(name, "there is no such filter, or it goes round in circles")
	}
	criteria, uses, err := imapwire.ParseSearchCriteria(value, p.s.srv.limits.After)
	if err != nil {
		return undefinedFilter(name, "the filter holds no search keys")
	}
	p.uses |= uses
	p.within = append(p.within, key)
	if err := p.put(&criteria); err != nil {
		return err
	}
	p.within = p.within[:len(p.within)-1]
	*c = criteria
	return nil
}

func undefinedFilter(name, text string) error { return no("UNDEFINED-FILTER "+name, "%s", text) }

// filterValue gives what is kept under a filter's name, nil if nothing is. One's own
// goes before that of the server.
func (s *session) filterValue(key string) []byte {
	for _, e := range s.account.Metadata() {
		if mail.EntryKey(e.Name) == privateFilters+key {
			return e.Value
		}
	}
	for _, e := range s.srv.metadata.Entries() {
		if mail.EntryKey(e.Name) == sharedFilters+key {
			return e.Value
		}
	}
	return nil
}

// filtersAllowed refuses to keep filters that could not be used (RFC 5466 3.2).
func (s *session) filtersAllowed(entries []mail.Metadata) error {
	for _, e := range entries {
		name, ok := strings.CutPrefix(mail.EntryKey(e.Name), privateFilters)
		if !ok || e.Value == nil {
			continue
		}
		if !imapwire.FilterName(name) {
			return no(codeOf(mail.Cannot), "a filter cannot have that name")
		}
		if _, _, err := imapwire.ParseSearchCriteria(e.Value, s.srv.limits.After); err != nil {
			return no(codeOf(mail.Cannot), "a filter has to hold search keys: %s", err)
		}
	}
	return nil
}
