package imapserver

import (
	"maps"
	"slices"
	"strings"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
)

// nameNews is one LIST response that NOTIFY owes.
type nameNews struct {
	name    string
	oldName string // OLDNAME; "" for none
}

// tellNames writes LIST for names that were made, deleted or renamed, or whose
// subscription changed (RFC 5465 5.4, 5.5). \Subscribed is said of every name that
// is subscribed to. It gives the moves among them.
func (s *session) tellNames(f *following, changes []boxChange, names []string, boxes []account.Info) (moves []nameNews) {
	for _, news := range s.notify.namesOwed(f, changes, names, boxes) {
		if news.oldName != "" {
			moves = append(moves, news)
		}
		_, subscribed := slices.BinarySearch(names, news.name)
		e := listEntry{name: news.name, info: infoOf(boxes, news.name), subscribed: subscribed, oldName: news.oldName}
		s.w.List(e.data())
	}
	return moves
}

// knownAfter gives what a client that has read the moves takes the names for that
// changed: the mailboxes of before, where the moves have put them.
func knownAfter(changes []boxChange, moves []nameNews) map[string]*account.Info {
	known := map[string]*account.Info{}
	for _, moved := range []bool{false, true} { // what is moved takes the place of what was there
		for _, c := range changes {
			if c.before == nil || c.same() {
				continue
			}
			if name := along(moves, c.before.Name); (name != c.before.Name) == moved {
				known[name] = c.before
			}
		}
	}
	return known
}

// along is where a mailbox is after the moves: one that is moved, or one below.
func along(moves []nameNews, name string) string {
	for _, m := range moves {
		if isAtOrBelow(name, m.oldName) {
			return m.name + name[len(m.oldName):]
		}
	}
	return name
}

// namesOwed works out which LIST responses are owed, such that a client that does
// what they say, in their order, has the names that there are: OLDNAME gives a
// mailbox and all that are below it another name, \NonExistent takes a name away.
func (n *notifying) namesOwed(f *following, changes []boxChange, names []string, boxes []account.Info) []nameNews {
	wants := func(info *account.Info) bool { return n.eventsOfInfo(info)&imapwire.NotifyMailboxName != 0 }
	moves := movesAmong(changes, wants)
	if someStayed(moves, f.boxes, boxes) {
		moves = nil
	}
	owed := map[string]bool{}
	has := knownAfter(changes, moves)
	maps.DeleteFunc(has, func(_ string, info *account.Info) bool { return !wants(info) })
	for _, c := range changes {
		switch {
		case c.same():
			if c.before.HasChildren != c.after.HasChildren && wants(c.after) {
				owed[c.after.Name] = true
			}
		case c.after != nil:
			if known := has[c.after.Name]; (known == nil || known.ID != c.after.ID) && wants(c.after) {
				n.oweName(owed, c.after.Name, boxes)
			}
			delete(has, c.after.Name)
		}
	}
	for name := range has {
		n.oweName(owed, name, boxes)
	}
	for _, name := range changedNames(f.names, names) {
		// SUBSCRIBED means it: it was among the subscriptions before or is now.
		if n.eventsOf(name, true)&imapwire.NotifySubscriptionChange != 0 {
			owed[name] = true
		}
	}
	out := moves
	for name := range owed {
		if !slices.ContainsFunc(moves, func(m nameNews) bool { return m.name == name }) {
			out = append(out, nameNews{name: name})
		}
	}
	slices.SortFunc(out[len(moves):], func(a, b nameNews) int { return strings.Compare(a.name, b.name) })
	return out
}

// oweName notes a name that was made or deleted, and its parent, which is affected
// too (RFC 5465 5.4).
func (n *notifying) oweName(owed map[string]bool, name string, boxes []account.Info) {
	owed[name] = true
	at := strings.LastIndexByte(name, mail.Separator)
	if at <= 0 {
		return
	}
	parent := infoOf(boxes, name[:at])
	if parent != nil && n.eventsOfInfo(parent)&imapwire.NotifyMailboxName != 0 {
		owed[parent.Name] = true
	}
}

// manyMoves is how many mailboxes renamed between two looks are told as renamed.
// There is more than one only if somebody renames faster than we look.
const manyMoves = 16

// movesAmong gives the mailboxes that were renamed and that the client is told of by
// OLDNAME; those that went along with one above them are not among them. It gives
// none where the moves depend on each other, so that in no order they mean to the
// client what they are: the names are then told as made and deleted.
func movesAmong(changes []boxChange, wants func(*account.Info) bool) []nameNews {
	before := map[mail.MailboxID]*account.Info{}
	for _, c := range changes {
		if c.before != nil && !c.same() {
			before[c.before.ID] = c.before
		}
	}
	var all []nameNews
	for _, c := range changes {
		if c.after == nil || c.same() || before[c.after.ID] == nil {
			continue
		}
		if from := before[c.after.ID]; wants(from) || wants(c.after) {
			all = append(all, nameNews{c.after.Name, from.Name})
		}
	}
	slices.SortFunc(all, func(a, b nameNews) int { return strings.Compare(a.oldName, b.oldName) })
	var moves []nameNews
	for _, m := range all {
		if slices.ContainsFunc(moves, func(top nameNews) bool {
			return account.IsBelow(m.oldName, top.oldName) && m.name == top.name+m.oldName[len(top.oldName):]
		}) {
			continue
		}
		if moves = append(moves, m); len(moves) > manyMoves {
			return nil
		}
	}
	for i, a := range moves {
		if related(a.name, a.oldName) {
			return nil
		}
		for _, b := range moves[:i] {
			if related(a.name, b.name) || related(a.name, b.oldName) || related(a.oldName, b.name) || related(a.oldName, b.oldName) {
				return nil
			}
		}
	}
	return moves
}

// someStayed reports whether a mailbox is where it was although one above it was
// renamed: it went away before and came back. A client would take it along.
func someStayed(moves []nameNews, before, after []account.Info) bool {
	for _, m := range moves {
		for i := range before {
			if !account.IsBelow(before[i].Name, m.oldName) {
				continue
			}
			if now := infoOf(after, before[i].Name); now != nil && now.ID == before[i].ID {
				return true
			}
		}
	}
	return false
}

// related reports whether two names are the same or one is below the other.
func related(a, b string) bool { return isAtOrBelow(a, b) || account.IsBelow(b, a) }

func isAtOrBelow(name, top string) bool { return name == top || account.IsBelow(name, top) }

// infoOf finds a mailbox in a list sorted by name; nil if it is not there.
func infoOf(boxes []account.Info, name string) *account.Info {
	at, ok := slices.BinarySearchFunc(boxes, name, func(info account.Info, name string) int { return strings.Compare(info.Name, name) })
	if !ok {
		return nil
	}
	return &boxes[at]
}

// changedNames gives the names that are in one of two sorted lists and not in both.
func changedNames(a, b []string) (changed []string) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			changed, a = append(changed, a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			changed, b = append(changed, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return changed
}
