package imapwire

import (
	"slices"

	"postern/internal/mail"
)

// FetchKind is what a FetchItem asks for.
type FetchKind uint8

// The items of FETCH. Which of them a session may ask for is for the server to
// say.
const (
	FetchEnvelope FetchKind = iota + 1
	FetchFlags
	FetchInternalDate
	FetchSize // RFC822.SIZE
	FetchBody // BODY: the structure without extension data
	FetchBodyStructure
	FetchUID
	FetchModSeq       // RFC 7162
	FetchEmailID      // RFC 8474
	FetchThreadID     // RFC 8474
	FetchSaveDate     // RFC 8514
	FetchPreview      // RFC 8970
	FetchRFC822       // RFC 3501: BODY[] under another name
	FetchRFC822Header // RFC 3501: BODY.PEEK[HEADER] under another name
	FetchRFC822Text   // RFC 3501: BODY[TEXT] under another name
	FetchSection      // BODY[...]
	FetchBinary       // BINARY[...] (RFC 3516)
	FetchBinarySize   // BINARY.SIZE[...]
)

var fetchNames = [...]string{
	FetchEnvelope: "ENVELOPE", FetchFlags: "FLAGS", FetchInternalDate: "INTERNALDATE",
	FetchSize: "RFC822.SIZE", FetchBody: "BODY", FetchBodyStructure: "BODYSTRUCTURE", FetchUID: "UID",
	FetchModSeq: "MODSEQ", FetchEmailID: "EMAILID", FetchThreadID: "THREADID", FetchSaveDate: "SAVEDATE",
	FetchPreview: "PREVIEW", FetchRFC822: "RFC822", FetchRFC822Header: "RFC822.HEADER",
	FetchRFC822Text: "RFC822.TEXT", FetchSection: "BODY", FetchBinary: "BINARY",
	FetchBinarySize: "BINARY.SIZE",
}

// FetchItem is one item a FETCH asks for.
type FetchItem struct {
	Kind    FetchKind
	Peek    bool    // do not set \Seen; FetchRFC822Header always has it
	Lazy    bool    // FetchPreview: only if it is at hand
	Section Section // FetchSection; of FetchBinary and FetchBinarySize the Part

	// Partial says that octets from Offset on, at most Count of them, were asked
	// for; neither is above 2^63-1.
	Partial       bool
	Offset, Count int64
}

// SetsSeen reports whether fetching the item sets \Seen (RFC 9051 6.4.5).
func (i *FetchItem) SetsSeen() bool {
	switch i.Kind {
	case FetchRFC822, FetchRFC822Text, FetchSection, FetchBinary:
		return !i.Peek
	}
	return false
}

// AppendName writes the name under which the item is answered:
// "BODY[1.HEADER]<0>".
func (i *FetchItem) AppendName(dst []byte) []byte {
	dst = append(dst, fetchNames[i.Kind]...)
	switch i.Kind {
	case FetchSection, FetchBinary, FetchBinarySize:
		dst = i.Section.append(dst)
	}
	if i.Partial {
		dst = append(dst, '<')
		dst = appendUint(dst, uint64(i.Offset))
		dst = append(dst, '>')
	}
	return dst
}

// FetchArgs are the arguments of FETCH and UID FETCH.
type FetchArgs struct {
	Set   mail.NumSet
	Items []FetchItem // macros written out, each answer once

	HasChangedSince bool // RFC 7162 3.1.4.1
	ChangedSince    mail.ModSeq
	Vanished        bool // RFC 7162 3.2.6
	HasPartial      bool // RFC 9394 3.3
	Partial         PartialRange
	Other           []Param // what comes after
}

