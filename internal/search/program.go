package search

import (
	"slices"
	"strings"
	"time"

	"postern/internal/mail"
)

// maxDepth is how deep Criteria may nest. A client's parser stops long before;
// it keeps the recursion here bounded whoever builds the tree.
const maxDepth = 1000

// Env is what Compile has to know beside the criteria.
type Env struct {
	// Resolve turns a sequence set (or, with byUID, a set of UIDs) into the
	// messages it means in this session; "$" too. view.View.Resolve is one. It
	// is asked once for each set; its error ends Compile.
	Resolve func(set mail.NumSet, byUID bool) (mail.UIDSet, error)

	// Now is the time that OLDER and YOUNGER count from (RFC 5032).
	Now time.Time

	// Account is whose messages are searched: it is part of their EMAILIDs.
	Account mail.AccountID

	// Collation is what texts are compared by (RFC 5255 4.2).
	Collation mail.Collation

	// Relevancy says that the Evaluator is to grade messages that match.
	Relevancy bool
}

// Needs says what a Program may ask of a message's Source.
type Needs struct {
	Summary bool // the Summary
	Body    bool // the octets
}

// Program is a compiled search. It does not change, and may be used by several
// goroutines, each with an Evaluator of its own.
type Program struct {
	root  node
	sent  []sentKey
	field []fieldKey
	text  []textKey

	lookups []Lookup

	threads   bool // a key asks for the thread
	collation mail.Collation
	fuzzyText bool // a key on text is fuzzy
	graded    bool // messages that match are graded: there is a fuzzy key, and Env asks
}

// sentKey, fieldKey and textKey are keys that a row cannot answer.
type sentKey struct {
	op  mail.SearchOp
	day dayNumber
}

type fieldKey struct {
	name   string
	source string // the text as it was given
	lookup int    // its place in Program.lookups; -1: none
	kind   summaryField
	needle needle
	// exact says that the text must be found in the field as it is written; the
	// parts of the addresses that a Summary keeps are not enough.
	exact bool
	fuzzy *fuzzy // nil: no text but the needle's will do
}

type textKey struct {
	header bool // TEXT: header fields count too
	source string
	lookup int
	needle needle
	fuzzy  *fuzzy
}

// kind is what a node of a Program is.
type kind uint8

const (
	isConst kind = iota
	isAnd
	isOr
	isNot
	isRow
	isSent
	isField
	isThread
	isText
)

// node is a node of the compiled tree. Children stand in order of their cost.
type node struct {
	kind     kind
	answer   Answer // isConst
	children []node
	row      rowKey
	thread   mail.ThreadID // isThread
	key      int           // index in Program.sent, field or text
	cost     int
}

// What it costs to ask, roughly in tens of nanoseconds.
const (
	costRow    = 1
	costSet    = 5
	costSent   = 100
	costField  = 200
	costThread = 90
	costText   = 10_000
)

// Compile makes a Program. Criteria that are no valid tree are mail.Invalid,
// those nested deeper than any client's mail.Limit.
func Compile(c mail.Criteria, env Env) (*Program, error) {
	b := builder{program: &Program{collation: env.Collation}, env: env}
	root, err := b.build(&c, 0)
	if err != nil {
		return nil, err
	}
	b.program.root = root
	b.program.noteFuzzy(env.Relevancy)
	b.program.noteLookups()
	return b.program, nil
}

// Needs says what has to be at hand for this program beside rows. Even where it
// does not name the Body, that is asked for in the case of the rare message whose
// Summary keeps less of a field than was written.
func (p *Program) Needs() Needs {
	text := len(p.text) > 0
	needs := Needs{Summary: text || len(p.sent) > 0 || p.threads, Body: text}
	for _, f := range p.field {
		needs.Summary = true
		needs.Body = needs.Body || f.exact || f.kind == notKept
	}
	return needs
}

// Bound gives those of a set of messages outside which nothing can match, so
// that SEARCH UID 4711:* in a large mailbox looks at few rows.
func (p *Program) Bound(all mail.UIDSet) mail.UIDSet { return p.root.bound(all) }

