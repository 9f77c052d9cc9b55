package imapserver

import (
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// partOf gives the part of a search's results that PARTIAL asks for (RFC 9394
// 3.1), UIDs or numbers.
func partOf(found mail.UIDSet, p imapwire.PartialRange) mail.UIDSet {
	skip, take := p.Of(found.Len())
	_, found = found.Take(skip)
	part, _ := found.Take(take)
	return part
}

// toFetch gives the messages that a FETCH names, in all or as much of them as its
// PARTIAL says. That is a modifier of UID FETCH alone (RFC 9394 3.3).
func (s *session) toFetch(c *command, args *imapwire.FetchArgs) (mail.UIDSet, error) {
	if args.HasPartial && !c.spec.byUID {
		return nil, bad("PARTIAL is for UID FETCH")
	}
	uids, err := s.box.view.Resolve(args.Set, c.spec.byUID)
	if err != nil || !args.HasPartial {
		return uids, err
	}
	return partOf(uids, args.Partial), nil
}

// savedOf is what "$" becomes (RFC 9051 6.4.4.1, table 4; RFC 9394 3.2, table 1).
// COUNT and ALL are about everything that was found, and so is a search without
// options; MIN, MAX and PARTIAL save what they give.
func savedOf(found mail.UIDSet, args *imapwire.SearchArgs) mail.UIDSet {
	const parts = imapwire.ReturnMin | imapwire.ReturnMax | imapwire.ReturnPartial
	if args.Return&parts == 0 || args.Return&(imapwire.ReturnAll|imapwire.ReturnCount) != 0 || found.Empty() {
		return found
	}
	var saved mail.UIDSet
	if args.Return&imapwire.ReturnPartial != 0 {
		saved = partOf(found, args.Partial)
	}
	if args.Return&imapwire.ReturnMin != 0 {
		saved = saved.Union(mail.NewUIDSet(found.Min()))
	}
	if args.Return&imapwire.ReturnMax != 0 {
		saved = saved.Union(mail.NewUIDSet(found.Max()))
	}
	return saved
}
