package guard

// table is a map that holds a bounded number of values, each in a slot that does
// not move, and knows which was used longest ago. When it is full one gives way:
// the one used longest ago among those that are worth least. On an average that
// takes constant time.
type table[K comparable, V any] struct {
	room  int
	slots []slot[K, V]
	at    map[K]int32
	lists [worths]list
	worth func(*V) int
	drop  func(*V) // is told of each that goes
}

// worths is how many kinds of worth there are: worth gives 0 to worths-1. What a
// value is worth may change; the table looks again when its turn to go has come.
const worths = 4

// list is the values of one worth, by the time of their last use. -1 is none.
type list struct{ newest, oldest int32 }

type slot[K comparable, V any] struct {
	key          K
	newer, older int32
	list         int8
	value        V
}

func newTable[K comparable, V any](room int, worth func(*V) int, drop func(*V)) *table[K, V] {
	t := &table[K, V]{room: room, at: make(map[K]int32), worth: worth, drop: drop}
	for i := range t.lists {
		t.lists[i] = list{-1, -1}
	}
	return t
}

// look gives a value, or nil.
func (t *table[K, V]) look(key K) *V {
	i, ok := t.at[key]
	if !ok {
		return nil
	}
	return &t.slots[i].value
}

// use gives a value, or nil, and makes it the newest.
func (t *table[K, V]) use(key K) *V {
	i, ok := t.at[key]
	if !ok {
		return nil
	}
	v := &t.slots[i].value
	t.link(t.unlink(i), int8(t.worth(v)))
	return v
}

// put gives a value and makes it the newest. One that was not there is made, in
// the place of another where there is no more room. Pointers that were given
// before are void.
func (t *table[K, V]) put(key K) *V {
	if v := t.use(key); v != nil {
		return v
	}
	var i int32
	if len(t.slots) < t.room {
		i = int32(len(t.slots))
		t.slots = append(t.slots, slot[K, V]{})
	} else {
		i = t.unlink(t.least())
		delete(t.at, t.slots[i].key)
		t.drop(&t.slots[i].value)
	}
	t.slots[i] = slot[K, V]{key: key}
	t.at[key] = i
	t.link(i, 0)
	return &t.slots[i].value
}

// least is the one to go, of which there must be one. Those that have come to be
// worth more, or less, are put where they belong on the way.
func (t *table[K, V]) least() int32 {
	for {
		l := 0
		for t.lists[l].oldest < 0 {
			l++
		}
		i := t.lists[l].oldest
		if w := t.worth(&t.slots[i].value); w != l {
			t.link(t.unlink(i), int8(w))
			continue
		}
		return i
	}
}

// oldest gives the key of the one to go next, of which there must be one.
func (t *table[K, V]) oldest() K { return t.slots[t.least()].key }

func (t *table[K, V]) remove(key K) {
	i, ok := t.at[key]
	if !ok {
		return
	}
	t.unlink(i)
	delete(t.at, key)
	t.drop(&t.slots[i].value)
	last := int32(len(t.slots) - 1)
	if i != last { // the last slot moves into the gap
		t.slots[i] = t.slots[last]
		t.at[t.slots[i].key] = i
		t.relink(i)
	}
	t.slots[last] = slot[K, V]{}
	t.slots = t.slots[:last]
}

// relink tells a slot's neighbours where it is now.
func (t *table[K, V]) relink(i int32) {
	s := &t.slots[i]
	l := &t.lists[s.list]
	if s.newer >= 0 {
		t.slots[s.newer].older = i
	} else {
		l.newest = i
	}
	if s.older >= 0 {
		t.slots[s.older].newer = i
	} else {
		l.oldest = i
	}
}

func (t *table[K, V]) unlink(i int32) int32 {
	s := &t.slots[i]
	l := &t.lists[s.list]
	if s.newer >= 0 {
		t.slots[s.newer].older = s.older
	} else {
		l.newest = s.older
	}
	if s.older >= 0 {
		t.slots[s.older].newer = s.newer
	} else {
		l.oldest = s.newer
	}
	return i
}

func (t *table[K, V]) link(i int32, to int8) {
	s := &t.slots[i]
	l := &t.lists[to]
	s.list, s.newer, s.older = to, -1, l.newest
	t.relink(i)
}

// all calls f for each value, those worth most first and of those the newest
// first, until it gives false.
func (t *table[K, V]) all(f func(K, *V) bool) {
	for l := worths - 1; l >= 0; l-- {
		for i := t.lists[l].newest; i >= 0; i = t.slots[i].older {
			if !f(t.slots[i].key, &t.slots[i].value) {
				return
			}
		}
	}
}
