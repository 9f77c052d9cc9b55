package search

import (
	"postern/internal/mail"
)

// Place is where in a message a text index finds a text, and the number of the field
// it keeps it under.
type Place uint8

// The places. InHeader has every header field of the message and of what is in it, name
// and all; the ones that follow have what SUBJECT and the like look at of the message's
// own.
const (
	InBody Place = iota
	InHeader
	InSubject
	InFrom
	InTo
	InCc
)

// Lookup is a key of a Program that a text index may answer: a text is in one of
// the places.
type Lookup struct {
	Places []Place
	Text   []byte // folded as the texts of the index are, see Texts

	// Superset says that the key compares in another way than the index: of what is
	// found, nothing is certain, and only the ASCII of Text is certain to be in the index
	// as it stands.
	Superset bool

	// Inexact says that what is found in these places need not be what the key means.
	Inexact bool

	node kind
	key  int
}

// Lookups gives the keys of the program that an index may answer, in the order in which
// Row.Known has the answers. Keys that are met roughly are not among them.
func (p *Program) Lookups() []Lookup { return p.lookups }

// noteLookups notes them, and their places in the keys.
func (p *Program) noteLookups() {
	superset := p.collation != mail.UnicodeCasemap
	for i := range p.text {
		k := &p.text[i]
		k.lookup = -1
		if k.fuzzy != nil {
			continue
		}
		l := Lookup{Places: []Place{InBody}, Text: foldString(k.source, mail.UnicodeCasemap), Superset: superset, node: isText, key: i}
		if k.header {
			l.Places = []Place{InBody, InHeader}
		}
		k.lookup = len(p.lookups)
		p.lookups = append(p.lookups, l)
	}
	for i := range p.field {
		k := &p.field[i]
		k.lookup = -1
		if k.fuzzy != nil || k.source == "" { // the empty string asks whether there is such a field
			continue
		}
		l := Lookup{Text: foldString(k.source, mail.UnicodeCasemap), Superset: superset, node: isField, key: i}
		if place, ok := ownPlace(k.kind); ok && !k.exact {
			l.Places = []Place{place}
		} else {
			l.Places, l.Inexact = []Place{InHeader}, true
		}
		k.lookup = len(p.lookups)
		p.lookups = append(p.lookups, l)
	}
}

// ownPlace gives the place that has what a key on a field of that kind looks at, and
// nothing else.
func ownPlace(kind summaryField) (Place, bool) {
	switch kind {
	case keptSubject:
		return InSubject, true
	case keptFrom:
		return InFrom, true
	case keptTo:
		return InTo, true
	case keptCc:
		return InCc, true
	}
	return 0, false
}

// known is what an index said of a key of the present row.
func (e *Evaluator) known(lookup int) Answer {
	if lookup < 0 || e.row.Known == nil {
		return Unknown
	}
	return e.row.Known[lookup]
}
