package guard

// bucket is a budget of tries that fills up again by itself. The zero bucket is
// full.
type bucket struct {
	left float32 // as of at
	at   uint32  // seconds since 1970; 0: full
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

// has reports whether so many tries are left.
func (b *bucket) has(now uint32, n float32, m measure) bool {
	b.fill(now, m)
	return b.left >= n
}

// take takes tries. There may be fewer left than asked for: then none are.
func (b *bucket) take(n float32) { b.left = max(0, b.left-n) }

// give gives tries back that were taken.
func (b *bucket) give(n float32, m measure) { b.left = min(m.size, b.left+n) }
