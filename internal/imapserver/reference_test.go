package imapserver

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
)

// folded is RFC 5051 as it is written.
func folded(s string) string { return norm.NFKD.String(strings.Map(unicode.ToTitle, s)) }

func has(text, what string) bool { return strings.Contains(folded(text), folded(what)) }

// askedKey is a search key and what it means.
type askedKey struct {
	text  string
	holds func(*letter) bool
}

func drawKey(r *rand.Rand, depth, count int) askedKey {
	word := talkWords[r.IntN(len(talkWords))]
	if r.IntN(2) == 0 {
		word = strings.ToUpper(word)
	}
	quoted := fmt.Sprintf("{%d+}\r\n%s", len(word), word)
	day := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(610))
	date := day.Format("2-Jan-2006")
	before := func(at time.Time) int { // of days as they are written
		return cmp.Compare(at.Format("20060102"), day.Format("20060102"))
	}
	name := people[r.IntN(len(people))]
	number := 300 + r.IntN(900)
	first := 1 + r.IntN(count)
	end := first + r.IntN(count)
	kinds := 17
	if depth < 3 {
		kinds += 6
	}
	switch r.IntN(kinds) {
	case 0:
		return askedKey{"SUBJECT " + quoted, func(l *letter) bool { return has(l.subject, word) }}
	case 1:
		return askedKey{"BODY " + quoted, func(l *letter) bool { return has(l.body, word) }}
	case 2:
		return askedKey{"TEXT " + quoted, func(l *letter) bool { return has(l.subject+"\n"+l.body+"\n"+l.note, word) }}
	case 3:
		return askedKey{"HEADER X-Note " + quoted, func(l *letter) bool { return l.note != "" && has(l.note, word) }}
	case 4:
		return askedKey{"FROM " + name.local + "@", func(l *letter) bool { return has(l.from.mailbox(), name.local+"@") }}
	case 5:
		return askedKey{"TO " + name.host, func(l *letter) bool { return has(l.to.host, name.host) }}
	case 6:
		return askedKey{"BEFORE " + date, func(l *letter) bool { return before(l.arrived) < 0 }}
	case 7:
		return askedKey{"SINCE " + date, func(l *letter) bool { return before(l.arrived) >= 0 }}
	case 8:
		return askedKey{"SENTBEFORE " + date, func(l *letter) bool { return before(l.sent) < 0 }}
	case 9:
		return askedKey{"OR ON " + date + " SENTON " + date, func(l *letter) bool { return before(l.arrived) == 0 || before(l.sent) == 0 }}
	case 10:
		return askedKey{fmt.Sprintf("LARGER %d", number), func(l *letter) bool { return l.size > number }}
	case 11:
		return askedKey{fmt.Sprintf("SMALLER %d", number), func(l *letter) bool { return l.size < number }}
	case 12:
		return askedKey{"FLAGGED", func(l *letter) bool { return l.flags.System&mail.Flagged != 0 }}
	case 13:
		return askedKey{"UNSEEN", func(l *letter) bool { return l.flags.System&mail.Seen == 0 }}
	case 14:
		return askedKey{"KEYWORD $work", func(l *letter) bool { return len(l.flags.Keywords) > 0 }}
	case 15:
		return askedKey{fmt.Sprintf("%d:%d", min(first, count), min(end, count)), func(l *letter) bool { return l.seq >= first && l.seq <= end }}
	case 16:
		return askedKey{fmt.Sprintf("UID %d:%d", first, end), func(l *letter) bool { return l.seq >= first && l.seq <= end }}
	case 17, 18:
		k := drawKey(r, depth+1, count)
		return askedKey{"NOT " + k.text, func(l *letter) bool { return !k.holds(l) }}
	case 19, 20:
		a, b := drawKey(r, depth+1, count), drawKey(r, depth+1, count)
		return askedKey{"OR " + a.text + " " + b.text, func(l *letter) bool { return a.holds(l) || b.holds(l) }}
	default:
		a, b := drawKey(r, depth+1, count), drawKey(r, depth+1, count)
		return askedKey{"(" + a.text + " " + b.text + ")", func(l *letter) bool { return a.holds(l) && b.holds(l) }}
	}
}

// orders are the sort keys and how each compares two letters.
var orders = map[string]func(a, b *letter) int{
	"ARRIVAL":     func(a, b *letter) int { return a.arrived.Compare(b.arrived) },
	"DATE":        func(a, b *letter) int { return a.sent.Compare(b.sent) },
	"SIZE":        func(a, b *letter) int { return cmp.Compare(a.size, b.size) },
	"SUBJECT":     func(a, b *letter) int { return cmp.Compare(folded(a.base), folded(b.base)) },
	"FROM":        func(a, b *letter) int { return cmp.Compare(folded(a.from.local), folded(b.from.local)) },
	"TO":          func(a, b *letter) int { return cmp.Compare(folded(a.to.local), folded(b.to.local)) },
	"CC":          func(a, b *letter) int { return cmp.Compare(folded(a.cc.local), folded(b.cc.local)) },
	"DISPLAYFROM": func(a, b *letter) int { return cmp.Compare(folded(a.from.display()), folded(b.from.display())) },
	"DISPLAYTO":   func(a, b *letter) int { return cmp.Compare(folded(a.to.display()), folded(b.to.display())) },
}

