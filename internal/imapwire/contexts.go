package imapwire

import "postern/internal/mail"

// ExpectCancelUpdateArgs demands the arguments of CANCELUPDATE: the tags of searches
// (RFC 5267 4.3.5, 5).
func (r *Reader) ExpectCancelUpdateArgs(tags *[]string) bool {
	*tags = nil
	for {
		var tag string
		if !r.ExpectSP() || !r.item() || !r.ExpectString(&tag) {
			return false
		}
		*tags = append(*tags, tag)
		if r.next() != ' ' {
			return r.ExpectCRLF()
		}
	}
}

// ContextChange is a pair of REMOVEFROM or ADDTO: results that go from or come to a
// position of the list that a client has. Of a SEARCH, whose results are in the order
// of the mailbox, the position is 0 and they are a Set; of a SORT the position is
// that of the first, and they follow each other there in the order they are given.
type ContextChange struct {
	Position uint32
	Set      mail.UIDSet // numbers or UIDs
	Sorted   []uint32    // in place of Set
}

// ContextUpdate is an ESEARCH response that tells how the results of a search with
// UPDATE have changed (RFC 5267 4.3.3, 4.3.4). The client does what it says in the
// order of the fields.
type ContextUpdate struct {
	Tag    string
	UID    bool // the numbers are UIDs
	Remove []ContextChange
	Add    []ContextChange
}

// ContextUpdate writes the response.
func (w *Writer) ContextUpdate(u *ContextUpdate) *Writer {
	w.Raw("* ESEARCH (TAG ").String(u.Tag).Raw(")")
	if u.UID {
		w.Raw(" UID")
	}
	w.contextChanges(" REMOVEFROM (", u.Remove)
	w.contextChanges(" ADDTO (", u.Add)
	return w.CRLF()
}

func (w *Writer) contextChanges(name string, changes []ContextChange) {
	for i := range changes {
		c := &changes[i]
		if i == 0 {
			w.Raw(name)
		} else {
			w.SP()
		}
		w.Num(uint64(c.Position)).SP()
		if c.Sorted != nil {
			w.inOrder(c.Sorted)
		} else {
			w.UIDSet(c.Set)
		}
	}
	if len(changes) > 0 {
		w.Raw(")")
	}
}