func (n *node) bound(all mail.UIDSet) mail.UIDSet {
	switch n.kind {
	case isConst:
		if n.answer == No {
			return nil
		}
	case isRow:
		if n.row.op == mail.SearchUID || n.row.op == mail.SearchSeq {
			return all.Intersect(n.row.uids)
		}
	case isAnd:
		for i := range n.children {
			all = n.children[i].bound(all)
		}
	case isOr:
		var out mail.UIDSet
		for i := range n.children {
			out = out.Union(n.children[i].bound(all))
			if out.Equal(all) {
				break
			}
		}
		return out
	}
	return all
}

// builder turns Criteria into nodes and collects the keys.
type builder struct {
	program *Program
	env     Env
	fuzzy   bool // what is being built is below FUZZY
}

func (b *builder) build(c *mail.Criteria, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, mail.Errorf(mail.Limit, "search keys are nested too deep")
	}
	switch c.Op {
	case mail.SearchAnd, mail.SearchOr:
		return b.junction(c, depth)
	case mail.SearchNot:
		if len(c.Children) != 1 {
			return node{}, invalid("NOT takes one search key")
		}
		// What is met roughly must not be left out for it: below NOT all is exact.
		child, err := b.within(&c.Children[0], depth, false)
		if err != nil {
			return node{}, err
		}
		switch child.kind {
		case isConst:
			return constant(child.answer.not()), nil
		case isNot:
			return child.children[0], nil
		}
		return node{kind: isNot, children: []node{child}, cost: child.cost}, nil
	case mail.SearchFuzzy:
		if len(c.Children) != 1 {
			return node{}, invalid("FUZZY takes one search key")
		}
		return b.within(&c.Children[0], depth, true)
	case mail.SearchSeq, mail.SearchUID:
		uids, err := b.env.Resolve(c.Set, c.Op == mail.SearchUID)
		if err != nil {
			return node{}, err
		}
		if uids.Empty() {
			return constant(No), nil
		}
		return node{kind: isRow, row: rowKey{op: c.Op, uids: uids}, cost: costSet}, nil
	case mail.SearchSentBefore, mail.SearchSentOn, mail.SearchSentSince:
		b.program.sent = append(b.program.sent, sentKey{c.Op, numberOf(c.Date)})
		return node{kind: isSent, key: len(b.program.sent) - 1, cost: costSent}, nil
	case mail.SearchHeader:
		key := newFieldKey(c.Field, c.Text, b.env.Collation)
		if b.fuzzy {
			key.fuzzy = newFuzzy(c.Text, b.env.Collation)
		}
		b.program.field = append(b.program.field, key)
		return node{kind: isField, key: len(b.program.field) - 1, cost: costField}, nil
	case mail.SearchBody, mail.SearchText:
		return b.textNode(c), nil
	case mail.SearchEmailID:
		return b.emailNode(c.Text), nil
	case mail.SearchThreadID:
		return b.threadNode(c.Text), nil
	}
	return b.rowNode(c)
}

// within builds a child that is fuzzy or is not.
func (b *builder) within(c *mail.Criteria, depth int, fuzzy bool) (node, error) {
	outside := b.fuzzy
	b.fuzzy = fuzzy
	n, err := b.build(c, depth+1)
	b.fuzzy = outside
	return n, err
}

// noteFuzzy notes what the keys need that are left.
func (p *Program) noteFuzzy(graded bool) {
	any := false
	for i := range p.text {
		p.fuzzyText = p.fuzzyText || p.text[i].fuzzy != nil
	}
	for i := range p.field {
		any = any || p.field[i].fuzzy != nil
	}
	p.graded = graded && (any || p.fuzzyText)
}

