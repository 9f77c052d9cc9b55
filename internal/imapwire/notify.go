package imapwire

import "strings"

// NotifyEvents is a set of the events of NOTIFY (RFC 5465 5).
type NotifyEvents uint16

// The events. Which of them a server has is for the server to say.
const (
	NotifyMessageNew NotifyEvents = 1 << iota
	NotifyMessageExpunge
	NotifyFlagChange
	NotifyAnnotationChange
	NotifyMailboxName
	NotifySubscriptionChange
	NotifyMailboxMetadataChange
	NotifyServerMetadataChange
	NotifyUnknown // one that RFC 5465 does not have

	// NotifyMessageEvents are those about messages, the only ones that SELECTED and
	// SELECTED-DELAYED can have.
	NotifyMessageEvents = NotifyMessageNew | NotifyMessageExpunge | NotifyFlagChange | NotifyAnnotationChange
)

var notifyNames = [...]string{
	"MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange", "MailboxName", "SubscriptionChange",
	"MailboxMetadataChange", "ServerMetadataChange",
}

// Names gives the names of events, for BADEVENT.
func (e NotifyEvents) Names() []string {
	var names []string
	for i, name := range notifyNames {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// NotifyGroup is one event group of NOTIFY SET.
type NotifyGroup struct {
	MailboxFilter
	Events NotifyEvents // none for NONE
	Items  []FetchItem  // of MessageNew; for the selected mailbox alone
}

// NotifyArgs are the arguments of NOTIFY.
type NotifyArgs struct {
	Set    bool // SET, not NONE
	Status bool
	Groups []NotifyGroup
}

// ExpectNotifyArgs demands the arguments of NOTIFY (RFC 5465 8). What the grammar
// says of events in words is seen to here: which of them must be asked for
// together, which are for the selected mailbox alone or not at all, and that one
// group may mean it.
func (r *Reader) ExpectNotifyArgs(a *NotifyArgs) bool {
	*a = NotifyArgs{}
	var w wordBuffer
	if !r.ExpectSP() {
		return false
	}
	switch string(r.word(labelChar, &w)) {
	case "NONE":
		return r.ExpectCRLF()
	case "SET":
		a.Set = true
	default:
		return r.wrong("SET or NONE", "something else")
	}
	if !r.ExpectSP() {
		return false
	}
	if r.next() != '(' {
		if string(r.word(labelChar, &w)) != "STATUS" {
			return r.wrong("STATUS or an event group", "something else")
		}
		if a.Status = true; !r.ExpectSP() {
			return false
		}
	}
	selected := false
	for {
		var g NotifyGroup
		if !r.item() || !r.notifyGroup(&g) {
			return false
		}
		if g.Scope.OfSelected() {
			if selected {
				return r.wrong("one group for the selected mailbox", "another") // RFC 5465 6.1
			}
			selected = true
		}
		a.Groups = append(a.Groups, g)
		if !r.SP() {
			return r.ExpectCRLF()
		}
	}
}

// notifyGroup reads one event group.
func (r *Reader) notifyGroup(g *NotifyGroup) bool {
	if !r.expectOpen(`"(" before an event group`) || !r.mailboxFilter(&g.MailboxFilter, ScopeSubtreeOne) || !r.ExpectSP() {
		return false
	}
	if r.next() == '(' {
		if !r.list("events", false, func() bool { return r.notifyEvent(g) }) {
			return false
		}
	} else {
		var w wordBuffer
		if string(r.word(labelChar, &w)) != "NONE" {
			return r.expected("a list of events or NONE")
		}
	}
	return (r.shut() || r.expected(`")" behind an event group`)) && r.notifyTogether(g)
}

// notifyTogether refuses events that cannot be asked for like that.
func (r *Reader) notifyTogether(g *NotifyGroup) bool {
	const both = NotifyMessageNew | NotifyMessageExpunge
	switch e := g.Events; {
	case e&NotifyMessageEvents != 0 && e&both != both:
		return r.wrong("MessageNew and MessageExpunge, which go together", "others without them") // RFC 5465 5
	case g.Scope.OfSelected() && e&^(NotifyMessageEvents|NotifyUnknown) != 0:
		return r.wrong("events about messages for the selected mailbox", "others") // RFC 5465 6.1
	case !g.Scope.OfSelected() && len(g.Items) > 0:
		return r.wrong("items to fetch for the selected mailbox alone", "some for others") // RFC 5465 8
	}
	return true
}

// notifyEvent reads one event and what MessageNew may have behind it.
func (r *Reader) notifyEvent(g *NotifyGroup) bool {
	event := NotifyUnknown
	var w wordBuffer
	word := string(r.word(atomChar, &w))
	if word == "" {
		return r.expected("an event")
	}
	for i, name := range notifyNames {
		if strings.EqualFold(name, word) {
			event = 1 << i
		}
	}
	g.Events |= event
	if event == NotifyMessageNew && r.opensAfterSpace() {
		return r.ExpectSP() && r.ExpectFetchItems(&g.Items)
	}
	return r.err == nil
}

// MergeFetchItems adds items to others and drops those that would be answered
// alike. Neither list is changed.
func MergeFetchItems(items, more []FetchItem) []FetchItem {
	var f fetchItems
	f.add(items...)
	f.add(more...)
	return f.items
}
