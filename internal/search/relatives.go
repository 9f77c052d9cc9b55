package search

import (
	"crypto/sha256"
	"encoding/binary"

	"postern/internal/mail"
)

// maxRelatives is how many references of one message say which thread it belongs
// to: the first, and the last ones, which are its nearest ancestors.
const maxRelatives = 32

// Relatives is what a message says of the thread it belongs to: its own msg-id and
// those it refers to, the oldest first, each as a digest. They are those that
// THREAD=REFERENCES goes by (RFC 5256 3): of In-Reply-To the first, and only if
// there is none in References. A digest has 63 bits and is not 0.
type Relatives struct {
	Own  uint64 // 0: the message has no msg-id
	Refs []uint64
}

// RelativesOf reads the three fields.
func RelativesOf(messageID, inReplyTo, references string) Relatives {
	var r Relatives
	var ids messageIDs
	ids.of(messageID)
	if id, ok := ids.next(); ok {
		r.Own = digest("msg-id", id)
	}
	ids.of(references)
	for id, ok := ids.next(); ok; id, ok = ids.next() {
		if len(r.Refs) == maxRelatives {
			r.Refs = append(r.Refs[:1], r.Refs[2:]...)
		}
		r.Refs = append(r.Refs, digest("msg-id", id))
	}
	if len(r.Refs) == 0 {
		ids.of(inReplyTo)
		if id, ok := ids.next(); ok {
			r.Refs = append(r.Refs, digest("msg-id", id))
		}
	}
	return r
}

// Thread is the thread a message belongs to if no other is known to: that of the
// oldest it refers to or, if it refers to none, its own.
func (r *Relatives) Thread(email mail.EmailObject) mail.ThreadID {
	switch {
	case len(r.Refs) > 0:
		return mail.ThreadID(r.Refs[0])
	case r.Own != 0:
		return mail.ThreadID(r.Own)
	}
	return mail.ThreadID(digest("message", []byte(email.String())))
}

// digest makes 63 bits of a name of one kind. Two names of one digest would put
// two threads into one; whoever makes such names on purpose could as well have
// written the other's name into References.
func digest(kind string, name []byte) uint64 {
	h := sha256.New()
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write(name)
	var sum [sha256.Size]byte
	return max(binary.BigEndian.Uint64(h.Sum(sum[:0]))>>1, 1)
}