// ExpectFetchArgs demands the arguments of FETCH or UID FETCH.
func (r *Reader) ExpectFetchArgs(a *FetchArgs) bool {
	*a = FetchArgs{}
	if !r.ExpectSP() || !r.ExpectNumSet(&a.Set) || !r.ExpectSP() {
		return false
	}
	lone := r.next() != '('
	var params []Param
	if !r.ExpectFetchItems(&a.Items) || r.SP() && !r.ExpectParams(&params) {
		return false
	}
	if lone && lazily(params) && len(a.Items) == 1 && a.Items[0].Kind == FetchPreview {
		a.Items[0].Lazy, params = true, nil
		if r.SP() && !r.ExpectParams(&params) {
			return false
		}
	}
	for _, p := range params {
		switch p.Name {
		case "CHANGEDSINCE":
			n, ok := p.Value.Number()
			if !ok || a.HasChangedSince {
				return r.wrong("one mod-sequence", "something else")
			}
			a.HasChangedSince, a.ChangedSince = true, mail.ModSeq(n)
		case "VANISHED":
			if p.Value != nil {
				return r.wrong("VANISHED", "a value with it")
			}
			a.Vanished = true
		case "PARTIAL":
			if a.HasPartial {
				return r.wrong("PARTIAL once", "it twice")
			}
			if a.Partial, a.HasPartial = parsePartialRange(p.Value); !a.HasPartial {
				return r.wrong("a range of messages", "something else")
			}
		default:
			a.Other = append(a.Other, p)
		}
	}
	return r.ExpectCRLF()
}

// lazily reports whether these are the modifiers of PREVIEW (RFC 8970 6) and not of
// FETCH: behind a lone PREVIEW both are a list in parentheses.
func lazily(params []Param) bool {
	for _, p := range params {
		if p.Name != "LAZY" || p.Value != nil {
			return false
		}
	}
	return len(params) > 0
}

// ExpectFetchItems demands a macro, one item or a list of items. Items that would
// be answered alike are one: it sets \Seen if one of them does.
func (r *Reader) ExpectFetchItems(dst *[]FetchItem) bool {
	f := fetchItems{items: (*dst)[:0]}
	if r.next() == '(' {
		if !r.list("items to fetch", false, func() bool { return r.fetchItem(&f, false) }) {
			return false
		}
	} else if !r.fetchItem(&f, true) {
		return false
	}
	*dst = f.items
	return true
}

// fetchItems collects items and drops those it has.
type fetchItems struct {
	items []FetchItem
	named map[string]int // where items with a section are, by the name of their answer
	name  []byte
}

func (f *fetchItems) add(items ...FetchItem) {
	for _, item := range items {
		if item.Kind < FetchSection {
			at := slices.IndexFunc(f.items, func(i FetchItem) bool { return i.Kind == item.Kind })
			if at < 0 {
				f.items = append(f.items, item)
				continue
			}
			f.items[at].Peek = f.items[at].Peek && item.Peek
			f.items[at].Lazy = f.items[at].Lazy && item.Lazy
			continue
		}
		if f.named == nil {
			f.named = make(map[string]int)
		}
		// Two partials of one offset have the same name and may differ.
		f.name = appendUint(append(item.AppendName(f.name[:0]), ' '), uint64(item.Count))
		if at, known := f.named[string(f.name)]; known {
			f.items[at].Peek = f.items[at].Peek && item.Peek
			continue
		}
		f.named[string(f.name)] = len(f.items)
		f.items = append(f.items, item)
	}
}

// fetchItem reads one item, or a macro where one may stand.
func (r *Reader) fetchItem(f *fetchItems, macros bool) bool {
	var w wordBuffer
	item := FetchItem{}
	switch word := string(r.word(labelChar, &w)); word {
	case "":
		return r.expected("an item to fetch")
	case "BODY", "BODY.PEEK":
		if item.Peek = word == "BODY.PEEK"; !item.Peek && r.next() != '[' {
			item.Kind = FetchBody
			break
		}
		item.Kind = FetchSection
		if !r.section(&item.Section) || !r.partial(&item) {
			return false
		}
	case "BINARY", "BINARY.PEEK", "BINARY.SIZE":
		item.Kind, item.Peek = FetchBinary, word == "BINARY.PEEK"
		if word == "BINARY.SIZE" {
			item.Kind = FetchBinarySize
		}
		if !r.sectionBinary(&item.Section) || item.Kind == FetchBinary && !r.partial(&item) {
			return false
		}
	case "PREVIEW":
		item.Kind = FetchPreview
		if !r.previewModifier(&item) {
			return false
		}
	case "ALL", "FAST", "FULL":
		if !macros {
			return r.wrong("an item to fetch", "a macro within a list")
		}
		f.add(macro(word)...)
		return r.err == nil
	default:
		if item.Kind, item.Peek = simpleItem(word); item.Kind == 0 {
			return r.wrong("an item to fetch", "an unknown one")
		}
	}
	f.add(item)
	return r.err == nil
}

