package search

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// threadsOf threads a mailbox; UIDs are places plus one.
func threadsOf(t testing.TB, a mail.ThreadAlgorithm, mailbox []Heading) mail.Threads {
	t.Helper()
	threader := NewThreader(a, 0)
	for i := range mailbox {
		if err := threader.Add(mail.UID(i+1), &mailbox[i]); err != nil {
			t.Fatal(err)
		}
	}
	return threader.Threads()
}

// mailboxOf makes messages of their Message-ID, References and subject. Each is sent an hour after the one before it.
func mailboxOf(letters ...[3]string) []Heading {
	var mailbox []Heading
	for i, l := range letters {
		mailbox = append(mailbox, Heading{MessageID: l[0], References: l[1], Subject: l[2], Sent: int64(i) * 3600})
	}
	return mailbox
}

// Expected threads are worked out from the steps of RFC 5256 3 that the names tell.
func TestThreadReferences(t *testing.T) {
	tests := []struct {
		name, want string
		mailbox    []Heading
	}{
		{"nothing", "", nil},
		{"no references", "(1)(2)", mailboxOf([3]string{"<a@x>", "", "one"}, [3]string{"<b@x>", "", "two"})},
		{"a reply to a reply", "(1 2 3)", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "<a@x>", "Re: s"}, [3]string{"<c@x>", "<a@x> <b@x>", "Re: s"})},
		{"two replies", "(1 (2)(3))", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "<a@x>", "Re: s"}, [3]string{"<c@x>", "<a@x>", "Re: s"})},
		{"a reply that came first", "(2 1)", mailboxOf([3]string{"<b@x>", "<a@x>", "s"}, [3]string{"<a@x>", "", "s"})},
		{"3: two replies to what is not there", "((1)(2))", mailboxOf(
			[3]string{"<b@x>", "<a@x>", "u"}, [3]string{"<c@x>", "<a@x>", "v"})},
		{"3: one reply to what is not there", "(1)", mailboxOf([3]string{"<b@x>", "<a@x>", "u"})},
		{"3: a dummy between messages", "(1 2)", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<c@x>", "<a@x> <b@x>", "t"})},
		{"3: a dummy below a dummy", "((1)(2)(3))", mailboxOf(
			[3]string{"<c@x>", "<a@x> <b@x>", "s"}, [3]string{"<d@x>", "<a@x> <b@x>", "t"}, [3]string{"<e@x>", "<a@x>", "u"})},
		{"3: what is left of a dummy is one message", "(1 2)", mailboxOf(
			[3]string{"<c@x>", "<a@x> <b@x>", "s"}, [3]string{"<d@x>", "<c@x>", "t"})},
		{"1: the same Message-ID twice", "(1 3)(2)", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<a@x>", "", "t"}, [3]string{"<b@x>", "<a@x>", "u"})},
		{"1: quoted or not is the same", "(1 2)", mailboxOf(
			[3]string{`<"a"@x>`, "", "s"}, [3]string{"<b@x>", "<a@x>", "t"})},
		{"1.A: a link that exists stays", "(1 2 3)(4)", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "<a@x>", "s2"}, [3]string{"<c@x>", "<z@x> <b@x>", "s3"},
			[3]string{"<z@x>", "", "s4"})},
		{"1.B: a message's own references count", "(1)(3 4 2)", mailboxOf(
			[3]string{"<z@x>", "", "z"}, [3]string{"<c@x>", "<z@x> <b@x> <n@x>", "c"},
			[3]string{"<a@x>", "", "a"}, [3]string{"<b@x>", "<a@x>", "b"})},
		{"1.B: without references of its own it has no parent", "(2 1)(3)", mailboxOf(
			[3]string{"<a@x>", "<c@x> <b@x> <q@x>", "a"}, [3]string{"<b@x>", "", "b"}, [3]string{"<c@x>", "", "c"})},
		{"a loop of two", "(2 1)", mailboxOf([3]string{"<a@x>", "<b@x>", "s"}, [3]string{"<b@x>", "<a@x>", "t"})},
		{"itself", "(1)", mailboxOf([3]string{"<a@x>", "<a@x>", "s"})},
		{"4: heads by date", "(2)(1)", []Heading{{MessageID: "<a@x>", Subject: "s", Sent: 9}, {MessageID: "<b@x>", Subject: "t", Sent: 3}}},
		{"4: one date, by number", "(1)(2)", []Heading{{Subject: "s", Sent: 9}, {Subject: "t", Sent: 9}}},
		{"5: a reply by its subject", "(1 2)", mailboxOf([3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "", "Re: S"})},
		{"5: a reply that is older", "(2 1)", mailboxOf([3]string{"<a@x>", "", "Re: s"}, [3]string{"<b@x>", "", "s"})},
		{"5: two of a subject, none a reply", "((1)(2))", mailboxOf([3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "", "s"})},
		{"5: three of a subject", "((1)(2)(3))", mailboxOf(
			[3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "", "s"}, [3]string{"<c@x>", "", "s"})},
		{"5: two replies without what they reply to", "((1)(2))", mailboxOf(
			[3]string{"<a@x>", "", "Re: s"}, [3]string{"<b@x>", "", "Re: s"})},
		{"5: no subject is no common one", "(1)(2)(3)", mailboxOf(
			[3]string{"<a@x>", "", ""}, [3]string{"<b@x>", "", "Re:"}, [3]string{"<c@x>", "", ""})},
		{"5: a dummy takes a message of its subject", "((1)(2)(3))", mailboxOf(
			[3]string{"<b@x>", "<a@x>", "s"}, [3]string{"<c@x>", "<a@x>", "other"}, [3]string{"<d@x>", "", "s"})},
		{"5: two dummies", "((1)(2)(3)(4))", mailboxOf(
			[3]string{"<b@x>", "<a@x>", "s"}, [3]string{"<c@x>", "<a@x>", "s"},
			[3]string{"<e@x>", "<d@x>", "s"}, [3]string{"<f@x>", "<d@x>", "s"})},
		{"6: children by date", "(1 (3)(2))", []Heading{{MessageID: "<a@x>", Subject: "s"},
			{References: "<a@x>", Sent: 8, Subject: "Re: s"}, {References: "<a@x>", Sent: 7, Subject: "Re: s"}}},
		{"In-Reply-To, its first", "(1 3)(2)", []Heading{{MessageID: "<a@x>", Subject: "s"}, {MessageID: "<b@x>", Subject: "t"},
			{InReplyTo: `Your "mail" <a@x> of <b@x>`, Subject: "u"}}},
		{"In-Reply-To where References say nothing", "(1 2)", []Heading{{MessageID: "<a@x>", Subject: "s"},
			{InReplyTo: "<a@x>", References: "nonsense", Subject: "u"}}},
	}
	for _, tt := range tests {
		if got := threadsText(threadsOf(t, mail.ThreadReferences, tt.mailbox)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestThreadOrderedSubject(t *testing.T) {
	tests := []struct {
		name, want string
		mailbox    []Heading
	}{
		{"no grandchildren", "(1 (2)(4))(3)", mailboxOf([3]string{"", "", "a"}, [3]string{"", "", "Re: A"}, [3]string{"", "", "b"},
			[3]string{"", "", "[fwd: a]"})},
		{"by date, threads by their first", "(3 1)(2)", []Heading{{Subject: "a", Sent: 9}, {Subject: "b", Sent: 5}, {Subject: "a", Sent: 4}}},
		{"one date, by number", "(1)(2)", []Heading{{Subject: "b", Sent: 5}, {Subject: "a", Sent: 5}}},
		{"no subject is a subject too", "(1 2)", []Heading{{}, {Subject: "Re:"}}},
	}
	for _, tt := range tests {
		if got := threadsText(threadsOf(t, mail.ThreadOrderedSubject, tt.mailbox)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestThreadRefs(t *testing.T) {
	mailbox := mailboxOf([3]string{"<a@x>", "", "s"}, [3]string{"<b@x>", "", "s"}, [3]string{"<c@x>", "<a@x>", "s"},
		[3]string{"<e@x>", "<d@x>", "s"}, [3]string{"<f@x>", "<d@x>", "s"}, [3]string{"<g@x>", "<b@x>", "s"})
	if got, want := threadsText(threadsOf(t, mail.ThreadRefs, mailbox)), "(1 3)((4)(5))(2 6)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	mailbox[0].Sent = 100 * 3600 // the latest, though it is the head
	if got, want := threadsText(threadsOf(t, mail.ThreadRefs, mailbox)), "((4)(5))(2 6)(1 3)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// drawMailbox draws messages that refer to each other, to themselves and to others
// that are not there, in loops too.
func drawMailbox(t *rapid.T) []Heading {
	id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("<%d@x>", rapid.IntRange(0, 9).Draw(t, "id")) })
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Heading {
		h := Heading{
			Sent:    int64(rapid.IntRange(0, 5).Draw(t, "sent")),
			Subject: rapid.SampledFrom([]string{"", "a", "A", "b", "Re: a", "re: B", "[fwd: c]", "c (fwd)", "c"}).Draw(t, "subject"),
		}
		if rapid.IntRange(0, 5).Draw(t, "has id") > 0 {
			h.MessageID = id.Draw(t, "own")
		}
		h.References = strings.Join(rapid.SliceOfN(id, 0, 5).Draw(t, "references"), " ")
		h.InReplyTo = strings.Join(rapid.SliceOfN(id, 0, 2).Draw(t, "in-reply-to"), " ")
		return h
	}), 0, 16).Draw(t, "mailbox")
}

func TestThreadsAgainstThePlainOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mailbox := drawMailbox(t)
		for a, plain := range map[mail.ThreadAlgorithm]func([]Heading) *plainNode{
			mail.ThreadReferences: plainReferences, mail.ThreadOrderedSubject: plainOrderedSubject, mail.ThreadRefs: plainRefs,
		} {
			threader := NewThreader(a, 0)
			for i := range mailbox {
				if err := threader.Add(mail.UID(i+1), &mailbox[i]); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := threadsText(threader.Threads()), plain(mailbox).text(); got != want {
				t.Fatalf("algorithm %d: %s, want %s", a, got, want)
			}
		}
	})
}

