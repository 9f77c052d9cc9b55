package account

import (
	"math"

	"postern/internal/mail"
)

// pageRows is the number of rows a page holds at most.
const pageRows = 4096

// appendRows writes rows in columns: UIDs as distances, flag sets and zones of
// dates as runs, the rest as differences, so that a row takes some eight octets.
// Rows are ascending by UID from low on; their Flags are places in a dictionary.
func appendRows(dst []byte, low mail.UID, rows []Row, withModSeq bool) []byte {
	dst = appendUint(dst, uint64(len(rows)))
	uid := low
	for i := range rows {
		dst = appendUint(dst, uint64(rows[i].UID-uid))
		uid = rows[i].UID
	}
	dst = appendIntRuns(dst, rows, func(r *Row) int64 { return int64(r.Flags) })
	if withModSeq {
		dst = appendDifferences(dst, rows, func(r *Row) int64 { return int64(r.ModSeq) })
	}
	for i := range rows {
		dst = appendUint(dst, uint64(rows[i].Size))
	}
	dst = appendDifferences(dst, rows, func(r *Row) int64 { return r.Date.Unix() })
	dst = appendIntRuns(dst, rows, func(r *Row) int64 { return int64(r.Date.ZoneMinutes()) })
	dst = appendDifferences(dst, rows, func(r *Row) int64 { return int64(r.Saved) })
	return appendDifferences(dst, rows, func(r *Row) int64 { return int64(r.ID) })
}

// appendDifferences writes a column as differences from the row before.
func appendDifferences(dst []byte, rows []Row, value func(*Row) int64) []byte {
	before := int64(0)
	for i := range rows {
		v := value(&rows[i])
		dst = appendInt(dst, v-before)
		before = v
	}
	return dst
}

// appendIntRuns writes a column as (value, how many times)*.
func appendIntRuns(dst []byte, rows []Row, value func(*Row) int64) []byte {
	for i := 0; i < len(rows); {
		v, n := value(&rows[i]), 1
		for i+n < len(rows) && value(&rows[i+n]) == v {
			n++
		}
		dst = appendUint(appendInt(dst, v), uint64(n))
		i += n
	}
	return dst
}

// rows reads what appendRows wrote; sets is the size of the dictionary.
func (d *decoder) rows(low mail.UID, sets int, withModSeq bool) []Row {
	rows := make([]Row, d.count(1))
	uid := uint64(low)
	for i := range rows {
		gap := d.uint()
		uid += gap
		if i > 0 && gap == 0 || gap > math.MaxUint32 || uid > math.MaxUint32 || uid == 0 {
			d.fail("UIDs are out of order")
			return nil
		}
		rows[i].UID = mail.UID(uid)
	}
	d.intRuns(rows, func(r *Row, v int64) bool {
		r.Flags = FlagsID(v)
		return v >= 0 && v < int64(sets)
	})
	if withModSeq {
		d.differences(rows, func(r *Row, v int64) bool {
			r.ModSeq = mail.ModSeq(v)
			return v > 0 && v <= maxModSeq
		})
	}
	for i := range rows {
		rows[i].Size = d.uint32()
	}
	d.differences(rows, func(r *Row, v int64) bool {
		r.Date = mail.InternalDate(v << 12)
		return v >= minDate && v <= maxDate
	})
	d.intRuns(rows, func(r *Row, v int64) bool {
		r.Date |= mail.InternalDate(v & 0xfff)
		return v > -24*60 && v < 24*60
	})
	d.differences(rows, func(r *Row, v int64) bool {
		r.Saved = uint32(v)
		return v >= 0 && v <= math.MaxUint32
	})
	d.differences(rows, func(r *Row, v int64) bool {
		r.ID = mail.MessageID(v)
		return v > 0 && v <= maxMessageID
	})
	if d.err != nil {
		return nil
	}
	return rows
}

func (d *decoder) differences(rows []Row, set func(*Row, int64) bool) {
	v := int64(0)
	for i := range rows {
		v += d.int()
		if d.err != nil {
			return
		}
		if !set(&rows[i], v) {
			d.fail("a row's value is out of range")
			return
		}
	}
}

func (d *decoder) intRuns(rows []Row, set func(*Row, int64) bool) {
	for i := 0; i < len(rows); {
		v, n := d.int(), d.uint()
		if d.err != nil {
			return
		}
		if n == 0 || n > uint64(len(rows)-i) {
			d.fail("a run of values is too long")
			return
		}
		for range n {
			if !set(&rows[i], v) {
				d.fail("a row's value is out of range")
				return
			}
			i++
		}
	}
}

// What a row's columns have room for. ModSeqs and MessageIDs have 48 bits: at a
// million changes a second an account comes to their end after nine years. Dates
// have 51 with their zone, which covers the years 0000 to 9999 that IMAP can
// write (RFC 9051 9, date-year) and some more on either side.
const (
	maxModSeq    = 1<<48 - 1
	maxMessageID = 1<<48 - 1
	minDate      = -1 << 43
	maxDate      = 1<<43 - 1
)
