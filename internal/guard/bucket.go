package guard

// bucket is a budget of tries that fills up again by itself. The zero bucket is
// full.
type bucket struct {
	left float32 // as of at
	at   uint32  // seconds since 1970; 0: full
	out  float32 // taken for tries that are under way: each comes back if the try was right
}

// measure is how large a bucket is and how fast it fills.
type measure struct {
	size  float32 // tries
	every float32 // seconds until there is one more
}

// fill brings the bucket up to date.
func (b *bucket) fill(now uint32, m measure) {
	switch {
	case b.at == 0:
		b.left = m.size
	case now > b.at: // a clock that went back fills nothing
		b.left = min(m.size, b.left+float32(now-b.at)/m.every)
	}
	b.at = max(b.at, now)
}

// room is what a bucket has to say to one more try.
type room uint8

const (
	enough room = iota
	later       // not now, but perhaps when those under way have come back
	none
)

// room tells whether so many tries are left.
func (b *bucket) room(now uint32, n float32, m measure) room {
	b.fill(now, m)
	switch {
	case b.left >= n:
		return enough
	case b.left+b.out >= n:
		return later
	}
	return none
}

// take takes tries, for one that is under way from now on.
func (b *bucket) take(n float32) {
	b.left -= n
	b.out += n
}

// spend says that a try that was under way was wrong.
func (b *bucket) spend(n float32) { b.out = max(0, b.out-n) }

// give says that a try that was under way was right, or was never looked at.
func (b *bucket) give(n float32, m measure) {
	b.spend(n)
	b.left = min(m.size, b.left+n)
}
