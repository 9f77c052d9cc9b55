package account

import (
	"maps"
	"slices"

	"postern/internal/mail"
	"postern/internal/store"
)

// refs counts, for each message of the account, the rows that bear it beyond the
// first, expunged rows among them until they are purged. COPY and MOVE add one, a
// purge takes one away, and the purge that finds none left frees the message.
// Most messages have one row, so what is stored is short: pages of the account's
// own scope, each for refSpan MessageIDs, and only those above 0.
//
// base is what the pages say and is read only when a purge or a save wants it;
// delta is what has happened since the root was saved.
type refs struct {
	base  map[mail.MessageID]int // nil: not loaded
	delta map[mail.MessageID]int
}

const refSpan = 4096

// extra is the number of rows beyond the first, -1 if there is none at all. base
// is loaded.
func (r *refs) extra(id mail.MessageID) int { return r.base[id] + r.delta[id] }

func (r *refs) add(id mail.MessageID, n int) {
	if r.delta == nil {
		r.delta = map[mail.MessageID]int{}
	}
	r.delta[id] += n
}

// pages gives the pages that differ from what is stored, and the keys of those
// that are to be deleted. base is loaded.
func (r *refs) pages() (put []store.Page, del []store.PageKey) {
	touched := map[mail.MessageID]bool{}
	for id := range r.delta {
		touched[id/refSpan] = true
	}
	entries := map[mail.MessageID][]mail.MessageID{}
	seen := func(id mail.MessageID) {
		if touched[id/refSpan] && r.extra(id) > 0 {
			entries[id/refSpan] = append(entries[id/refSpan], id)
		}
	}
	for id := range r.base {
		seen(id)
	}
	for id := range r.delta {
		if _, both := r.base[id]; !both {
			seen(id)
		}
	}
	for _, span := range slices.Sorted(maps.Keys(touched)) {
		key := store.PageKey{Kind: kindRefPage, Low: uint64(span * refSpan)}
		ids := entries[span]
		if len(ids) == 0 {
			del = append(del, key)
			continue
		}
		slices.Sort(ids)
		put = append(put, store.Page{PageKey: key, Data: encodeRefs(span*refSpan, ids, r.extra)})
	}
	return put, del
}

// saved takes delta into base.
func (r *refs) saved() {
	for id, n := range r.delta {
		switch extra := r.base[id] + n; {
		case r.base == nil:
		case extra > 0:
			r.base[id] = extra
		default:
			delete(r.base, id)
		}
	}
	r.delta = nil
}

const refsVersion = 1

func encodeRefs(low mail.MessageID, ids []mail.MessageID, extra func(mail.MessageID) int) []byte {
	b := appendUint([]byte{refsVersion}, uint64(len(ids)))
	before := low
	for _, id := range ids {
		b = appendUint(b, uint64(id-before))
		b = appendUint(b, uint64(extra(id)))
		before = id
	}
	return b
}

func decodeRefs(low uint64, data []byte, each func(id mail.MessageID, extra int)) error {
	d := decoder{what: "a page of references", b: data}
	d.version(refsVersion)
	if low > maxMessageID {
		d.fail("it begins too high")
	}
	id := low
	for i := range d.count(2) {
		gap, extra := d.uint(), d.uint()
		id += gap
		if d.err != nil {
			return d.err
		}
		if gap >= refSpan || i > 0 && gap == 0 || id >= low+refSpan || extra == 0 || extra > 1<<40 {
			d.fail("an entry is out of range")
			return d.err
		}
		each(mail.MessageID(id), int(extra))
	}
	return d.done()
}
