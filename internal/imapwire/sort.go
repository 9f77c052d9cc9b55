package imapwire

import (
	"postern/internal/mail"
	"postern/internal/message"
)

// SortArgs are the arguments of SORT and UID SORT (RFC 5256 5, RFC 5267 3).
type SortArgs struct {
	SearchArgs
	Order []mail.SortCriterion // at least one
}

// ThreadArgs are the arguments of THREAD and UID THREAD (RFC 5256 5).
type ThreadArgs struct {
	SearchArgs
	Algorithm mail.ThreadAlgorithm
}

// ExpectSortArgs demands the arguments of SORT or UID SORT.
func (r *Reader) ExpectSortArgs(a *SortArgs) bool {
	*a = SortArgs{}
	if !r.ExpectSP() {
		return false
	}
	if r.next() != '(' {
		var w wordBuffer
		if string(r.word(labelChar, &w)) != "RETURN" {
			return r.expected("a list of sort criteria")
		}
		if !r.ExpectSP() || !r.searchReturn(&a.SearchArgs) || !r.ExpectSP() {
			return false
		}
	}
	ok := r.list("a sort criterion", false, func() bool { return r.sortCriterion(&a.Order) })
	return ok && r.ExpectSP() && r.searchCriteria(&a.SearchArgs)
}

// sortCriterion reads a sort key, perhaps with REVERSE before it.
func (r *Reader) sortCriterion(dst *[]mail.SortCriterion) bool {
	var w wordBuffer
	var c mail.SortCriterion
	word := r.word(labelChar, &w)
	if string(word) == "REVERSE" {
		if c.Reverse = true; !r.ExpectSP() {
			return false
		}
		word = r.word(labelChar, &w)
	}
	if c.Key = sortKey(word); c.Key == 0 {
		return r.wrong("a sort criterion", "something else")
	}
	*dst = append(*dst, c)
	return true
}

func sortKey(word []byte) mail.SortKey {
	switch string(word) {
	case "ARRIVAL":
		return mail.SortArrival
	case "CC":
		return mail.SortCc
	case "DATE":
		return mail.SortDate
	case "DISPLAYFROM":
		return mail.SortDisplayFrom
	case "DISPLAYTO":
		return mail.SortDisplayTo
	case "FROM":
		return mail.SortFrom
	case "RELEVANCY":
		return mail.SortRelevancy
	case "SIZE":
		return mail.SortSize
	case "SUBJECT":
		return mail.SortSubject
	case "TO":
		return mail.SortTo
	}
	return 0
}

// ExpectThreadArgs demands the arguments of THREAD or UID THREAD.
func (r *Reader) ExpectThreadArgs(a *ThreadArgs) bool {
	*a = ThreadArgs{}
	if !r.ExpectSP() {
		return false
	}
	var w wordBuffer
	switch string(r.word(atomChar, &w)) {
	case "ORDEREDSUBJECT":
		a.Algorithm = mail.ThreadOrderedSubject
	case "REFERENCES":
		a.Algorithm = mail.ThreadReferences
	case "REFS":
		a.Algorithm = mail.ThreadRefs
	default:
		return r.wrong("a threading algorithm", "an unknown one")
	}
	return r.ExpectSP() && r.searchCriteria(&a.SearchArgs)
}

// searchCriteria reads what SORT and THREAD have of SEARCH: a charset, which is not
// optional here, and the search keys, to the end of the line.
func (r *Reader) searchCriteria(a *SearchArgs) bool {
	if !r.ExpectAString(&a.Charset) || !r.ExpectSP() {
		return false
	}
	if !message.KnownCharset(a.Charset) {
		return r.refuse(mail.BadCharset, "unknown charset")
	}
	s := searchReader{r: r, charset: a.Charset}
	if !s.keys(&a.Criteria, nil, '\n') {
		return false
	}
	a.Uses = s.uses
	return r.ExpectCRLF()
}