func drawOrder(r *rand.Rand) (text string, compare func(a, b *letter) int) {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range orders {
			if !yield(name) {
				return
			}
		}
	})
	var words []string
	var all []func(a, b *letter) int
	for range 1 + r.IntN(3) {
		name := names[r.IntN(len(names))]
		one := orders[name]
		if r.IntN(2) == 0 {
			words, one = append(words, "REVERSE"), func(a, b *letter) int { return orders[name](b, a) }
		}
		words, all = append(words, name), append(all, one)
	}
	return strings.Join(words, " "), func(a, b *letter) int {
		for _, one := range all {
			if d := one(a, b); d != 0 {
				return d
			}
		}
		return cmp.Compare(a.seq, b.seq)
	}
}

func bySent(a, b *letter) int { return cmp.Or(a.sent.Compare(b.sent), cmp.Compare(a.seq, b.seq)) }

// branch is a message, or none (nil), and its replies.
type branch struct {
	l       *letter
	replies []*branch
}

func (b *branch) first() *letter {
	if b.l != nil {
		return b.l
	}
	return b.replies[0].l
}

// write writes a thread as RFC 5256 4 has it.
func (b *branch) write(out *strings.Builder) {
	if b.l != nil {
		fmt.Fprint(out, b.l.seq)
		if len(b.replies) > 0 {
			out.WriteString(" ")
		}
	}
	for _, reply := range b.replies {
		if len(b.replies) > 1 {
			out.WriteString("(")
		}
		reply.write(out)
		if len(b.replies) > 1 {
			out.WriteString(")")
		}
	}
}

// grown gives the threads of some letters. Every conversation has a subject of its
// own, so that REFERENCES never puts two together, and all its messages name all
// they follow: each hangs below the nearest that was found, or with the others of
// its conversation below none.
func grown(found []*letter, references bool) string {
	branches := map[*letter]*branch{}
	for _, l := range found {
		branches[l] = &branch{l: l}
	}
	tops := map[int]*branch{}
	for _, l := range slices.SortedFunc(slices.Values(found), bySent) {
		at := l.parent
		for at != nil && branches[at] == nil {
			at = at.parent
		}
		top := tops[l.talk]
		switch {
		case references && at != nil:
			branches[at].replies = append(branches[at].replies, branches[l])
		case top == nil:
			tops[l.talk] = &branch{replies: []*branch{branches[l]}}
		case references:
			top.replies = append(top.replies, branches[l])
		default: // ORDEREDSUBJECT: all below the first
			top.replies[0].replies = append(top.replies[0].replies, branches[l])
		}
	}
	var threads []*branch
	for _, top := range tops {
		if len(top.replies) == 1 {
			top = top.replies[0]
		}
		threads = append(threads, top)
	}
	slices.SortFunc(threads, func(a, b *branch) int { return bySent(a.first(), b.first()) })
	var out strings.Builder
	out.WriteString("* THREAD")
	for i, b := range threads {
		if i == 0 {
			out.WriteString(" ")
		}
		out.WriteString("(")
		b.write(&out)
		out.WriteString(")")
	}
	return out.String()
}

// TestAgainstReference asks a mailbox of 10,000 varied messages (1,000 in short tests)
// whatever comes, and compares with what a plain reading of the RFCs answers.
func TestAgainstReference(t *testing.T) {
	count, rounds := 10_000, 80
	if testing.Short() {
		count, rounds = 1_000, 40
	}
	const seed = 5256
	r := rand.New(rand.NewPCG(seed, 1))
	all := letters(r, count)
	w := newWorld(t, nil)
	w.keepIndex()
	w.appendLetters(r, all)
	c := w.selected()
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range rounds {
		key := drawKey(r, 0, count)
		var found []*letter
		for _, l := range all {
			if key.holds(l) {
				found = append(found, l)
			}
		}
		compareReply(t, c, "SEARCH CHARSET UTF-8 "+key.text, numbered("* SEARCH", found))
		order, compare := drawOrder(r)
		compareReply(t, c, fmt.Sprintf("SORT (%s) UTF-8 %s", order, key.text), numbered("* SORT", slices.SortedFunc(slices.Values(found), compare)))
		compareReply(t, c, "THREAD REFERENCES UTF-8 "+key.text, grown(found, true))
		compareReply(t, c, "THREAD ORDEREDSUBJECT UTF-8 "+key.text, grown(found, false))
	}
}

func numbered(head string, found []*letter) string {
	var b strings.Builder
	b.WriteString(head)
	for _, l := range found {
		fmt.Fprintf(&b, " %d", l.seq)
	}
	return b.String()
}

func compareReply(t *testing.T, c *client, command, want string) {
	t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") || len(untagged) != 1 {
		t.Fatalf("%s: %q %s", command, untagged, tagged)
	}
	if got := untagged[0]; got != want {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		from := max(0, at-40)
		t.Fatalf("%s, at %d:\ngot  ...%.120s\nwant ...%.120s", command, at, got[from:], want[from:])
	}
}