// checkForest goes over threads as far as they reach: every message is there once,
// and dummies only where the type says.
func checkForest(t testing.TB, f mail.Threads, messages int) {
	t.Helper()
	seen := make([]bool, len(f.Nodes))
	found := 0
	open := []int32{f.First}
	for head := true; len(open) > 0; head = len(open) == 1 {
		at := open[len(open)-1]
		if at == mail.NoThread {
			open = open[:len(open)-1]
			continue
		}
		if seen[at] {
			t.Fatalf("node %d is there twice", at)
		}
		seen[at] = true
		node := f.Nodes[at]
		switch {
		case node.Num > 0:
			found++
		case !head && len(open) > 1:
			t.Fatalf("node %d is a dummy within a thread", at)
		case node.Child == mail.NoThread || f.Nodes[node.Child].Next == mail.NoThread:
			t.Fatalf("dummy %d has fewer than two children", at)
		}
		open[len(open)-1] = node.Next
		open = append(open, node.Child)
	}
	if found != messages {
		t.Fatalf("%d messages of %d", found, messages)
	}
}

// FuzzThread makes a mailbox of a text, a message of each line: there is no loop,
// and every message is there once.
func FuzzThread(f *testing.F) {
	f.Add("<a@b>|<b@b> <a@b>|s|1\n<b@b>|<a@b>|Re: s|0\n||s|7")
	f.Add("<a@b>|<a@b>|s|1\n<a@b>|<x@b> <y@b>|s|1\n<c@b>|<x@b>|[fwd: s]|1\n|<y@b> <x@b>||")
	f.Fuzz(func(t *testing.T, text string) {
		var mailbox []Heading
		for line := range strings.SplitSeq(text, "\n") {
			fields := append(strings.Split(line, "|"), "", "", "", "")
			mailbox = append(mailbox, Heading{MessageID: fields[0], References: fields[1], Subject: fields[2],
				Sent: int64(len(fields[3])), InReplyTo: fields[4]})
		}
		for _, a := range []mail.ThreadAlgorithm{mail.ThreadOrderedSubject, mail.ThreadReferences, mail.ThreadRefs} {
			checkForest(t, threadsOf(t, a, mailbox), len(mailbox))
		}
	})
}

