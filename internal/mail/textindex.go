package mail

// IndexSegment is a part of an account's text index: what the messages with numbers
// from Low up to, but not including, High contain. It is derived data: without it searches take
// longer and find the same.
type IndexSegment struct {
	Body      BodyRef // where it is kept
	Low, High MessageID
	Messages  uint32 // it knows of; others in the range have to be read
	Octets    uint64 // of the body
}

// IndexSet says what the account's text index consists of: the whole list, in the order of
// the messages' numbers. Segments do not overlap.
type IndexSet struct{ Segments []IndexSegment }

func (IndexSet) event() {}
