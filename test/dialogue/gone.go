package dialogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// numbers reads "3,5:7".
func numbers(set string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(set, ",") {
		low, high, isRange := strings.Cut(part, ":")
		first, err := strconv.Atoi(low)
		if err != nil || first < 1 {
			return nil, fmt.Errorf("%q is no message number", low)
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(high); err != nil || last < first {
				return nil, fmt.Errorf("%q is no range of message numbers", part)
			}
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// awaitGone reads EXPUNGE lines until exactly the messages of the set are removed. The numbers of the set are those
// before the first line; a server may remove them in any order, and each line shifts the numbers behind it (RFC 3501
// 7.4.1).
func (p *player) awaitGone(c *client, e *Expectation) error {
	left, err := numbers(e.Pattern)
	if err != nil {
		return p.failure(e.Line, err.Error())
	}
	var gone []int // numbers as they were at first
	for len(left) > 0 {
		line, err := c.line()
		if err != nil {
			return p.failure(e.Line, fmt.Sprintf("%s\n  want: EXPUNGE of %v", orError(line, err), left))
		}
		text, isExpunge := strings.CutSuffix(line, " EXPUNGE")
		text, isData := strings.CutPrefix(text, "* ")
		now, err := strconv.Atoi(text)
		if !isExpunge || !isData || err != nil {
			return p.failure(e.Line, explain(e, line, fmt.Sprintf("EXPUNGE of %v has not come yet", left)))
		}
		before := now
		for _, n := range gone { // ascending: each one below or at it pushes it up
			if n <= before {
				before++
			}
		}
		at := slices.Index(left, before)
		if at < 0 {
			return p.failure(e.Line, explain(e, line, fmt.Sprintf("that is the message which was number %d", before)))
		}
		left = slices.Delete(left, at, at+1)
		gone = append(gone, before)
		slices.Sort(gone)
	}
	return nil
}