// hostileMailboxes are 100,000 messages each that would take time in proportion to
// the square of their number if any step walked along what it has built.
func hostileMailboxes() map[string][]Heading {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	id := func(i int) string { return fmt.Sprintf("<%d@x>", i) }
	mailboxes := map[string][]Heading{}
	add := func(name string, letter func(i int) Heading) {
		for i := range n {
			mailboxes[name] = append(mailboxes[name], letter(i))
		}
	}
	add("a chain", func(i int) Heading { return Heading{MessageID: id(i), References: id(i - 1)} })
	add("a chain from its end", func(i int) Heading { return Heading{MessageID: id(n - i), References: id(n - i - 1)} })
	add("one loop of all", func(i int) Heading { return Heading{MessageID: id(i), References: id((i + 1) % n)} })
	add("loops of two", func(i int) Heading { return Heading{MessageID: id(i), References: id(i ^ 1)} })
	add("a chain that each tries to close", func(i int) Heading {
		return Heading{MessageID: id(i), References: id(i) + id(0) + id(i-1)}
	})
	add("the deepest below which the head is wanted", func(i int) Heading {
		if i < n/2 {
			return Heading{MessageID: id(i + 1), References: id(i)}
		}
		return Heading{References: id(n/2) + id(0) + id(n/2-i%7)}
	})
	add("all reply to one that is not there", func(i int) Heading { return Heading{MessageID: id(i), References: "<z@x>", Subject: "s"} })
	add("one subject", func(i int) Heading { return Heading{MessageID: id(i), Subject: strings.Repeat("Re: ", i%3) + "s"} })
	return mailboxes
}

