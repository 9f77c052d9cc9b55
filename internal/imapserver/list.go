package imapserver

import (
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// list is the command LIST (RFC 9051 6.3.9), basic and extended (RFC 5258), with
// STATUS (RFC 5819), metadata (RFC 9590), special uses (RFC 6154) and rights (RFC
// 8440). There are no remote mailboxes: REMOTE selects nothing more.
func (s *session) list(*command) error {
	var args imapwire.ListArgs
	if !s.r.ExpectListArgs(&args) {
		return s.r.Err()
	}
	if err := s.statusAllowed(args.Status); err != nil {
		return err
	}
	if !args.Extended && args.Patterns[0].Empty {
		// The separator and the root, which is empty as names are not rooted.
		s.w.List(&imapwire.ListData{Attributes: []string{`\Noselect`}})
		return nil
	}
	boxes, err := s.mailboxesFor(args.Patterns)
	if err != nil {
		return err
	}
	for _, e := range s.listed(&args, boxes) {
		s.w.List(e.data())
		if e.info == nil || !e.selected {
			continue
		}
		if args.Return&imapwire.ReturnStatus != 0 && e.info.Rights&mail.RightRead != 0 {
			s.writeStatus(e.info, args.Status)
		}
		if args.Return&imapwire.ReturnMetadata != 0 {
			s.listMetadata(e.name, args.Metadata)
		}
		if args.Return&imapwire.ReturnMyRights != 0 {
			s.w.MyRights(e.info.Name, e.info.Rights)
		}
	}
	return nil
}

// mailboxesFor gives the mailboxes that one may look up, sorted by name: one's own,
// and those of others if a pattern may match them.
func (s *session) mailboxesFor(patterns []imapwire.Pattern) ([]account.Info, error) {
	if slices.ContainsFunc(patterns, func(p imapwire.Pattern) bool {
		return p.MatchesBelow(otherUsers) || p.MatchesBelow(sharedOnes) || endsInLevel(&p) &&
			(p.Match(strings.TrimSuffix(otherUsers, "/")) || p.Match(strings.TrimSuffix(sharedOnes, "/")))
	}) {
		return s.everyMailbox()
	}
	return s.home().Mailboxes(), nil
}

// mailboxesBelow gives the mailboxes that one may look up, those of others only if
// one of the names is in their namespaces.
func (s *session) mailboxesBelow(names []string) ([]account.Info, error) {
	if slices.ContainsFunc(names, func(name string) bool {
		space, _ := cutNamespace(name + string(mail.Separator))
		return space != ""
	}) {
		return s.everyMailbox()
	}
	return s.home().Mailboxes(), nil
}

// everyMailbox gives one's own mailboxes and those of others that one may look up.
func (s *session) everyMailbox() ([]account.Info, error) {
	own := s.home().Mailboxes()
	guests, err := s.guests()
	if err != nil {
		return nil, err
	}
	all := own
	for _, g := range guests {
		theirs := g.Mailboxes()
		if len(theirs) > 0 && len(all) == len(own) {
			all = slices.Clone(own) // which is shared
		}
		all = append(all, theirs...)
	}
	if len(all) > len(own) {
		// One's own comes first where both have a name, as in place.
		slices.SortStableFunc(all, compareNames)
		all = slices.CompactFunc(all, func(a, b account.Info) bool { return a.Name == b.Name })
	}
	return all, nil
}

func compareNames(a, b account.Info) int { return strings.Compare(a.Name, b.Name) }

// endsInLevel reports whether a pattern also names levels of the hierarchy that are
// no mailboxes: "if the % wildcard is the last character of a mailbox name argument,
// matching levels of hierarchy are also returned" (RFC 3501 6.3.8).
func endsInLevel(p *imapwire.Pattern) bool { return strings.HasSuffix(p.Text, "%") }

// levels gives an entry for each level above mailboxes of others that a pattern
// names. Above one's own every level is a mailbox.
func (s *session) levels(boxes []account.Info, patterns []imapwire.Pattern) []listEntry {
	var out []listEntry
	known := map[string]bool{}
	for i := range boxes {
		if boxes[i].Account == s.account.ID() {
			known[boxes[i].Name] = true
		}
	}
	for i := range boxes {
		name := boxes[i].Name
		if known[name] || boxes[i].Account == s.account.ID() {
			continue
		}
		known[name] = true
		for at := strings.LastIndexByte(name, mail.Separator); at > 0; at = strings.LastIndexByte(name[:at], mail.Separator) {
			level := name[:at]
			if known[level] {
				continue
			}
			known[level] = true
			if slices.ContainsFunc(patterns, func(p imapwire.Pattern) bool { return endsInLevel(&p) && p.Match(level) }) {
				out = append(out, listEntry{name: level, level: true})
			}
		}
	}
	return out
}

// listEntry is one LIST response.
type listEntry struct {
	name       string
	info       *account.Info // nil: there is no such mailbox
	subscribed bool          // say so
	selected   bool          // meets the selection options: RFC 5819 3 gives the status of no other
	children   bool          // say whether there are any, although there is no such mailbox
	below      []string      // CHILDINFO: the selection options that mailboxes below meet
	oldName    string        // OLDNAME (RFC 9051 6.3.9.7)
	level      bool          // of the hierarchy: no mailbox, and there are some below
}

// listed gives the entries that LIST answers with, sorted by name.
func (s *session) listed(args *imapwire.ListArgs, boxes []account.Info) []listEntry {
	subscribed := s.account.Subscriptions()
	onlySubscribed := args.Select&imapwire.SelectSubscribed != 0
	onlySpecial := args.Select&imapwire.SelectSpecialUse != 0
	showSubscribed := onlySubscribed || args.Return&imapwire.ReturnSubscribed != 0
	meets := func(e *listEntry) bool {
		return (!onlySubscribed || e.subscribed) && (!onlySpecial || e.info != nil && e.info.Use != 0)
	}
	var kin kinship
	if args.Select&imapwire.SelectRecursiveMatch != 0 {
		kin = make(kinship)
	}
	var all []listEntry
	add := func(e listEntry) {
		if e.selected = meets(&e); e.selected {
			kin.note(e.name, matches(args.Patterns, e.name))
		} else if kin == nil {
			return
		}
		all = append(all, e)
	}
	eachName(boxes, subscribed, func(name string, info *account.Info, isSubscribed bool) {
		if info == nil && !onlySubscribed {
			return
		}
		add(listEntry{name: name, info: info, subscribed: isSubscribed && showSubscribed,
			children: args.Return&imapwire.ReturnChildren != 0})
	})
	levels := s.levels(boxes, args.Patterns)
	for _, e := range levels {
		if !onlySubscribed && !onlySpecial {
			add(e)
		}
	}
	all = append(all, kin.missing(all)...)
	options := selectNames(args.Select)
	out := all[:0]
	for _, e := range all {
		if !matches(args.Patterns, e.name) {
			continue
		}
		child := kin[e.name]
		if !e.selected && !child.elsewhere {
			continue // what is below is returned itself (RFC 9051 6.3.9.6)
		}
		if child.meets {
			e.below = options
		}
		out = append(out, e)
	}
	if kin != nil || len(levels) > 0 {
		slices.SortFunc(out, func(a, b listEntry) int { return strings.Compare(a.name, b.name) })
	}
	return out
}

// eachName goes over the names of mailboxes and subscriptions, both sorted, in
// order and each name once.
func eachName(boxes []account.Info, subscribed []string, each func(name string, info *account.Info, isSubscribed bool)) {
	for len(boxes) > 0 || len(subscribed) > 0 {
		switch {
		case len(subscribed) == 0 || len(boxes) > 0 && boxes[0].Name < subscribed[0]:
			each(boxes[0].Name, &boxes[0], false)
			boxes = boxes[1:]
		case len(boxes) == 0 || subscribed[0] < boxes[0].Name:
			each(subscribed[0], nil, true)
			subscribed = subscribed[1:]
		default:
			each(boxes[0].Name, &boxes[0], true)
			boxes, subscribed = boxes[1:], subscribed[1:]
		}
	}
}

func matches(patterns []imapwire.Pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p imapwire.Pattern) bool {
		return p.Text != "" && p.Match(name)
	})
}

