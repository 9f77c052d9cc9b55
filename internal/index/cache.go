package index

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/search"
	"postern/internal/search/terms"
)

// maxOpen bounds the segments that are kept open: each may hold a file.
const maxOpen = 256

// cache keeps segments open, those used last, as far as memory goes.
type cache struct {
	pool  *account.Pool
	limit int64

	mu     sync.Mutex
	open   map[mail.BodyRef]*opened
	recent list.List // of *opened, the one used last first
	closed bool
}

// opened is an open segment.
type opened struct {
	ref   mail.BodyRef
	place *list.Element
	users int
	gone  bool // not in the cache any more: the last user closes it

	used time.Time // last

	once sync.Once
	*terms.Segment
	body account.Body
	err  error

	mu       sync.Mutex
	lookedUp []lookedUp // the last ones
}

// lookedUp is what a segment said of a key. It is not changed any more.
type lookedUp struct {
	name      string
	may, sure terms.Set
}

// maxLookedUp is how many of them are kept of a segment.
const maxLookedUp = 4

// held is how many octets of memory it takes, about.
func (o *opened) held() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.Held()
	for i := range o.lookedUp {
		n += int64(len(o.lookedUp[i].name) + 8*len(o.lookedUp[i].may) + 8*len(o.lookedUp[i].sure))
	}
	return n
}

// take gives a segment, which is given back by give.
func (c *cache) take(ctx context.Context, ref mail.BodyRef) (*opened, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, mail.Errorf(mail.Unavailable, "the text index is closed")
	}
	o := c.open[ref]
	if o == nil {
		o = &opened{ref: ref}
		o.place = c.recent.PushFront(o)
		if c.open == nil {
			c.open = map[mail.BodyRef]*opened{}
		}
		c.open[ref] = o
	}
	c.recent.MoveToFront(o.place)
	o.used = time.Now()
	o.users++
	c.mu.Unlock()
	// Others wait for it, so it is not given up with the search that came first.
	o.once.Do(func() { o.Segment, o.body, o.err = openSegment(context.WithoutCancel(ctx), c.pool, ref) })
	if o.err != nil {
		err := o.err
		c.forget(ref)
		c.give(o)
		return nil, err
	}
	return o, nil
}

// errOtherMaker says that a segment was made by another version, whose texts may differ.
var errOtherMaker = errors.New("index: the segment was made by another version")

// openSegment opens a segment that is used by nobody else.
func openSegment(ctx context.Context, pool *account.Pool, ref mail.BodyRef) (*terms.Segment, account.Body, error) {
	body, err := pool.OpenSegment(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	s, err := terms.Open(body, body.Size())
	if err != nil {
		return nil, nil, errors.Join(err, body.Close())
	}
	if s.Maker() != search.TextsMaker() {
		return nil, nil, errors.Join(errOtherMaker, body.Close())
	}
	return s, body, nil
}

// give gives a segment back, and closes those there is no room for.
func (c *cache) give(o *opened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.users--; o.users == 0 && o.gone {
		o.close()
	}
	held := int64(0)
	for at := c.recent.Front(); at != nil; {
		s := at.Value.(*opened)
		at = at.Next()
		if s.users > 0 {
			continue // being read, or being opened
		}
		if s.Segment != nil {
			held += s.held()
		}
		if held > c.limit || len(c.open) > maxOpen {
			c.drop(s)
		}
	}
}

// idle lets go of segments that nobody has used since.
func (c *cache) idle(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.open {
		if o.users == 0 && o.used.Before(since) {
			c.drop(o)
		}
	}
}

// forget takes a segment out, which is open as long as somebody uses it.
func (c *cache) forget(ref mail.BodyRef) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.open[ref]; o != nil {
		c.drop(o)
	}
}

func (c *cache) drop(o *opened) {
	delete(c.open, o.ref)
	c.recent.Remove(o.place)
	if o.gone = true; o.users == 0 {
		o.close()
	}
}

func (o *opened) close() {
	if o.body != nil {
		_ = o.body.Close() // it was read only
	}
}

func (c *cache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, o := range c.open {
		c.drop(o)
	}
	return nil
}
