package search

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"postern/internal/mail"
)

// maxKeyText bounds the folded text that is kept to compare messages by, of all
// of them together: ordinary keys of some million messages.
const maxKeyText = 256 << 20

// Sorter puts messages in the order SORT asks for (RFC 5256, RFC 5957). It keeps a
// key per message and criterion, side by side; comparing two messages reads those
// and allocates nothing.
type Sorter struct {
	columns    []column
	descending bool // texts are in the order opposite to that of their octets
	uids       []mail.UID
	folder     folder
	plain      []byte
}

// column is the keys for one criterion, one of each message.
type column struct {
	mail.SortCriterion
	numbers []uint64 // what is compared, of texts their first octets
	ends    []int    // of texts: where in text each ends
	text    []byte   // folded
}

// NewSorter makes a Sorter that compares texts by a comparator. A criterion whose key was there before cannot decide
// anything and is left out.
func NewSorter(order []mail.SortCriterion, by mail.Comparator) *Sorter {
	s := &Sorter{descending: by.Descending, folder: folder{by: by.Collation}}
	for _, c := range order {
		if !slices.ContainsFunc(s.columns, func(have column) bool { return have.Key == c.Key }) {
			s.columns = append(s.columns, column{SortCriterion: c})
		}
	}
	return s
}

// Needs says what of the Headings has to be filled in.
func (s *Sorter) Needs() Fields {
	var needs Fields
	for i := range s.columns {
		needs |= sortFields(s.columns[i].Key)
	}
	return needs
}

// Add adds a message, in the order of the mailbox. It is mail.Limit if there is
// more text to compare than is worth keeping.
func (s *Sorter) Add(uid mail.UID, h *Heading) error {
	s.uids = append(s.uids, uid)
	for i := range s.columns {
		c := &s.columns[i]
		n, byText := sortNumber(c.Key, h)
		if byText {
			start := len(c.text)
			s.plain = sortText(s.plain[:0], c.Key, h)
			if isValidText(s.plain) {
				c.text = s.folder.flush(s.folder.append(c.text, s.plain))
			} else {
				c.text = append(append(c.text, notText), s.plain...)
			}
			c.ends = append(c.ends, len(c.text))
			n = head(c.text[start:])
			if len(c.text) > maxKeyText {
				return mail.Errorf(mail.Limit, "the messages have too much text to be sorted by")
			}
		}
		c.numbers = append(c.numbers, n)
	}
	return nil
}

// Sorted gives the messages in order. Those that are alike stay as they were
// added: REVERSE does not turn that round (RFC 5256 3).
func (s *Sorter) Sorted() []mail.UID {
	places := make([]int32, len(s.uids))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, s.compare)
	sorted := make([]mail.UID, len(places))
	for i, at := range places {
		sorted[i] = s.uids[at]
	}
	return sorted
}

func (s *Sorter) compare(a, b int32) int {
	for i := range s.columns {
		c := &s.columns[i]
		d := cmp.Compare(c.numbers[a], c.numbers[b])
		if c.ends != nil {
			if d == 0 {
				d = bytes.Compare(c.of(a), c.of(b))
			}
			if s.descending && max(c.numbers[a], c.numbers[b]) < notText<<56 {
				d = -d
			}
		}
		switch {
		case d != 0 && c.Reverse:
			return -d
		case d != 0:
			return d
		}
	}
	return cmp.Compare(a, b)
}

// notText begins the keys of texts that are none: octets that no charset explains.
// They come after all others, by i;octet (RFC 5255 4.6), and no UTF-8 has it.
const notText = 0xFF

func isValidText(plain []byte) bool {
	return utf8.Valid(plain) && !bytes.ContainsRune(plain, utf8.RuneError)
}

// of gives a message's text.
func (c *column) of(i int32) []byte {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}
