package imapwire

import (
	"math"
	"strings"

	"postern/internal/mail"
	"postern/internal/message"
)

// searchReader reads a search program (RFC 9051 9, search-key).
type searchReader struct {
	r       *Reader
	charset string // what strings are in
	uses    SearchUses
}

// keys reads search keys up to the octet end, which it leaves; LF stands for the
// end of the line. first is the first key's word if it has been read. More than
// one key are an And.
func (s *searchReader) keys(dst *mail.Criteria, first []byte, end byte) bool {
	r := s.r
	var keys []mail.Criteria
	for {
		var key mail.Criteria
		ok := false
		if len(first) > 0 {
			ok = r.item() && s.named(&key, first)
			first = nil
		} else {
			ok = s.key(&key)
		}
		if !ok {
			return false
		}
		keys = append(keys, key)
		if r.next() != ' ' {
			break
		}
		r.pos++
	}
	if c := r.next(); c != end && (end != '\n' || c != '\r') {
		return r.expected("a space and a search key")
	}
	*dst = keys[0]
	if len(keys) > 1 {
		*dst = mail.Criteria{Op: mail.SearchAnd, Children: keys}
	}
	return true
}

// key reads one key.
func (s *searchReader) key(dst *mail.Criteria) bool {
	r := s.r
	if !r.item() {
		return false
	}
	switch c := r.next(); {
	case c == '(':
		return r.open() && s.keys(dst, nil, ')') && r.shut()
	case c >= '0' && c <= '9', c == '*', c == '$':
		dst.Op = mail.SearchSeq
		return r.ExpectNumSet(&dst.Set)
	case isLetter(c):
		var w wordBuffer
		return s.named(dst, r.word(labelChar, &w))
	}
	return r.expected("a search key")
}

// uidSide reads UIDAFTER or UIDBEFORE (RFC 9738 3.7, which has no grammar for them): a UID that is left out itself.
func (s *searchReader) uidSide(dst *mail.Criteria, after bool) bool {
	var uid uint32
	if !s.r.ExpectSP() || !s.r.ExpectNumber(&uid) {
		return false
	}
	r := mail.NumRange{From: 1, To: uid - 1}
	if after {
		r = mail.NumRange{From: uid + 1, To: math.MaxUint32}
	}
	if !after && uid <= 1 || after && uid == math.MaxUint32 { // nothing is there
		*dst = mail.Criteria{Op: mail.SearchNot, Children: []mail.Criteria{{Op: mail.SearchAnd}}}
		return true
	}
	dst.Op, dst.Set.Ranges = mail.SearchUID, []mail.NumRange{r}
	return true
}

// named reads what follows the word a key begins with.
func (s *searchReader) named(dst *mail.Criteria, word []byte) bool {
	if flag, without := flagKey(word); flag != 0 {
		dst.Op, dst.Flags.System, dst.Without = mail.SearchFlag, flag, without
		return true
	}
	switch string(word) {
	case "ALL":
		dst.Op = mail.SearchAnd
	case "NEW":
		dst.Op = mail.SearchNew
	case "OLD":
		dst.Op = mail.SearchOld
	case "RECENT":
		dst.Op = mail.SearchRecent
	case "NOT":
		dst.Op, dst.Children = mail.SearchNot, make([]mail.Criteria, 1)
		return s.r.ExpectSP() && s.deeper(&dst.Children[0])
	case "FUZZY":
		dst.Op, dst.Children = mail.SearchFuzzy, make([]mail.Criteria, 1)
		s.uses |= UsesFuzzy
		return s.r.ExpectSP() && s.deeper(&dst.Children[0])
	case "FILTER":
		return s.filterKey(dst)
	case "OR":
		return s.or(dst)
	case "KEYWORD", "UNKEYWORD":
		var keyword string
		if !s.r.ExpectSP() || !s.r.keyword(&keyword) {
			return s.r.expected("a keyword")
		}
		dst.Op, dst.Flags.Keywords, dst.Without = mail.SearchFlag, []string{keyword}, word[0] == 'U'
	case "UIDAFTER", "UIDBEFORE":
		return s.uidSide(dst, word[3] == 'A')
	case "UID":
		dst.Op = mail.SearchUID
		return s.r.ExpectSP() && s.r.ExpectNumSet(&dst.Set)
	default:
		return s.textKey(dst, word) || s.dateKey(dst, word) || s.numberKey(dst, word) || s.objectKey(dst, word) ||
			s.r.wrong("a search key", "an unknown one")
	}
	return true
}

func flagKey(word []byte) (flag mail.SystemFlags, without bool) {
	if len(word) > 2 && word[0] == 'U' && word[1] == 'N' {
		word, without = word[2:], true
	}
	switch string(word) {
	case "ANSWERED":
		return mail.Answered, without
	case "DELETED":
		return mail.Deleted, without
	case "DRAFT":
		return mail.Draft, without
	case "FLAGGED":
		return mail.Flagged, without
	case "SEEN":
		return mail.Seen, without
	}
	return 0, false
}

// deeper reads one key within another.
func (s *searchReader) deeper(dst *mail.Criteria) bool {
	if !s.r.enter() || !s.key(dst) {
		return false
	}
	s.r.depth--
	return true
}

