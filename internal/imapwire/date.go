package imapwire

import (
	"strconv"
	"time"

	"postern/internal/mail"
)

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// Date reads a day, quoted or not: 1-Feb-1994 (RFC 9051 9, date).
func (r *Reader) Date(dst *mail.CivilDate) bool {
	quoted := r.Char('"')
	text := r.span(labelChar)
	if len(text) == 0 && !quoted {
		return false
	}
	d, rest, ok := parseDay(text)
	if !ok || len(rest) > 0 {
		return r.wrong("a date", "something else")
	}
	*dst = d
	return !quoted || r.ExpectChar('"')
}

// ExpectDate demands a day.
func (r *Reader) ExpectDate(dst *mail.CivilDate) bool { return r.Date(dst) || r.expected("a date") }

// DateTime reads a date and time: "17-Jul-1996 02:44:25 -0700", quotes included
// (RFC 9051 9, date-time). A day of one digit may stand without the space before
// it.
func (r *Reader) DateTime(dst *mail.InternalDate) bool {
	if r.next() != '"' {
		return false
	}
	var text []byte
	if !r.quoted(&text) {
		return false
	}
	d, ok := ParseDateTime(text)
	if !ok {
		return r.wrong("a date and time", "something else")
	}
	*dst = d
	return true
}

// ExpectDateTime demands a date and time.
func (r *Reader) ExpectDateTime(dst *mail.InternalDate) bool {
	return r.DateTime(dst) || r.expected("a date and time")
}

// ParseDateTime reads text as a date-time without its quotes.
func ParseDateTime(text []byte) (mail.InternalDate, bool) {
	if len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	day, rest, ok := parseDay(text)
	if !ok || len(rest) != len(" 02:44:25 -0700") || rest[0] != ' ' || rest[3] != ':' || rest[6] != ':' ||
		rest[9] != ' ' || rest[10] != '+' && rest[10] != '-' {
		return 0, false
	}
	hour, ok1 := twoDigits(rest[1:], 23)
	minute, ok2 := twoDigits(rest[4:], 59)
	second, ok3 := twoDigits(rest[7:], 60) // a leap second is the next minute's first
	zoneHour, ok4 := twoDigits(rest[11:], 23)
	zoneMinute, ok5 := twoDigits(rest[13:], 59)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return 0, false
	}
	zone := (zoneHour*60 + zoneMinute) * 60
	if rest[10] == '-' {
		zone = -zone
	}
	return mail.NewInternalDate(time.Date(day.Year, time.Month(day.Month), day.Day,
		hour, minute, second, 0, time.FixedZone("", zone))), true
}

// parseDay reads d-Mon-yyyy at the beginning of text.
func parseDay(text []byte) (d mail.CivilDate, rest []byte, ok bool) {
	if len(text) > 1 && text[1] == '-' {
		d.Day, ok = int(text[0]-'0'), text[0] >= '0' && text[0] <= '9'
		text = text[1:]
	} else if len(text) > 2 {
		d.Day, ok = twoDigits(text, 31)
		text = text[2:]
	}
	if !ok || len(text) < len("-Feb-1994") || text[0] != '-' || text[4] != '-' {
		return d, nil, false
	}
	d.Month = monthNamed(text[1:4])
	century, ok1 := twoDigits(text[5:], 99)
	year, ok2 := twoDigits(text[7:], 99)
	d.Year = century*100 + year
	ok = ok1 && ok2 && d.Month > 0 && d.Day > 0 && d.Day <= daysIn(d.Year, d.Month)
	return d, text[9:], ok
}

func monthNamed(name []byte) int {
	var w wordBuffer
	upper := w.set(name)
	for m := range 12 {
		short := months[m*3 : m*3+3]
		if upper[0] == short[0] && upper[1] == short[1]-'a'+'A' && upper[2] == short[2]-'a'+'A' {
			return m + 1
		}
	}
	return 0
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func twoDigits(text []byte, most int) (int, bool) {
	if text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9' {
		return 0, false
	}
	n := int(text[0]-'0')*10 + int(text[1]-'0')
	return n, n <= most
}

// AppendDateTime writes an internal date as FETCH shows it, quotes included. The
// grammar has four digits for the year: a date outside of them is shown as the
// nearest that is not.
func AppendDateTime(dst []byte, d mail.InternalDate) []byte {
	const (
		firstSecond = -62167219200 // 0000-01-01 00:00:00
		lastSecond  = 253402300799 // 9999-12-31 23:59:59
	)
	zone := d.ZoneMinutes()
	local := min(max(d.Unix()+int64(zone)*60, firstSecond), lastSecond)
	t := time.Unix(local, 0).UTC() // in UTC, what the clock of the zone shows
	sign := byte('+')
	if zone < 0 {
		sign, zone = '-', -zone
	}
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, '"')
	if day < 10 {
		dst = append(dst, ' ', '0'+byte(day))
	} else {
		dst = append2(dst, day)
	}
	dst = append(dst, '-')
	dst = append(dst, months[(month-1)*3:month*3]...)
	dst = append(dst, '-')
	dst = append2(append2(dst, year/100), year%100)
	dst = append2(append(dst, ' '), hour)
	dst = append2(append(dst, ':'), minute)
	dst = append2(append(dst, ':'), second)
	dst = append(dst, ' ', sign)
	dst = append2(append2(dst, zone/60), zone%60)
	return append(dst, '"')
}

func append2(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10), '0'+byte(n%10)) }

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
