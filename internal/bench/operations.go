package bench

import "bytes"

func theBig(b *box) string { return b.name }

// operations are what is done to the big mailbox, in an order in which what one leaves behind helps no other more
// than a client's day would.
func operations() []operation {
	fetch := func(name, items, mark string, each func(b *box) func(int, []byte) error) operation {
		return operation{name: name, mailbox: theBig, run: func(b *box, c *client) (int64, error) {
			if each == nil {
				return 0, c.fetch(1, b.n, items, mark, nil)
			}
			return 0, c.fetch(1, b.n, items, mark, each(b))
		}}
	}
	search := func(name, key string, from func(*haystack) *[]*needle, want func(*needle) []int) operation {
		return operation{name: name, mailbox: theBig, run: func(b *box, c *client) (int64, error) {
			n, ok := take(from(b.hay))
			if !ok {
				return 0, errNoNeedle
			}
			return 0, c.search(key+" "+quote(n.word), want(n))
		}}
	}
	rare := func(h *haystack) *[]*needle { return &h.rare }
	inBody := func(n *needle) []int { return n.body }
	return []operation{
		{name: "SELECT", times: 10, run: selectBig},
		{name: "FETCH 1:* (UID FLAGS)", mailbox: theBig, run: fetchFlags},
		fetch("FETCH 1:* (UID ENVELOPE)", "(UID ENVELOPE)", "ENVELOPE (", nil),
		fetch("FETCH 1:* BODYSTRUCTURE", "BODYSTRUCTURE", "BODYSTRUCTURE (", nil),
		fetch("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE and header fields)",
			"(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES IN-REPLY-TO)])",
			"BODY[HEADER.FIELDS", eachSize),
		{name: "SEARCH UNSEEN", times: 10, mailbox: theBig, run: func(b *box, c *client) (int64, error) {
			return 0, c.search("UNSEEN", b.hay.unseen)
		}},
		search("SEARCH SUBJECT, in at most 1 %", "SUBJECT", func(h *haystack) *[]*needle { return &h.subjects },
			func(n *needle) []int { return n.subject }),
		search("SEARCH BODY, in at most 1 %", "BODY", rare, inBody),
		search("SEARCH BODY, in none", "BODY", func(h *haystack) *[]*needle { return &h.none }, inBody),
		search("SEARCH BODY, in half", "BODY", func(h *haystack) *[]*needle { return &h.half }, inBody),
		search("SEARCH TEXT, in at most 1 %", "TEXT", rare, func(n *needle) []int { return n.text }),
		{name: "SORT (REVERSE DATE)", needs: "SORT", mailbox: theBig, run: sortDates},
		{name: "THREAD REFERENCES", needs: "THREAD=REFERENCES", mailbox: theBig, run: threads},
		{name: `STORE 1:* +FLAGS`, mailbox: theBig, before: unflag, run: func(b *box, c *client) (int64, error) {
			return 0, storeAll(b, c)
		}},
		{name: `STORE 1:* +FLAGS.SILENT`, mailbox: theBig, before: unflag, run: func(b *box, c *client) (int64, error) {
			return 0, c.do(`STORE 1:* +FLAGS.SILENT (\Flagged)`, nil)
		}},
		{name: "FETCH 1:1000 BODY.PEEK[] of 10 KB", mailbox: func(b *box) string { return b.bodies }, run: fetchBodies},
	}
}

func selectBig(b *box, c *client) (int64, error) {
	if err := c.do("SELECT "+quote(b.name), nil); err != nil {
		return 0, err
	}
	if c.exists != b.n {
		return 0, wrongf("%s has %d messages, there should be %d", b.name, c.exists, b.n)
	}
	return 0, nil
}

// fetchFlags looks at the order of the UIDs and at \Seen.
func fetchFlags(b *box, c *client) (int64, error) {
	r := newRoll(1, b.n, "FLAGS (")
	r.uids = true
	unseen := 0
	r.each = func(_ int, line []byte) error {
		if !bytes.Contains(line, []byte(`\Seen`)) {
			unseen++
		}
		return nil
	}
	if err := c.do("FETCH 1:* (UID FLAGS)", r.take); err != nil {
		return 0, err
	}
	if err := r.check(); err != nil {
		return 0, err
	}
	if want := len(b.hay.unseen); unseen != want {
		return 0, wrongf("%d messages are without \\Seen, %d were appended so", unseen, want)
	}
	return 0, nil
}

// eachSize looks at the sizes.
func eachSize(b *box) func(int, []byte) error {
	return func(seq int, line []byte) error {
		size, ok := after(line, "RFC822.SIZE ")
		if !ok || size != b.hay.sizes[seq-1] {
			return wrongf("RFC822.SIZE of message %d is %d, appended were %d octets", seq, size, b.hay.sizes[seq-1])
		}
		return nil
	}
}

// sortDates looks whether all are there, from the latest to the earliest.
func sortDates(b *box, c *client) (int64, error) {
	order, err := c.numbers("SORT (REVERSE DATE) UTF-8 ALL", "SORT")
	if err != nil {
		return 0, err
	}
	if err := everyOne(order, b.n); err != nil {
		return 0, err
	}
	for i := 1; i < len(order); i++ {
		if b.hay.dates[order[i]-1] > b.hay.dates[order[i-1]-1] {
			return 0, wrongf("SORT (REVERSE DATE) has message %d before the later %d", order[i-1], order[i])
		}
	}
	return 0, nil
}

// threads looks whether every message is in the answer once, and a message behind the one it answers.
func threads(b *box, c *client) (int64, error) {
	var order []int
	err := c.do("THREAD REFERENCES UTF-8 ALL", func(line []byte) error {
		rest, ok := bytes.CutPrefix(line, []byte("* THREAD"))
		if !ok {
			return nil
		}
		for i := 0; i < len(rest); i++ {
			if n, digits := number(rest[i:]); digits > 0 {
				order = append(order, n)
				i += digits
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return 0, everyOne(order, b.n)
}

// everyOne says whether 1 to n stand in a list once each.
func everyOne(list []int, n int) error {
	seen := make([]bool, n+1)
	for _, k := range list {
		if k < 1 || k > n || seen[k] {
			return wrongf("message %d is listed twice or does not exist", k)
		}
		seen[k] = true
	}
	if len(list) != n {
		return wrongf("%d of %d messages are listed", len(list), n)
	}
	return nil
}

// unflag takes \Flagged from all, so that setting it changes all.
func unflag(_ *box, c *client) error { return c.do(`STORE 1:* -FLAGS.SILENT (\Flagged)`, nil) }

func storeAll(b *box, c *client) error {
	r := newRoll(1, b.n, `\Flagged`)
	if err := c.do(`STORE 1:* +FLAGS (\Flagged)`, r.take); err != nil {
		return err
	}
	return r.check()
}
