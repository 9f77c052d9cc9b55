package message

import (
	"strings"
	"time"
)

// maxDate is how much of a Date field is looked at; comments count.
const maxDate = 1024

// ParseDate reads the value of a Date field: RFC 5322 3.3, the obsolete forms of
// 4.3 (two-digit years, named zones, comments anywhere), and what is common
// besides: no day of the week or a wrong one, month names in full, "2-Jan-2026",
// no seconds, no zone, no time, and the order of asctime(3).
//
// The time is in the zone that was written. A missing, unknown or impossible
// zone counts as -0000, that is UTC. It is not ok when there is no such day, the
// year is not in 1..9999, or the time is none.
func ParseDate(value string) (t time.Time, ok bool) {
	d := dateReader{words: dateWords(value)}
	d.skipWeekday()
	day, month, ok := d.dayAndMonth()
	if !ok {
		return time.Time{}, false
	}
	// asctime has the year behind the time: Mon Jan  2 15:04:05 2006.
	clock, yearFirst := clockTime{}, true
	if strings.IndexByte(d.peek(), ':') > 0 {
		yearFirst = false
		if clock, ok = parseClock(d.take()); !ok {
			return time.Time{}, false
		}
	}
	zone := ""
	if !yearFirst && !isDigits(d.peek()) {
		zone = d.take() // date(1): Mon Jan  2 15:04:05 CET 2006
	}
	year, ok := parseYear(d.take())
	if !ok || day > daysIn(year, month) {
		return time.Time{}, false
	}
	if yearFirst && d.peek() != "" {
		if clock, ok = parseClock(d.take()); !ok {
			return time.Time{}, false
		}
	}
	if zone == "" {
		zone = d.take()
	}
	loc := parseZone(zone)
	return time.Date(year, month, day, clock.hour, clock.min, clock.sec, 0, loc), true
}

// dateReader hands out the words of a date.
type dateReader struct{ words []string }

func (d *dateReader) peek() string {
	if len(d.words) == 0 {
		return ""
	}
	return d.words[0]
}

func (d *dateReader) take() string {
	w := d.peek()
	if len(d.words) > 0 {
		d.words = d.words[1:]
	}
	return w
}

// dateWords splits a date at white space, commas and hyphens that stand between
// day, month and year, and drops comments.
func dateWords(s string) []string {
	s = s[:min(len(s), maxDate)]
	words := make([]string, 0, 8)
	start := -1
	end := func(i int) {
		if start >= 0 {
			words = append(words, s[start:i])
			start = -1
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			end(i)
			i += commentEnd(s[i:]) - 1
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',':
			end(i)
		case c == '-' && start >= 0 && len(words) < 4:
			// "2-Jan-2026"; a zone's "-" begins a word.
			end(i)
		case (c == '+' || c == '-') && start >= 0:
			end(i) // "10:00:00+0200"
			start = i
		case start < 0:
			start = i
		}
	}
	end(len(s))
	return joinClock(words)
}

// joinClock puts a time together again that had white space or comments around
// its colons (RFC 5322 4.3).
func joinClock(words []string) []string {
	joined := words[:0]
	for _, w := range words {
		if n := len(joined); n > 0 && (w[0] == ':' || strings.HasSuffix(joined[n-1], ":")) {
			joined[n-1] += w
			continue
		}
		joined = append(joined, w)
	}
	return joined
}

func (d *dateReader) skipWeekday() {
	w := strings.TrimRight(d.peek(), ".")
	if w == "" || isDigits(w[:1]) {
		return
	}
	if _, isMonth := parseMonth(w); !isMonth {
		d.take()
	}
}

func (d *dateReader) dayAndMonth() (day int, month time.Month, ok bool) {
	first, second := d.take(), d.take()
	if !isDigits(first) {
		first, second = second, first
	}
	month, ok = parseMonth(second)
	day, isNumber := smallNumber(first, 2)
	return day, month, ok && isNumber && day >= 1
}

func parseMonth(w string) (time.Month, bool) {
	if len(w) < 3 {
		return 0, false
	}
	for m := time.January; m <= time.December; m++ {
		name := m.String()
		if equalFoldASCII(name[:3], w[:3]) {
			return m, true
		}
	}
	return 0, false
}

// parseYear adds the century that RFC 5322 4.3 says is meant.
func parseYear(w string) (int, bool) {
	y, ok := smallNumber(w, 4)
	switch {
	case !ok || len(w) < 2:
		return 0, false
	case len(w) == 2 && y < 50:
		y += 2000
	case len(w) <= 3:
		y += 1900
	}
	return y, y >= 1
}

type clockTime struct{ hour, min, sec int }

func parseClock(w string) (clockTime, bool) {
	h, rest, _ := strings.Cut(w, ":")
	m, s, hasSec := strings.Cut(rest, ":")
	s, _, _ = strings.Cut(s, ".")
	var c clockTime
	var ok [3]bool
	c.hour, ok[0] = smallNumber(h, 2)
	c.min, ok[1] = smallNumber(m, 2)
	c.sec, ok[2] = smallNumber(s, 2)
	if !hasSec {
		ok[2] = true
	}
	c.sec = min(c.sec, 60)
	if c.sec == 60 {
		c.sec = 59 // a leap second; time.Time has none
	}
	return c, ok == [3]bool{true, true, true} && c.hour < 24 && c.min < 60
}

func parseZone(w string) *time.Location {
	if len(w) == 5 && (w[0] == '+' || w[0] == '-') {
		hours, ok1 := smallNumber(w[1:3], 2)
		minutes, ok2 := smallNumber(w[3:], 2)
		if !ok1 || !ok2 || minutes > 59 {
			return time.UTC
		}
		seconds := (hours*60 + minutes) * 60
		if w[0] == '-' {
			seconds = -seconds
		}
		if seconds == 0 {
			return time.UTC
		}
		return time.FixedZone("", seconds)
	}
	var hours int
	switch upper(w) {
	case "EDT":
		hours = -4
	case "EST", "CDT":
		hours = -5
	case "CST", "MDT":
		hours = -6
	case "MST", "PDT":
		hours = -7
	case "PST":
		hours = -8
	default: // UT, GMT, the military letters and all others: RFC 5322 4.3
		return time.UTC
	}
	return time.FixedZone("", hours*3600)
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func isDigits(w string) bool {
	for i := range len(w) {
		if w[i] < '0' || w[i] > '9' {
			return false
		}
	}
	return w != ""
}

// smallNumber reads an unsigned number of at most digits digits.
func smallNumber(w string, digits int) (int, bool) {
	if !isDigits(w) || len(w) > digits {
		return 0, false
	}
	n := 0
	for i := range len(w) {
		n = n*10 + int(w[i]-'0')
	}
	return n, true
}
