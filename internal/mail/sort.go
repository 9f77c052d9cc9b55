package mail

// SortKey is what SORT compares messages by (RFC 5256 3, RFC 5957 4).
type SortKey uint8

// The sort keys.
const (
	SortArrival     SortKey = iota + 1 // internal date
	SortCc                             // mailbox of the first Cc address
	SortDate                           // sent date
	SortFrom                           // mailbox of the first From address
	SortSize                           // octets
	SortSubject                        // base subject
	SortTo                             // mailbox of the first To address
	SortDisplayFrom                    // the first From address as it is displayed
	SortDisplayTo                      // the first To address as it is displayed
	SortRelevancy                      // how well it meets what is looked for, the best first (RFC 6203 6)
)

// SortCriterion is one of the criteria of SORT; those that come first count first.
type SortCriterion struct {
	Key     SortKey
	Reverse bool // descending
}

// ThreadAlgorithm is how THREAD puts messages together.
type ThreadAlgorithm uint8

// The threading algorithms.
const (
	ThreadOrderedSubject ThreadAlgorithm = iota + 1 // RFC 5256
	ThreadReferences                                // RFC 5256
	ThreadRefs                                      // draft-ietf-morg-inthread
)

// Threads is a forest of messages, as THREAD answers it. Trees may be as deep as
// there are messages: whoever goes over them does not recurse.
type Threads struct {
	First int32 // index of the first thread's first node, NoThread if there is none
	Nodes []ThreadNode
}

// NoThread is in the place of an index where there is no node.
const NoThread = -1

// ThreadNode is one message among Threads. A Num of 0 stands for a message that is
// not there, whose children belong together all the same; only the head of a
// thread is such a one, and it has two children or more.
type ThreadNode struct {
	Num   uint32 // UID or sequence number
	Child int32  // index of the first reply, or NoThread
	Next  int32  // index of the next with the same parent, or NoThread
}
