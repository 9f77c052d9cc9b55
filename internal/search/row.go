package search

import (
	"math"
	"time"

	"postern/internal/mail"
)

// Row is what a mailbox knows of a message without opening it, as the session
// sees it: the flags of a message that is expunged elsewhere may be the
// session's own.
type Row struct {
	mail.Message
	Recent bool // \Recent in this session

	// Known is what an index says of the message, for each of Program.Lookups; nil if
	// there is none.
	Known []Answer
}

// Answer is what can be said of a message so far.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota // more of the message has to be looked at
	No
	Yes
)

func answer(matches bool) Answer {
	if matches {
		return Yes
	}
	return No
}

// not gives the opposite answer.
func (a Answer) not() Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// rowKey is a key that a row answers.
type rowKey struct {
	op      mail.SearchOp
	uids    mail.UIDSet      // SearchSeq, SearchUID
	system  mail.SystemFlags // SearchFlag
	keyword string           // SearchFlag
	without bool             // SearchFlag
	day     dayNumber        // SearchBefore, SearchOn, SearchSince, SearchSaved
	number  uint64           // SearchLarger, SearchSmaller, SearchModSeq, SearchSaved
	moment  int64            // SearchOlder, SearchYounger: seconds since 1970
	email   mail.EmailObject // SearchEmailID
}

func (k *rowKey) matches(r *Row) bool {
	switch k.op {
	case mail.SearchSeq, mail.SearchUID:
		return k.uids.Contains(r.UID)
	case mail.SearchFlag:
		has := r.Flags.System&k.system == k.system && (k.keyword == "" || r.Flags.HasKeyword(k.keyword))
		return has != k.without
	case mail.SearchRecent:
		return r.Recent
	case mail.SearchOld:
		return !r.Recent
	case mail.SearchNew:
		return r.Recent && r.Flags.System&mail.Seen == 0
	case mail.SearchLarger:
		return uint64(r.Size) > k.number
	case mail.SearchSmaller:
		return uint64(r.Size) < k.number
	case mail.SearchModSeq:
		return uint64(r.ModSeq) >= k.number
	case mail.SearchEmailID:
		return r.ID == k.email.Message && mail.EmailOf(k.email.Account, &r.Message) == k.email
	case mail.SearchOlder:
		return r.Date.Unix() <= k.moment
	case mail.SearchYounger:
		return r.Date.Unix() >= k.moment
	case mail.SearchSaved:
		return within(savedOps[k.number], dayOf(r.Saved), k.day)
	}
	return within(k.op, dayOf(r.Date.Unix()+int64(r.Date.ZoneMinutes())*60), k.day)
}

// savedOps is what the Number of a SearchSaved stands for.
var savedOps = [...]mail.SearchOp{mail.SearchBefore, mail.SearchOn, mail.SearchSince}

// within compares a message's day with that of the key.
func within(op mail.SearchOp, day, with dayNumber) bool {
	switch op {
	case mail.SearchBefore, mail.SearchSentBefore:
		return day < with
	case mail.SearchOn, mail.SearchSentOn:
		return day == with
	default: // SearchSince, SearchSentSince
		return day >= with
	}
}

// dayNumber orders days as they are written, those too that no calendar has: a
// client may ask what came before 31-Feb.
type dayNumber int

func numberOf(d mail.CivilDate) dayNumber {
	return dayNumber((d.Year*16+d.Month)*32 + d.Day)
}

func civil(t time.Time) dayNumber {
	year, month, day := t.Date()
	return numberOf(mail.CivilDate{Year: year, Month: int(month), Day: day})
}

// dayOf gives the day of a time on a clock that shows UTC.
func dayOf(unix int64) dayNumber { return civil(time.Unix(unix, 0).UTC()) }

// ago is the moment that many seconds before now, in seconds since 1970.
func ago(now time.Time, seconds uint64) int64 {
	if seconds > math.MaxInt64/2 {
		return math.MinInt64
	}
	return now.Unix() - int64(seconds)
}