// Sort writes a SORT response (RFC 5256 4). A modseq above 0 is added as RFC 7162
// 3.1.6 says.
func (w *Writer) Sort(numbers []uint32, modseq mail.ModSeq) *Writer {
	w.Raw("* SORT")
	for _, n := range numbers {
		w.SP().Num(uint64(n))
	}
	if modseq > 0 {
		w.Raw(" (MODSEQ ").Num(uint64(modseq)).Raw(")")
	}
	return w.CRLF()
}

// ESort is an ESEARCH response to SORT (RFC 5267 3).
type ESort struct {
	Tag     string
	UID     bool // the numbers are UIDs
	Return  SearchReturn
	Sorted  []uint32     // numbers or UIDs, in order
	Partial PartialRange // of Sorted, for ReturnPartial
	ModSeq  mail.ModSeq  // 0: none
	Scores  []uint8      // of the Sorted: 1 to 100
}

// ESort writes an ESEARCH response whose ALL keeps its order. Ranges in it ascend
// (RFC 5267 3.2).
func (w *Writer) ESort(e *ESort) *Writer {
	w.Raw("* ESEARCH (TAG ").String(e.Tag).Raw(")")
	if e.UID {
		w.Raw(" UID")
	}
	if n := len(e.Sorted); n > 0 {
		if e.Return&ReturnMin != 0 {
			w.Raw(" MIN ").Num(uint64(e.Sorted[0]))
		}
		if e.Return&ReturnMax != 0 {
			w.Raw(" MAX ").Num(uint64(e.Sorted[n-1]))
		}
		if e.Return&ReturnAll != 0 {
			w.Raw(" ALL ").inOrder(e.Sorted)
		}
	}
	if e.Return&ReturnCount != 0 {
		w.Raw(" COUNT ").Num(uint64(len(e.Sorted)))
	}
	if e.Return&ReturnPartial != 0 {
		w.Raw(" PARTIAL (")
		w.buf = e.Partial.append(w.buf)
		if skip, take := e.Partial.Of(len(e.Sorted)); take == 0 {
			w.Raw(" NIL)")
		} else {
			w.SP().inOrder(e.Sorted[skip : skip+take]).Raw(")")
		}
	}
	if e.ModSeq > 0 {
		w.Raw(" MODSEQ ").Num(uint64(e.ModSeq))
	}
	return w.relevancy(e.Return, e.Scores).CRLF()
}

// inOrder writes numbers as a sequence set that keeps their order.
func (w *Writer) inOrder(numbers []uint32) *Writer {
	for i := 0; i < len(numbers); {
		end := i + 1
		for end < len(numbers) && numbers[end] == numbers[end-1]+1 {
			end++
		}
		if i > 0 {
			w.Raw(",")
		}
		w.Num(uint64(numbers[i]))
		if end-i > 1 {
			w.Raw(":").Num(uint64(numbers[end-1]))
		}
		i = end
	}
	return w
}

// Threads writes a THREAD response (RFC 5256 4). It keeps a stack of its own:
// threads nest as deep as there are messages.
func (w *Writer) Threads(t *mail.Threads) *Writer {
	w.Raw("* THREAD")
	if t.First != mail.NoThread {
		w.SP()
	}
	next := []int32{t.First} // at each depth: the sibling to be written next
	for len(next) > 0 {
		deepest := &next[len(next)-1]
		at := *deepest
		if at == mail.NoThread {
			if next = next[:len(next)-1]; len(next) > 0 {
				w.Raw(")") // of the list whose last member has these replies
			}
			continue
		}
		*deepest = t.Nodes[at].Next
		w.Raw("(")
		if replies := w.threadMembers(t, at); replies != mail.NoThread {
			next = append(next, replies)
		} else {
			w.Raw(")")
		}
	}
	return w.CRLF()
}

// threadMembers writes a message and what follows it as long as each has one reply.
// It gives the first of the replies where there are several.
func (w *Writer) threadMembers(t *mail.Threads, at int32) (replies int32) {
	for {
		node := &t.Nodes[at]
		if node.Num > 0 {
			w.Num(uint64(node.Num))
		}
		if node.Child == mail.NoThread {
			return mail.NoThread
		}
		if node.Num > 0 {
			w.SP()
		}
		if t.Nodes[node.Child].Next != mail.NoThread {
			return node.Child
		}
		at = node.Child
	}
}
