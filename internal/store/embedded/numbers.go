package embedded

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// numbersAhead is how many numbers are reserved with one sync. A crash skips
// those reserved and not given out; no number is given out twice.
const numbersAhead = 4096

// numbers gives out ascending numbers, none of them ever twice, crash or not.
type numbers struct {
	s        *Store
	key      []byte // holds the first number not reserved
	mu       sync.Mutex
	next     uint64
	reserved uint64
}

func loadNumbers(s *Store, key []byte) (*numbers, error) {
	n := &numbers{s: s, key: key, next: 1}
	value, ok, err := s.get(key)
	if err != nil {
		return nil, err
	}
	if ok {
		if n.next, ok = decodeU64(value); !ok {
			return nil, corrupt("a counter", key)
		}
	}
	n.reserved = n.next
	return n, nil
}

// take gives the next number. began, if not nil, is told of it before anybody
// can take another.
func (n *numbers) take(began func(uint64)) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == n.reserved {
		b := n.s.db.NewBatch()
		if err := b.Set(n.key, appendU64(nil, n.reserved+numbersAhead), nil); err != nil {
			return 0, n.s.fault(err)
		}
		if err := n.s.write(b, pebble.Sync); err != nil {
			return 0, err
		}
		n.reserved += numbersAhead
	}
	n.next++
	if began != nil {
		began(n.next - 1)
	}
	return n.next - 1, nil
}