// TestThreadsOfHostileMailboxes takes seconds if time is linear and hours if not.
func TestThreadsOfHostileMailboxes(t *testing.T) {
	for name, mailbox := range hostileMailboxes() {
		t.Run(name, func(t *testing.T) {
			for _, a := range []mail.ThreadAlgorithm{mail.ThreadReferences, mail.ThreadRefs} {
				checkForest(t, threadsOf(t, a, mailbox), len(mailbox))
			}
		})
	}
}

// One message with 100,000 references takes no more than the first and the last of
// them.
func TestManyReferences(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "<%d@x> ", i)
	}
	mailbox := []Heading{{MessageID: "<0@x>", Subject: "s"}, {MessageID: "<50@x>", Subject: "t"}, {MessageID: "<99999@x>", Subject: "u"},
		{References: b.String(), Subject: "v"}}
	threader := NewThreader(mail.ThreadReferences, 0)
	for i := range mailbox {
		if err := threader.Add(mail.UID(i+1), &mailbox[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := threadsText(threader.Threads()), "(1 3 4)(2)"; got != want {
		t.Errorf("%s, want %s", got, want) // 0 and 99999 are linked, 50 is not among those looked at
	}
	if nodes := len(threader.refs.nodes); nodes > maxReferences+len(mailbox) {
		t.Errorf("%d nodes", nodes)
	}
}

// More references to what is not there than anybody's mail has are refused.
func TestTooManyMissing(t *testing.T) {
	threader := NewThreader(mail.ThreadRefs, 0)
	for i := 0; ; i++ {
		var b strings.Builder
		for j := range maxReferences {
			fmt.Fprintf(&b, "<%d.%d@x>", i, j)
		}
		err := threader.Add(mail.UID(i+1), &Heading{References: b.String()})
		if mail.KindOf(err) == mail.Limit && i >= maxMissing/maxReferences {
			return
		}
		if err != nil || i > maxMissing/maxReferences {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}