func selectNames(options imapwire.ListSelect) []string {
	var names []string
	if options&imapwire.SelectSubscribed != 0 {
		names = append(names, "SUBSCRIBED")
	}
	if options&imapwire.SelectSpecialUse != 0 {
		names = append(names, "SPECIAL-USE")
	}
	return names
}

// kinship says of names what RECURSIVEMATCH wants to know of the names below
// them. The nil kinship says nothing.
type kinship map[string]struct {
	meets     bool // one meets the selection options
	elsewhere bool // and one of these does not match the patterns
}

// note takes in that a name meets the selection options.
func (k kinship) note(name string, matches bool) {
	if k == nil {
		return
	}
	for at := strings.LastIndexByte(name, mail.Separator); at > 0; at = strings.LastIndexByte(name[:at], mail.Separator) {
		known := k[name[:at]]
		if known.meets && (known.elsewhere || matches) {
			return // and so do all above
		}
		known.meets = true
		known.elsewhere = known.elsewhere || !matches
		k[name[:at]] = known
	}
}

// missing gives an entry for each name above others that is none itself: nobody
// made or subscribed to it.
func (k kinship) missing(all []listEntry) []listEntry {
	if k == nil {
		return nil
	}
	known := make(map[string]bool, len(all))
	for i := range all {
		known[all[i].name] = true
	}
	var out []listEntry
	for name := range k {
		if !known[name] {
			out = append(out, listEntry{name: name})
		}
	}
	return out
}

func (e *listEntry) data() *imapwire.ListData {
	return &imapwire.ListData{Attributes: e.attributes(), Mailbox: e.name, ChildInfo: e.below, OldName: e.oldName}
}

// tellOldName tells a client that gave a name which is not normalised how the
// mailbox is called (RFC 9051 6.3.9.7). Before IMAP4rev2 there is no such thing.
func (s *session) tellOldName(supplied string, info *account.Info) {
	if supplied == "" || !s.rev2 {
		return
	}
	e := listEntry{name: info.Name, info: info, oldName: supplied}
	s.w.List(e.data())
}

// attributes are those of RFC 9051 7.3.1. Whether there are mailboxes below and
// what a mailbox is for is said to everybody: it costs nothing, and Apple Mail
// looks for special uses in a plain LIST.
func (e *listEntry) attributes() []string {
	var out []string
	if e.subscribed {
		out = append(out, `\Subscribed`)
	}
	switch {
	case e.level:
		return append(out, `\Noselect`, `\HasChildren`)
	case e.info == nil:
		out = append(out, `\NonExistent`)
		if e.children {
			out = append(out, `\HasNoChildren`)
		}
		return out
	case e.info.HasChildren:
		out = append(out, `\HasChildren`)
	default:
		out = append(out, `\HasNoChildren`)
	}
	return append(out, e.info.Use.Names()...)
}