// or reads the two keys of OR. A second key that is an OR itself adds to the same
// node: clients write "a or b or c or d" so, and it is no deeper for that.
func (s *searchReader) or(dst *mail.Criteria) bool {
	r := s.r
	dst.Op = mail.SearchOr
	for {
		var key mail.Criteria
		if !r.ExpectSP() || !s.deeper(&key) || !r.ExpectSP() {
			return false
		}
		dst.Children = append(dst.Children, key)
		key = mail.Criteria{}
		if !isLetter(r.next()) {
			if !s.deeper(&key) {
				return false
			}
			dst.Children = append(dst.Children, key)
			return true
		}
		var w wordBuffer
		word := r.word(labelChar, &w)
		if !r.item() {
			return false
		}
		if string(word) == "OR" {
			continue
		}
		if !r.enter() || !s.named(&key, word) {
			return false
		}
		r.depth--
		dst.Children = append(dst.Children, key)
		return true
	}
}

// textKey reads the text of a key that looks for one.
func (s *searchReader) textKey(dst *mail.Criteria, word []byte) bool {
	r := s.r
	switch string(word) {
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		dst.Op, dst.Field = mail.SearchHeader, headerOf(word)
	case "BODY":
		dst.Op = mail.SearchBody
	case "TEXT":
		dst.Op = mail.SearchText
	case "HEADER":
		dst.Op = mail.SearchHeader
		if !r.ExpectSP() || !r.ExpectAString(&dst.Field) {
			return false
		}
	default:
		return false
	}
	return r.ExpectSP() && s.text(&dst.Text)
}

func headerOf(word []byte) string {
	switch string(word) {
	case "BCC":
		return "Bcc"
	case "CC":
		return "Cc"
	case "FROM":
		return "From"
	case "TO":
		return "To"
	}
	return "Subject"
}

// text reads an astring in the program's charset and gives it in UTF-8.
func (s *searchReader) text(dst *string) bool {
	r := s.r
	if tok := r.span(astringChar); len(tok) > 0 {
		*dst = string(tok)
		return true
	}
	var text []byte
	if !r.stringBytes(&text) {
		return r.expected("a string or an atom")
	}
	*dst, _ = message.DecodeCharset(s.charset, text) // it is known: see ExpectSearchArgs
	return true
}

// dateKey reads the day of a key that looks at one.
func (s *searchReader) dateKey(dst *mail.Criteria, word []byte) bool {
	switch string(word) {
	case "BEFORE":
		dst.Op = mail.SearchBefore
	case "ON":
		dst.Op = mail.SearchOn
	case "SINCE":
		dst.Op = mail.SearchSince
	case "SENTBEFORE":
		dst.Op = mail.SearchSentBefore
	case "SENTON":
		dst.Op = mail.SearchSentOn
	case "SENTSINCE":
		dst.Op = mail.SearchSentSince
	case "SAVEDBEFORE":
		dst.Op, dst.Number = mail.SearchSaved, 0
	case "SAVEDON":
		dst.Op, dst.Number = mail.SearchSaved, 1
	case "SAVEDSINCE":
		dst.Op, dst.Number = mail.SearchSaved, 2
	case "SAVEDATESUPPORTED":
		dst.Op = mail.SearchAnd // RFC 8514 4.3: every message, where it is supported
		s.uses |= UsesSaveDate
		return true
	default:
		return false
	}
	if dst.Op == mail.SearchSaved {
		s.uses |= UsesSaveDate
	}
	return s.r.ExpectSP() && s.r.ExpectDate(&dst.Date)
}

// numberKey reads the number of a key that compares with one.
func (s *searchReader) numberKey(dst *mail.Criteria, word []byte) bool {
	r := s.r
	switch string(word) {
	case "LARGER":
		dst.Op = mail.SearchLarger
	case "SMALLER":
		dst.Op = mail.SearchSmaller
	case "OLDER", "YOUNGER":
		dst.Op = mail.SearchOlder
		if word[0] == 'Y' {
			dst.Op = mail.SearchYounger
		}
		s.uses |= UsesWithin
		var seconds uint32
		ok := r.ExpectSP() && r.ExpectNZNumber(&seconds)
		dst.Number = uint64(seconds)
		return ok
	case "MODSEQ":
		dst.Op = mail.SearchModSeq
		s.uses |= UsesModSeq
		return r.ExpectSP() && s.modSeqEntry() && r.ExpectNumber64(&dst.Number)
	default:
		return false
	}
	return r.ExpectSP() && r.ExpectNumber64(&dst.Number)
}

// modSeqEntry reads the entry and its type that may stand before the number of
// MODSEQ. Postern has one mod-sequence for a message, so they say nothing
// (RFC 7162 3.1.5).
func (s *searchReader) modSeqEntry() bool {
	if s.r.next() != '"' {
		return s.r.err == nil
	}
	var entry, kind string
	if !s.r.ExpectString(&entry) || !s.r.ExpectSP() || !s.r.ExpectAtom(&kind) {
		return false
	}
	switch strings.ToLower(kind) {
	case "priv", "shared", "all":
		return s.r.ExpectSP()
	}
	return s.r.wrong("priv, shared or all", "something else")
}
