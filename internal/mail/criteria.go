package mail

// Criteria is a search program (RFC 9051 6.4.4) as a tree. The zero value
// matches nothing in particular and is not valid; ALL is an And without
// children.
type Criteria struct {
	Op       SearchOp
	Children []Criteria // And, Or (two or more), Not, Fuzzy (one)

	Set     NumSet    // SearchSeq, SearchUID
	Flags   Flags     // SearchFlag: the one flag asked for
	Without bool      // SearchFlag: asked to be absent (UNSEEN, UNKEYWORD ...)
	Field   string    // SearchHeader: the field's name
	Text    string    // SearchHeader, SearchBody, SearchText: UTF-8; SearchEmailID, SearchThreadID
	Date    CivilDate // SearchBefore ... SearchSentSince
	Number  uint64    // SearchLarger, SearchSmaller: octets; SearchModSeq; SearchOlder, SearchYounger: seconds
}

// SearchOp says what a node of Criteria looks at.
type SearchOp uint8

// The search operations. FROM, TO, CC, BCC and SUBJECT are SearchHeader: RFC
// 9051 defines them as matching the envelope's field, and an address written in
// a header matches either way.
const (
	SearchAnd SearchOp = iota + 1
	SearchOr
	SearchNot
	SearchSeq        // message sequence numbers
	SearchUID        // unique identifiers
	SearchFlag       // a system flag or keyword, there or not
	SearchRecent     // \Recent in this session (RFC 3501)
	SearchNew        // \Recent and not \Seen (RFC 3501)
	SearchOld        // not \Recent (RFC 3501)
	SearchBefore     // internal date before the day
	SearchOn         // internal date on the day
	SearchSince      // internal date on or after the day
	SearchSentBefore // Date: field before the day
	SearchSentOn
	SearchSentSince
	SearchLarger   // more octets than
	SearchSmaller  // fewer octets than
	SearchHeader   // the field is there and contains the text
	SearchBody     // the text parts of the body contain the text
	SearchText     // the header or the body contains the text
	SearchModSeq   // changed at or after (RFC 7162 3.1.5)
	SearchOlder    // internal date at least so many seconds ago (RFC 5032)
	SearchYounger  // internal date less than so many seconds ago (RFC 5032)
	SearchSaved    // saved date: Number 0 before, 1 on, 2 since the day (RFC 8514)
	SearchEmailID  // EMAILID is the Text (RFC 8474)
	SearchThreadID // THREADID is the Text (RFC 8474)
	SearchFilter   // what is kept under the name Text (RFC 5466); never in what is compiled
	SearchFuzzy    // the one child, whose texts need only be met roughly (RFC 6203)
)

// CivilDate is a day of the calendar without a zone, as SEARCH writes it.
type CivilDate struct {
	Year  int
	Month int // 1 to 12
	Day   int // 1 to 31
}

// Compare orders days.
func (d CivilDate) Compare(e CivilDate) int {
	if d.Year != e.Year {
		return d.Year - e.Year
	}
	if d.Month != e.Month {
		return d.Month - e.Month
	}
	return d.Day - e.Day
}
