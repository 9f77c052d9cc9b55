package account

import (
	"slices"

	"postern/internal/mail"
)

// rowPage holds up to pageRows rows in columns, 35 octets a row. Its lower bound
// is fixed when it is made, so that the rows of other pages never move when one
// loses some. Columns that need not have eight octets are split.
type rowPage struct {
	low   mail.UID // no row of the page has a lower UID
	dirty bool     // differs from what was saved
	saved bool     // there is such a page in the store
	top   mail.ModSeq

	uid     []uint32
	flags   []FlagsID
	modLow  []uint32
	modHigh []uint16
	size    []uint32
	dateLow []uint32 // of the 51 bits that dates take, shifted by nothing
	dateMid []uint16
	dateTop []int8
	stored  []uint32 // Row.Saved
	idLow   []uint32
	idHigh  []uint16

	gone *goneColumns // of expunged rows only
}

// goneColumns is what is kept of an expunge beside the row.
type goneColumns struct {
	at      []uint32 // seconds since 1970
	modLow  []uint32 // ModSeq of the expunge
	modHigh []uint16
}

// growth is the number of rows by which a page's columns grow: pages are many,
// and most will never be full.
const growth = 64

func (p *rowPage) len() int { return len(p.uid) }

func (p *rowPage) modSeq(i int) mail.ModSeq {
	return mail.ModSeq(p.modLow[i]) | mail.ModSeq(p.modHigh[i])<<32
}

func (p *rowPage) setModSeq(i int, m mail.ModSeq) {
	p.modLow[i], p.modHigh[i] = uint32(m), uint16(m>>32)
	p.top = max(p.top, m)
}

func (p *rowPage) id(i int) mail.MessageID {
	return mail.MessageID(p.idLow[i]) | mail.MessageID(p.idHigh[i])<<32
}

// row gives the row at place i.
func (p *rowPage) row(i int) Row {
	date := int64(p.dateTop[i])<<48 | int64(p.dateMid[i])<<32 | int64(p.dateLow[i])
	return Row{
		UID: mail.UID(p.uid[i]), Flags: p.flags[i], ModSeq: p.modSeq(i), Size: p.size[i],
		Date: mail.InternalDate(date), Saved: p.stored[i], ID: p.id(i), Expunged: p.gone != nil,
	}
}

// expungedAt gives when the row at place i was expunged, and by which change.
func (p *rowPage) expungedAt(i int) (at int64, by mail.ModSeq) {
	g := p.gone
	return int64(g.at[i]), mail.ModSeq(g.modLow[i]) | mail.ModSeq(g.modHigh[i])<<32
}

// set writes r to place i.
func (p *rowPage) set(i int, r *Row) {
	p.uid[i], p.flags[i], p.size[i], p.stored[i] = uint32(r.UID), r.Flags, r.Size, r.Saved
	p.dateLow[i], p.dateMid[i], p.dateTop[i] = uint32(r.Date), uint16(r.Date>>32), int8(r.Date>>48)
	p.idLow[i], p.idHigh[i] = uint32(r.ID), uint16(r.ID>>32)
	p.setModSeq(i, r.ModSeq)
}

// columns calls f with every column of the page, for what is done to all alike.
func (p *rowPage) columns(f32 func(*[]uint32), f16 func(*[]uint16)) {
	for _, c := range []*[]uint32{&p.uid, &p.modLow, &p.size, &p.dateLow, &p.stored, &p.idLow} {
		f32(c)
	}
	for _, c := range []*[]uint16{&p.modHigh, &p.dateMid, &p.idHigh} {
		f16(c)
	}
	if p.gone != nil {
		f32(&p.gone.at)
		f32(&p.gone.modLow)
		f16(&p.gone.modHigh)
	}
}

// resize gives every column the capacity for n rows, exactly.
func (p *rowPage) resize(n int) {
	p.columns(func(c *[]uint32) { *c = resized(*c, n) }, func(c *[]uint16) { *c = resized(*c, n) })
	p.flags, p.dateTop = resized(p.flags, n), resized(p.dateTop, n)
}

func resized[T any](s []T, n int) []T { return append(make([]T, 0, n), s...) }