// junction builds an And or an Or: nested ones of the same kind become one,
// children whose answer is known go or decide, and the rest is put in order of
// cost. Their order does not change what matches.
func (b *builder) junction(c *mail.Criteria, depth int) (node, error) {
	n, decides := node{kind: isAnd}, No
	if c.Op == mail.SearchOr {
		n.kind, decides = isOr, Yes
		if len(c.Children) == 0 {
			return node{}, invalid("OR takes two search keys")
		}
	}
	decided := false
	sent, field, text := len(b.program.sent), len(b.program.field), len(b.program.text)
	for i := range c.Children {
		child, err := b.build(&c.Children[i], depth+1)
		switch {
		case err != nil:
			return node{}, err
		case child.kind == isConst:
			decided = decided || child.answer == decides
		case child.kind == n.kind:
			n.children = append(n.children, child.children...)
		default:
			n.children = append(n.children, child)
		}
	}
	switch {
	case decided:
		b.program.sent = b.program.sent[:sent] // the other children's keys go with them
		b.program.field = b.program.field[:field]
		b.program.text = b.program.text[:text]
		return constant(decides), nil
	case len(n.children) == 0:
		return constant(decides.not()), nil
	case len(n.children) == 1:
		return n.children[0], nil
	}
	slices.SortStableFunc(n.children, func(a, b node) int { return a.cost - b.cost })
	for i := range n.children {
		n.cost += n.children[i].cost
	}
	return n, nil
}

func constant(a Answer) node { return node{kind: isConst, answer: a} }

func invalid(text string) error { return mail.Errorf(mail.Invalid, "%s", text) }

// textNode is BODY or TEXT. The empty string is in every message.
func (b *builder) textNode(c *mail.Criteria) node {
	if c.Text == "" {
		return constant(Yes)
	}
	key := textKey{header: c.Op == mail.SearchText, source: c.Text, needle: newNeedle(c.Text, b.env.Collation)}
	if b.fuzzy {
		key.fuzzy = newFuzzy(c.Text, b.env.Collation)
	}
	b.program.text = append(b.program.text, key)
	return node{kind: isText, key: len(b.program.text) - 1, cost: costText}
}

// emailNode is EMAILID. What no message of the account can have matches none.
func (b *builder) emailNode(text string) node {
	o, ok := mail.ParseEmailObject(text)
	if !ok || o.Account != b.env.Account {
		return constant(No)
	}
	return node{kind: isRow, row: rowKey{op: mail.SearchEmailID, email: o}, cost: costRow}
}

// threadNode is THREADID.
func (b *builder) threadNode(text string) node {
	t, ok := mail.ParseThreadID(text)
	if !ok {
		return constant(No)
	}
	b.program.threads = true
	return node{kind: isThread, thread: t, cost: costThread}
}

func (b *builder) rowNode(c *mail.Criteria) (node, error) {
	k := rowKey{op: c.Op, number: c.Number, day: numberOf(c.Date)}
	switch c.Op {
	case mail.SearchFlag:
		k.system, k.without = c.Flags.System, c.Without
		switch len(c.Flags.Keywords) {
		case 0:
			if k.system == 0 {
				return node{}, invalid("no flag to search for")
			}
		case 1:
			k.keyword = c.Flags.Keywords[0]
		default:
			return node{}, invalid("a search key names one flag")
		}
	case mail.SearchOlder, mail.SearchYounger:
		k.moment = ago(b.env.Now, c.Number)
	case mail.SearchSaved:
		if c.Number >= uint64(len(savedOps)) {
			return node{}, invalid("unknown comparison with the save date")
		}
	case mail.SearchRecent, mail.SearchNew, mail.SearchOld,
		mail.SearchBefore, mail.SearchOn, mail.SearchSince,
		mail.SearchLarger, mail.SearchSmaller, mail.SearchModSeq:
	default:
		return node{}, invalid("unknown search key")
	}
	return node{kind: isRow, row: k, cost: costRow}, nil
}

// newFieldKey prepares HEADER, and FROM, SUBJECT and the like, which are HEADER
// with a name of their own.
func newFieldKey(name, text string, by mail.Collation) fieldKey {
	k := fieldKey{name: name, source: text, kind: keptIn(name), needle: newNeedle(text, by)}
	if k.kind.isAddresses() {
		// A Summary has addresses taken apart: what only the written field has
		// between the parts can only be found there.
		k.exact = strings.ContainsAny(text, "\"\\()<>,;:[]\t\r\n") || strings.TrimSpace(text) != text ||
			strings.Contains(text, "  ")
	}
	return k
}
