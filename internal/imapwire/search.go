package imapwire

import (
	"postern/internal/mail"
	"postern/internal/message"
)

// SearchReturn is a set of the results SEARCH can be asked for (RFC 4731,
// RFC 9051 6.4.4).
type SearchReturn uint8

// The result options.
const (
	ReturnMin SearchReturn = 1 << iota
	ReturnMax
	ReturnAll
	ReturnCount
	ReturnSave      // RFC 5182: keep the result as "$"
	ReturnPartial   // RFC 9394: SearchArgs.Partial
	ReturnRelevancy // RFC 6203
)

// SearchUses is a set of the extensions a search program used. Whether a session
// may is for the server to say.
type SearchUses uint8

// The extensions with search keys of their own.
const (
	UsesWithin   SearchUses = 1 << iota // RFC 5032
	UsesModSeq                          // RFC 7162
	UsesSaveDate                        // RFC 8514
	UsesObjectID                        // RFC 8474
	UsesFuzzy                           // RFC 6203
	UsesFilter                          // RFC 5466
)

// SearchArgs are the arguments of SEARCH and UID SEARCH.
type SearchArgs struct {
	HasReturn bool         // there was RETURN: the answer is ESEARCH
	Return    SearchReturn // ReturnAll for RETURN ()
	Partial   PartialRange // ReturnPartial
	Update    bool         // RFC 5267 4.3: tell how the results change
	Items     []FetchItem  // what is fetched of messages that are new among them (RFC 5465 7)
	Context   bool         // RFC 5267 4.2: a hint
	Other     []Param      // further result options

	Charset  string // as the client named it; "" if it did not
	Criteria mail.Criteria
	Uses     SearchUses
}

// PartialRange is a part of a search's results (RFC 9394 4): from the First to
// the Last result, both counted from 1, or from the end if FromEnd. Either may be
// the greater: it is answered as it was asked for.
type PartialRange struct {
	First, Last uint32
	FromEnd     bool
}

// Of gives the part of count results, in the order in which they are counted from
// the beginning: skip so many and take so many.
func (p PartialRange) Of(count int) (skip, take int) {
	low, high := int64(min(p.First, p.Last)), int64(max(p.First, p.Last))
	from, to := low-1, min(high, int64(count)) // of those counted from p's end
	if from >= to {
		return 0, 0
	}
	if p.FromEnd {
		from = int64(count) - to
	}
	return int(from), int(min(high, int64(count)) - low + 1)
}

// ExpectSearchArgs demands the arguments of SEARCH or UID SEARCH. Texts are turned
// into UTF-8 from the charset they came in; a charset nobody knows is a
// *mail.Error of kind BadCharset.
func (r *Reader) ExpectSearchArgs(a *SearchArgs) bool {
	*a = SearchArgs{}
	if !r.ExpectSP() {
		return false
	}
	var w wordBuffer
	var first []byte
	if isLetter(r.next()) {
		first = r.word(labelChar, &w)
	}
	return r.searchProgram(a, first, &w)
}

// searchProgram reads the result options, the charset and the keys of SEARCH.
// first is the first word, in w, if there is one.
func (r *Reader) searchProgram(a *SearchArgs, first []byte, w *wordBuffer) bool {
	s := searchReader{r: r, charset: "US-ASCII"}
	if string(first) == "RETURN" {
		if !r.ExpectSP() || !r.searchReturn(a) || !r.ExpectSP() {
			return false
		}
		if first = nil; isLetter(r.next()) {
			first = r.word(labelChar, w)
		}
	}
	if string(first) == "CHARSET" {
		if !r.ExpectSP() || !r.ExpectAString(&a.Charset) || !r.ExpectSP() {
			return false
		}
		if !message.KnownCharset(a.Charset) {
			return r.refuse(mail.BadCharset, "unknown charset")
		}
		s.charset, first = a.Charset, nil
	}
	if !s.keys(&a.Criteria, first, '\n') {
		return false
	}
	a.Uses = s.uses
	return r.ExpectCRLF()
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// searchReturn reads the result options.
func (r *Reader) searchReturn(a *SearchArgs) bool {
	var params []Param
	items := func(name string) bool {
		return name != "UPDATE" || !r.opensAfterSpace() || r.ExpectSP() && r.ExpectFetchItems(&a.Items)
	}
	if !r.params(&params, true, items) {
		return r.expected("a list of result options")
	}
	a.HasReturn = true
	for _, p := range params {
		option := resultOption(p.Name)
		switch {
		case (p.Name == "UPDATE" || p.Name == "CONTEXT") && p.Value != nil:
			return r.wrong("a result option", "a value with it")
		case p.Name == "UPDATE":
			a.Update = true
			continue
		case p.Name == "CONTEXT":
			a.Context = true
			continue
		case option == 0:
			a.Other = append(a.Other, p)
			continue
		case option == ReturnPartial:
			if a.Return&ReturnPartial != 0 {
				return r.wrong("PARTIAL once", "it twice") // RFC 9394 3.1
			}
			var ok bool
			if a.Partial, ok = parsePartialRange(p.Value); !ok {
				return r.wrong("a range of results", "something else")
			}
		case p.Value != nil:
			return r.wrong("a result option", "a value with it")
		}
		a.Return |= option
	}
	if a.Return&ReturnPartial != 0 && a.Return&ReturnAll != 0 {
		return r.wrong("ALL or PARTIAL", "both") // RFC 9394 3.1
	}
	if len(params) == 0 {
		a.Return = ReturnAll // RFC 4731 3.1
	}
	return true
}

func resultOption(name string) SearchReturn {
	switch name {
	case "MIN":
		return ReturnMin
	case "MAX":
		return ReturnMax
	case "ALL":
		return ReturnAll
	case "COUNT":
		return ReturnCount
	case "SAVE":
		return ReturnSave
	case "PARTIAL":
		return ReturnPartial
	case "RELEVANCY":
		return ReturnRelevancy
	}
	return 0
}

// parsePartialRange reads 1:500 or -1:-500, either end first.
func parsePartialRange(v *Value) (p PartialRange, ok bool) {
	if v == nil || v.IsList || v.Quoted {
		return p, false
	}
	text := []byte(v.Text)
	ends := [2]uint32{}
	for i := range ends {
		if len(text) > 0 && text[0] == '-' {
			if i == 1 && !p.FromEnd {
				return p, false
			}
			p.FromEnd, text = true, text[1:]
		} else if p.FromEnd {
			return p, false
		}
		digits := 0
		for digits < len(text) && text[digits] != ':' {
			digits++
		}
		if ends[i], ok = parseSeqNumber(text[:digits]); !ok || ends[i] == mail.Star {
			return p, false
		}
		if text = text[digits:]; i == 0 {
			if len(text) == 0 {
				return p, false
			}
			text = text[1:]
		}
	}
	p.First, p.Last = ends[0], ends[1]
	return p, len(text) == 0
}