// simpleItem gives the item a word alone stands for. The names with PEEK are of
// IMAP2bis; Outlook still sends RFC822.PEEK.
func simpleItem(word string) (kind FetchKind, peek bool) {
	switch word {
	case "ENVELOPE":
		return FetchEnvelope, false
	case "FLAGS":
		return FetchFlags, false
	case "INTERNALDATE":
		return FetchInternalDate, false
	case "RFC822.SIZE":
		return FetchSize, false
	case "BODYSTRUCTURE":
		return FetchBodyStructure, false
	case "UID":
		return FetchUID, false
	case "MODSEQ":
		return FetchModSeq, false
	case "EMAILID":
		return FetchEmailID, false
	case "THREADID":
		return FetchThreadID, false
	case "SAVEDATE":
		return FetchSaveDate, false
	case "RFC822", "RFC822.PEEK":
		return FetchRFC822, word == "RFC822.PEEK"
	case "RFC822.HEADER":
		return FetchRFC822Header, true
	case "RFC822.TEXT", "RFC822.TEXT.PEEK":
		return FetchRFC822Text, word == "RFC822.TEXT.PEEK"
	}
	return 0, false
}

// macro gives the items a macro stands for (RFC 9051 6.4.5).
func macro(word string) []FetchItem {
	fast := []FetchItem{{Kind: FetchFlags}, {Kind: FetchInternalDate}, {Kind: FetchSize}}
	switch word {
	case "ALL":
		return append(fast, FetchItem{Kind: FetchEnvelope})
	case "FULL":
		return append(fast, FetchItem{Kind: FetchEnvelope}, FetchItem{Kind: FetchBody})
	}
	return fast
}

// sectionBinary reads the brackets of BINARY, which hold a part's number or
// nothing.
func (r *Reader) sectionBinary(s *Section) bool {
	var dot bool
	return r.ExpectChar('[') && r.partNumber(&s.Part, &dot) &&
		(!dot || r.expected("a part's number")) && r.ExpectChar(']')
}

// partial reads <offset.count> where it stands.
func (r *Reader) partial(item *FetchItem) bool {
	if !r.Char('<') {
		return r.err == nil
	}
	var offset, count uint64
	if !r.ExpectNumber64(&offset) || !r.ExpectChar('.') || !r.ExpectNumber64(&count) {
		return false
	}
	if count == 0 {
		return r.wrong("a number of octets", "zero")
	}
	item.Partial, item.Offset, item.Count = true, int64(offset), int64(count)
	return r.ExpectChar('>')
}

// previewModifier reads (LAZY) behind PREVIEW (RFC 8970 6). In a list of items a
// space and a parenthesis can begin nothing else; behind a lone PREVIEW they may
// begin the modifiers of FETCH: ExpectFetchArgs tells them apart.
func (r *Reader) previewModifier(item *FetchItem) bool {
	if r.depth == 0 || !r.opensAfterSpace() {
		return r.err == nil
	}
	var w wordBuffer
	if !r.ExpectSP() || !r.ExpectChar('(') {
		return false
	}
	for {
		if string(r.word(labelChar, &w)) != "LAZY" {
			return r.wrong("LAZY", "something else")
		}
		item.Lazy = true
		if !r.SP() {
			return r.ExpectChar(')')
		}
	}
}

// opensAfterSpace reports whether a space and a parenthesis are next. It waits
// for the second octet, which every command has.
func (r *Reader) opensAfterSpace() bool {
	if r.next() != ' ' {
		return false
	}
	if r.pos+1 == len(r.buf) {
		r.release()
		ahead, err := r.br.Peek(2)
		if err != nil {
			return r.lost(err)
		}
		if room := r.limit - r.used; len(ahead) > room {
			return r.fatal(tooLong())
		}
		r.buf = ahead
	}
	return r.buf[r.pos+1] == '('
}
