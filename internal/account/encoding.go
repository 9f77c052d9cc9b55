package account

import (
	"encoding/binary"
	"math"
	"slices"

	"postern/internal/mail"
)

// Integers are unsigned varints, signed ones zigzag varints, strings a length
// and their octets. A decoder never trusts a count further than the octets that
// are left could bear out, so that damaged input costs no more memory than sound
// input of its length, and gives mail.Corrupt, never a panic.

func appendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }
func appendInt(dst []byte, n int64) []byte   { return binary.AppendVarint(dst, n) }

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(appendUint(dst, uint64(len(s))), s...)
}

// decoder reads what the append functions wrote. Its first error sticks; after
// it every read gives zero.
type decoder struct {
	what string // for the error
	b    []byte
	err  error
}

func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = mail.Errorf(mail.Corrupt, "%s is damaged: %s", d.what, why)
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	// One octet is by far the most frequent case.
	if len(d.b) > 0 && d.b[0] < 0x80 {
		n := uint64(d.b[0])
		d.b = d.b[1:]
		return n
	}
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("a number ends early")
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	u := d.uint()
	n := int64(u >> 1)
	if u&1 != 0 {
		n = ^n
	}
	return n
}

func (d *decoder) uint32() uint32 {
	n := d.uint()
	if n > math.MaxUint32 {
		d.fail("a number is too large")
		return 0
	}
	return uint32(n)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it ends early")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// fixed64 reads eight octets, the highest first.
func (d *decoder) fixed64() uint64 {
	if len(d.b) < 8 {
		d.fail("it ends early")
		return 0
	}
	n := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return n
}

// version reads a version octet and refuses any but want.
func (d *decoder) version(want byte) {
	if v := d.byte(); d.err == nil && v != want {
		d.fail("its version is unknown")
	}
}

// versionUpTo reads a version octet from 1 to latest.
func (d *decoder) versionUpTo(latest byte) byte {
	v := d.byte()
	if d.err == nil && (v == 0 || v > latest) {
		d.fail("its version is unknown")
	}
	return v
}

// count reads the number of elements of which each takes at least size octets.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail("a count is beyond its end")
		return 0
	}
	return int(n)
}

// bytes reads a length and so many octets. They are d's own.
func (d *decoder) bytes() []byte {
	n := d.count(1)
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// done gives the error, which there also is if octets are left.
func (d *decoder) done() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("it goes on after its end")
	}
	return d.err
}

// The two forms of a set of UIDs; the shorter one is written.
const (
	uidRuns   = 0
	uidBitmap = 1
)

// appendUIDs writes a set as runs (count, then the distance from the run before
// and the length less one) or as a bitmap (first UID, octets), whichever is
// shorter: never above a bit per UID of span.
func appendUIDs(dst []byte, s mail.UIDSet) []byte {
	if len(s) == 0 {
		return append(dst, uidRuns, 0)
	}
	runs := 1 + uintLen(uint64(len(s)))
	before := mail.UID(0)
	for _, r := range s {
		runs += uintLen(uint64(r.First-before)) + uintLen(uint64(r.Last-r.First))
		before = r.Last
	}
	octets := uint64(s.Max()-s.Min())/8 + 1
	if octets+uint64(uintLen(octets)+uintLen(uint64(s.Min()))+1) < uint64(runs) {
		return appendBitmap(dst, s, int(octets))
	}
	dst = appendUint(append(dst, uidRuns), uint64(len(s)))
	before = 0
	for _, r := range s {
		dst = appendUint(dst, uint64(r.First-before))
		dst = appendUint(dst, uint64(r.Last-r.First))
		before = r.Last
	}
	return dst
}

func appendBitmap(dst []byte, s mail.UIDSet, octets int) []byte {
	dst = appendUint(append(dst, uidBitmap), uint64(s.Min()))
	dst = appendUint(dst, uint64(octets))
	at := len(dst)
	dst = append(dst, make([]byte, octets)...)
	bits := dst[at:]
	for uid := range s.All() {
		i := uid - s.Min()
		bits[i/8] |= 1 << (i % 8)
	}
	return dst
}

func uintLen(n uint64) int {
	size := 1
	for n >= 0x80 {
		n >>= 7
		size++
	}
	return size
}

func (d *decoder) uids() mail.UIDSet {
	switch d.byte() {
	case uidRuns:
		return d.uidRuns()
	case uidBitmap:
		return d.uidBitmap()
	default:
		d.fail("a set of UIDs has an unknown form")
		return nil
	}
}

