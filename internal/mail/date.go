package mail

import "time"

// InternalDate is the internal date of a message (RFC 9051 2.3.3) in eight
// bytes: whole seconds and the zone it was given in, because SEARCH BEFORE, ON
// and SINCE look at the date as it is written, "disregarding time and timezone"
// (RFC 9051 6.4.4), and a client that APPENDs a zone expects to read it back.
//
// The upper 52 bits are seconds since 1970-01-01T00:00:00Z, the lower 12 bits
// the zone's offset in minutes east of UTC, as two's complement. The zero value
// is 1970-01-01 00:00:00 +0000.
type InternalDate int64

const zoneBits = 12

// NewInternalDate takes a time's seconds and zone; fractions of a second and of
// a minute of zone are dropped. Zones beyond ±23:59 become UTC.
func NewInternalDate(t time.Time) InternalDate {
	_, offset := t.Zone()
	minutes := offset / 60
	if minutes <= -24*60 || minutes >= 24*60 {
		minutes = 0
	}
	return InternalDate(t.Unix()<<zoneBits | int64(minutes)&(1<<zoneBits-1))
}

// Unix is the date in seconds since 1970-01-01T00:00:00Z.
func (d InternalDate) Unix() int64 { return int64(d) >> zoneBits }

// ZoneMinutes is the zone's offset in minutes east of UTC.
func (d InternalDate) ZoneMinutes() int {
	return int(int64(d) << (64 - zoneBits) >> (64 - zoneBits))
}

// Time gives the date in the zone it was given in.
func (d InternalDate) Time() time.Time {
	t := time.Unix(d.Unix(), 0)
	if d.ZoneMinutes() == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", d.ZoneMinutes()*60))
}