// open makes room at place i and moves what is there and above up by one.
func (p *rowPage) open(i int) {
	n := len(p.uid)
	if n == cap(p.uid) {
		p.resize(min(n+growth, pageRows))
	}
	p.columns(func(c *[]uint32) { *c = opened(*c, i) }, func(c *[]uint16) { *c = opened(*c, i) })
	p.flags, p.dateTop = opened(p.flags, i), opened(p.dateTop, i)
}

func opened[T any](s []T, i int) []T {
	s = s[:len(s)+1]
	copy(s[i+1:], s[i:])
	return s
}

// insert puts a row at place i; the page has room.
func (p *rowPage) insert(i int, r *Row, at int64, by mail.ModSeq) {
	p.open(i)
	p.set(i, r)
	if g := p.gone; g != nil {
		g.at[i], g.modLow[i], g.modHigh[i] = uint32(at), uint32(by), uint16(by>>32)
		p.top = max(p.top, by)
	}
	p.dirty = true
}

// move copies the row at place from to place to.
func (p *rowPage) move(to, from int) {
	p.columns(func(c *[]uint32) { (*c)[to] = (*c)[from] }, func(c *[]uint16) { (*c)[to] = (*c)[from] })
	p.flags[to], p.dateTop[to] = p.flags[from], p.dateTop[from]
}

// truncate keeps the first n rows.
func (p *rowPage) truncate(n int) {
	p.columns(func(c *[]uint32) { *c = (*c)[:n] }, func(c *[]uint16) { *c = (*c)[:n] })
	p.flags, p.dateTop = p.flags[:n], p.dateTop[:n]
	if cap(p.uid)-n > 4*growth && n < cap(p.uid)/2 {
		p.resize(n)
	}
}

// place gives where uid is in the page, or where it would be.
func (p *rowPage) place(uid mail.UID) (int, bool) { return slices.BinarySearch(p.uid, uint32(uid)) }

// table is the rows of a mailbox, or its expunged rows, in pages ascending by
// lower bound. The first page's bound is 1.
type table struct {
	pages   []*rowPage
	count   int
	expunge bool       // pages have goneColumns
	removed []mail.UID // lower bounds of pages that are in the store and no longer here
}

func (t *table) newPage(low mail.UID) *rowPage {
	p := &rowPage{low: low}
	if t.expunge {
		p.gone = &goneColumns{}
	}
	return p
}