func (d *decoder) uidRuns() mail.UIDSet {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	s := make(mail.UIDSet, 0, n)
	before := uint64(0)
	for i := range n {
		gap, length := d.uint(), d.uint()
		if d.err != nil {
			return nil
		}
		first := before + gap
		last := first + length
		if gap == 0 || i > 0 && gap < 2 || gap > math.MaxUint32 || length > math.MaxUint32 || last > math.MaxUint32 {
			d.fail("a set of UIDs is out of order")
			return nil
		}
		s = append(s, mail.UIDRange{First: mail.UID(first), Last: mail.UID(last)})
		before = last
	}
	return s
}

func (d *decoder) uidBitmap() mail.UIDSet {
	first := d.uint()
	bits := d.bytes()
	if d.err != nil {
		return nil
	}
	var s mail.UIDSet
	for i, octet := range bits {
		for bit := 0; octet != 0; bit, octet = bit+1, octet>>1 {
			if octet&1 == 0 {
				continue
			}
			uid := first + uint64(i)*8 + uint64(bit)
			if first == 0 || first > math.MaxUint32 || uid > math.MaxUint32 {
				d.fail("a set of UIDs is too high")
				return nil
			}
			s = s.Append(mail.UID(uid))
		}
	}
	return s
}

// appendFlagSets writes a dictionary of flag sets, which rows and changes name
// by their place in it. Every record and page has its own, so that none depends
// on another to be read.
func appendFlagSets(dst []byte, sets []mail.Flags) []byte {
	dst = appendUint(dst, uint64(len(sets)))
	for _, f := range sets {
		dst = append(dst, byte(f.System))
		dst = appendUint(dst, uint64(len(f.Keywords)))
		for _, k := range f.Keywords {
			dst = appendString(dst, k)
		}
	}
	return dst
}

func (d *decoder) flagSets() []mail.Flags {
	n := d.count(2)
	sets := make([]mail.Flags, 0, n)
	for range n {
		system := mail.SystemFlags(d.byte())
		var keywords []string
		for range d.count(1) {
			keywords = append(keywords, d.string())
		}
		if system&^mail.AllSystem != 0 {
			d.fail("a system flag is unknown")
		}
		if d.err != nil {
			return nil
		}
		// Sorted and without doubles, whatever was written.
		slices.SortStableFunc(keywords, mail.CompareKeywords)
		keywords = slices.CompactFunc(keywords, func(a, b string) bool { return mail.CompareKeywords(a, b) == 0 })
		sets = append(sets, mail.Flags{System: system, Keywords: keywords})
	}
	return sets
}

func appendCounts(dst []byte, c mail.Counts) []byte {
	dst = appendUint(dst, uint64(c.Messages))
	dst = appendUint(dst, uint64(c.Unseen))
	dst = appendUint(dst, uint64(c.Deleted))
	dst = appendUint(dst, c.Bytes)
	dst = appendUint(dst, uint64(c.UIDNext))
	return appendUint(dst, c.DeletedBytes)
}

// counts reads counts. Older versions have all but DeletedBytes.
func (d *decoder) counts(all bool) mail.Counts {
	c := mail.Counts{
		Messages: d.uint32(), Unseen: d.uint32(), Deleted: d.uint32(),
		Bytes: d.uint(), UIDNext: mail.UID(d.uint32()),
	}
	switch {
	case all:
		c.DeletedBytes = d.uint()
	case c.Deleted > 0:
		c.DeletedBytes = unknownBytes
	}
	return c
}

// A quota is written as its three limits: 0 for one that was not given, 1 and the
// number, or 2 for none.
func appendQuota(dst []byte, q mail.OwnQuota) []byte {
	for _, l := range []mail.QuotaLimit{q.Octets, q.Messages, q.Mailboxes} {
		switch {
		case !l.Given:
			dst = append(dst, 0)
		case l.Most == mail.Unlimited:
			dst = append(dst, 2)
		default:
			dst = appendUint(append(dst, 1), l.Most)
		}
	}
	return dst
}

func (d *decoder) quota() mail.OwnQuota {
	return mail.OwnQuota{Octets: d.quotaLimit(), Messages: d.quotaLimit(), Mailboxes: d.quotaLimit()}
}

func (d *decoder) quotaLimit() mail.QuotaLimit {
	switch d.byte() {
	case 0:
	case 1:
		return mail.QuotaLimit{Given: true, Most: d.uint()}
	case 2:
		return mail.QuotaLimit{Given: true, Most: mail.Unlimited}
	default:
		d.fail("a limit has an unknown form")
	}
	return mail.QuotaLimit{}
}
