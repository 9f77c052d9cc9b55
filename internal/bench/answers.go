package bench

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// wrongAnswer is an answer that cannot be right.
type wrongAnswer struct{ what string }

// Error says what is wrong.
func (e *wrongAnswer) Error() string { return "wrong answer: " + e.what }

func wrongf(format string, args ...any) error { return &wrongAnswer{fmt.Sprintf(format, args...)} }

// isWrong reports whether the server's answer is at fault and not the connection: the run can go on.
func isWrong(err error) bool {
	var wrong *wrongAnswer
	var no *refused
	return errors.As(err, &wrong) || errors.As(err, &no)
}

// numbered reads "* 12 WORD..." and gives the number.
func numbered(line []byte, word string) (int, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("* "))
	if !ok {
		return 0, false
	}
	n, digits := number(rest)
	if digits == 0 || digits == len(rest) || rest[digits] != ' ' || !bytes.HasPrefix(rest[digits+1:], []byte(word)) {
		return 0, false
	}
	return n, true
}

// number reads digits, and says how many.
func number(b []byte) (n, digits int) {
	for digits < len(b) && digits < 10 && b[digits] >= '0' && b[digits] <= '9' {
		n = n*10 + int(b[digits]-'0')
		digits++
	}
	return n, digits
}

// after gives the number behind a word.
func after(line []byte, word string) (int, bool) {
	at := bytes.Index(line, []byte(word))
	if at < 0 {
		return 0, false
	}
	n, digits := number(line[at+len(word):])
	return n, digits > 0
}

// A roll sees to it that FETCH tells of each message from first to last once, with the item that was asked for.
// FETCH responses without the item are news of other sessions' and do not count.
type roll struct {
	first, last int
	item        []byte
	seen        []bool
	count       int
	lastUID     int
	uids        bool // they must come in ascending order
	each        func(seq int, line []byte) error
}

func newRoll(first, last int, item string) *roll {
	return &roll{first: first, last: last, item: []byte(item), seen: make([]bool, max(last-first+1, 0))}
}

// take is for client.do.
func (r *roll) take(line []byte) error {
	seq, ok := numbered(line, "FETCH (")
	if !ok || !bytes.Contains(line, r.item) {
		return nil
	}
	if seq < r.first || seq > r.last {
		return wrongf("FETCH of message %d, asked for were %d to %d", seq, r.first, r.last)
	}
	if r.seen[seq-r.first] {
		return wrongf("message %d was fetched twice", seq)
	}
	r.seen[seq-r.first] = true
	r.count++
	if r.uids {
		uid, ok := after(line, "UID ")
		if !ok || uid <= r.lastUID {
			return wrongf("message %d has UID %d after %d", seq, uid, r.lastUID)
		}
		r.lastUID = uid
	}
	if r.each != nil {
		return r.each(seq, line)
	}
	return nil
}

// check says whether all came.
func (r *roll) check() error {
	if r.count != len(r.seen) {
		return wrongf("%d of %d messages came", r.count, len(r.seen))
	}
	return nil
}

// fetch asks for items of the messages first to last and checks that each comes with mark in its response.
func (c *client) fetch(first, last int, items, mark string, each func(seq int, line []byte) error) error {
	r := newRoll(first, last, mark)
	r.each = each
	if err := c.do(fmt.Sprintf("FETCH %d:%d %s", first, last, items), r.take); err != nil {
		return err
	}
	return r.check()
}

// numbers sends a SEARCH or SORT and gives what its answer lists, in the answer's order. No answer at all is as
// good as an empty one (RFC 3501 servers leave it out when nothing matches).
func (c *client) numbers(command, name string) ([]int, error) {
	var found []int
	err := c.do(command, func(line []byte) error {
		rest, ok := bytes.CutPrefix(line, []byte("* "+name))
		if !ok {
			return nil
		}
		for field := range bytes.FieldsSeq(rest) {
			n, err := strconv.Atoi(string(field))
			if err != nil {
				return wrongf("%s lists %q", name, field)
			}
			found = append(found, n)
		}
		return nil
	})
	return found, err
}

// search compares a SEARCH with what a scan found, both ascending.
func (c *client) search(criteria string, want []int) error {
	got, err := c.numbers("SEARCH "+criteria, "SEARCH")
	if err != nil {
		return err
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return wrongf("SEARCH %s found %d messages, a scan %d (%s)", criteria, len(got), len(want), differ(got, want))
	}
	return nil
}

// differ names the first message that only one of two ascending lists has.
func differ(got, want []int) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want) || i < len(got) && got[i] < want[i]:
			return fmt.Sprintf("%d is too much", got[i])
		case i >= len(got) || got[i] > want[i]:
			return fmt.Sprintf("%d is missing", want[i])
		}
	}
	return "no difference"
}

// section gives the literal of a response that has one.
func section(line []byte) ([]byte, bool) {
	end := bytes.Index(line, []byte("}\r\n"))
	if end < 0 {
		return nil, false
	}
	size, ok := literal(line[:end+3])
	if !ok || len(line) < end+3+size {
		return nil, false
	}
	return line[end+3 : end+3+size], true
}