// pageOf gives the index of the page that holds uid if any does, -1 if there is
// no page.
func (t *table) pageOf(uid mail.UID) int {
	i, found := slices.BinarySearchFunc(t.pages, uid, func(p *rowPage, u mail.UID) int {
		switch {
		case p.low < u:
			return -1
		case p.low > u:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	return i
}

// insert adds a row; at and by are when it was expunged, for expunged rows. It
// reports whether the UID was free.
func (t *table) insert(r *Row, at int64, by mail.ModSeq) bool {
	if len(t.pages) == 0 {
		t.pages = append(t.pages, t.newPage(1))
	}
	i := t.pageOf(r.UID)
	p := t.pages[i]
	place, found := p.place(r.UID)
	if found {
		return false
	}
	if p.len() == pageRows {
		if place == pageRows && i == len(t.pages)-1 {
			p, place = t.newPage(r.UID), 0
			t.pages = append(t.pages, p)
		} else {
			p, place = t.split(i, place)
		}
	}
	p.insert(place, r, at, by)
	t.count++
	return true
}

// split moves the upper half of a full page to a new one, and gives the page and
// place that place has become.
func (t *table) split(i, place int) (*rowPage, int) {
	const half = pageRows / 2
	lower := t.pages[i]
	upper := t.newPage(mail.UID(lower.uid[half]))
	t.appendRows(upper, lower, half)
	lower.truncate(half)
	lower.dirty, upper.dirty = true, true
	t.pages = slices.Insert(t.pages, i+1, upper)
	if place <= half {
		return lower, place
	}
	return upper, place - half
}

// appendRows copies the rows of from that begin at first to the end of to.
func (t *table) appendRows(to, from *rowPage, first int) {
	to.resize(to.len() + from.len() - first)
	for i := first; i < from.len(); i++ {
		r := from.row(i)
		var at int64
		var by mail.ModSeq
		if t.expunge {
			at, by = from.expungedAt(i)
		}
		to.insert(to.len(), &r, at, by)
	}
}

// each calls f for the rows of a set in UID order, until it gives false. f may
// change flags and ModSeq of its row.
func (t *table) each(uids mail.UIDSet, f func(p *rowPage, i int) bool) {
	c := cursor{t: t}
	for _, run := range uids {
		c.seek(run.First)
		for uid, ok := c.uid(); ok && uid <= run.Last; uid, ok = c.uid() {
			if !f(t.pages[c.page], c.place) {
				return
			}
			c.next()
		}
	}
}

// remove takes the rows of a set out and calls f with each before.
func (t *table) remove(uids mail.UIDSet, f func(p *rowPage, i int)) {
	for len(uids) > 0 && len(t.pages) > 0 {
		i := max(t.pageOf(uids[0].First), 0)
		p := t.pages[i]
		high := mail.UID(1<<32 - 1)
		if i+1 < len(t.pages) {
			high = t.pages[i+1].low - 1
		}
		here := uids.Intersect(mail.UIDSet{{First: p.low, Last: high}})
		t.removeFrom(p, here, f)
		uids = uids.Subtract(mail.UIDSet{{First: 1, Last: high}})
	}
}

func (t *table) removeFrom(p *rowPage, uids mail.UIDSet, f func(p *rowPage, i int)) {
	if uids.Empty() {
		return
	}
	at, _ := p.place(uids.Min())
	keep := at
	for ; at < p.len(); at++ {
		uid := mail.UID(p.uid[at])
		for len(uids) > 0 && uids[0].Last < uid {
			uids = uids[1:]
		}
		if len(uids) > 0 && uids[0].First <= uid {
			f(p, at)
			continue
		}
		if keep < at {
			p.move(keep, at)
		}
		keep++
	}
	if gone := p.len() - keep; gone > 0 {
		p.truncate(keep)
		p.dirty = true
		t.count -= gone
	}
}

// set gives the UIDs of all rows.
func (t *table) set() mail.UIDSet {
	var s mail.UIDSet
	for _, p := range t.pages {
		for _, uid := range p.uid {
			s = s.Append(mail.UID(uid))
		}
	}
	return s
}

// tidy takes empty pages out and joins neighbours that together fill no more
// than half a page. It is done when pages are saved and not before.
func (t *table) tidy() {
	kept := t.pages[:0]
	for _, p := range t.pages {
		switch last := len(kept) - 1; {
		case p.len() == 0 && len(t.pages) > 1 && (last >= 0 || p.low > 1):
			t.drop(p)
		case last >= 0 && kept[last].len()+p.len() <= pageRows/2 && (p.dirty || kept[last].dirty):
			t.appendRows(kept[last], p, 0)
			t.drop(p)
		default:
			kept = append(kept, p)
		}
	}
	clear(t.pages[len(kept):])
	t.pages = kept
	if t.count == 0 {
		for _, p := range t.pages {
			t.drop(p)
		}
		t.pages = nil
	}
}

func (t *table) drop(p *rowPage) {
	if p.saved {
		t.removed = append(t.removed, p.low)
	}
}

// dirtyRows is the number of rows in pages that differ from what was saved.
func (t *table) dirtyRows() int {
	n := 0
	for _, p := range t.pages {
		if p.dirty {
			n += p.len()
		}
	}
	return n
}

// cursor walks a table in UID order.
type cursor struct {
	t           *table
	page, place int
}

// seek goes to the first row at or above uid, which is at or above where the
// cursor is.
func (c *cursor) seek(uid mail.UID) {
	if at, ok := c.uid(); ok && at >= uid {
		return
	}
	if i := c.t.pageOf(uid); i > c.page {
		c.page, c.place = i, 0
	}
	if c.page < len(c.t.pages) {
		at, _ := c.t.pages[c.page].place(uid)
		c.place = max(c.place, at)
	}
}

// uid gives the UID of the row the cursor is at.
func (c *cursor) uid() (mail.UID, bool) {
	for c.page < len(c.t.pages) {
		if p := c.t.pages[c.page]; c.place < p.len() {
			return mail.UID(p.uid[c.place]), true
		}
		c.page, c.place = c.page+1, 0
	}
	return 0, false
}

func (c *cursor) next() { c.place++ }

func (c *cursor) row() Row { return c.t.pages[c.page].row(c.place) }
