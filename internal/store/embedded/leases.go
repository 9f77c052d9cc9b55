package embedded

import (
	"sync"
	"time"
)

// leases knows which bodies are under lease. Bodies are numbered as they arrive,
// so one number parts those whose time is over from the others, and a body costs
// nothing while its lease runs. What ends early is a bit; what arrives slowly is
// kept by name.
//
// Everything begun before Open is without lease: whoever put it is gone.
type leases struct {
	mu    sync.Mutex
	time  time.Duration
	now   func() time.Time
	timed bodyID // below it, the lease time has passed since the body was begun
	next  bodyID // above every body begun
	marks []leaseMark
	slow  map[bodyID]time.Time                // large bodies: when the lease ends; zero while they are being put
	ended map[bodyID]*[endedBlock / 64]uint64 // by first body of a block
}

// leaseMark says that every body below next was begun before at.
type leaseMark struct {
	at   time.Time
	next bodyID
}

// endedBlock is how many bodies share one bitmap of ended leases.
const endedBlock = 4096

// leaseMarks is into how many steps the lease time is cut.
const leaseMarks = 64

func newLeases(d time.Duration, now func() time.Time, next uint64) *leases {
	return &leases{time: d, now: now, timed: bodyID(next), next: bodyID(next),
		slow: map[bodyID]time.Time{}, ended: map[bodyID]*[endedBlock / 64]uint64{}}
}

// begin puts a new body under lease. A slow one stays so until done was called
// and the lease time has passed since: its octets may take long to arrive.
func (l *leases) begin(id bodyID, slow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	l.next = id + 1
	if slow {
		l.slow[id] = time.Time{}
	}
}

// done says that a slow body has been put, kept or not.
func (l *leases) done(id bodyID, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept {
		l.slow[id] = l.now().Add(l.time)
	} else {
		delete(l.slow, id)
	}
}

// advance goes on to what the clock says.
func (l *leases) advance() {
	now := l.now()
	last := leaseMark{next: l.timed}
	if n := len(l.marks); n > 0 {
		last = l.marks[n-1]
	}
	if l.next > last.next && now.Sub(last.at) >= l.time/leaseMarks {
		l.marks = append(l.marks, leaseMark{now, l.next})
	}
	before := l.timed
	for len(l.marks) > 0 && now.Sub(l.marks[0].at) >= l.time {
		l.timed = l.marks[0].next
		l.marks = l.marks[1:]
	}
	if l.timed == before {
		return
	}
	for id, end := range l.slow {
		if !end.IsZero() && !now.Before(end) {
			delete(l.slow, id)
		}
	}
	for block := range l.ended {
		if block+endedBlock <= l.timed {
			delete(l.ended, block)
		}
	}
}

// end ends a body's lease.
func (l *leases) end(id bodyID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow, id)
	if id < l.timed || id >= l.next {
		return
	}
	block := id - id%endedBlock
	if l.ended[block] == nil {
		l.ended[block] = new([endedBlock / 64]uint64)
	}
	l.ended[block][id%endedBlock/64] |= 1 << (id % 64)
}

// running reports whether a body is under lease.
func (l *leases) running(id bodyID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	if end, ok := l.slow[id]; ok {
		return end.IsZero() || l.now().Before(end)
	}
	if id < l.timed || id >= l.next {
		return false
	}
	bits := l.ended[id-id%endedBlock]
	return bits == nil || bits[id%endedBlock/64]&(1<<(id%64)) == 0
}

// over gives the body below which no lease runs and none ever will.
func (l *leases) over() bodyID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
	least := l.timed
	for id := range l.slow {
		least = min(least, id)
	}
	return least
}

// pins keeps commits and the sweeper apart, body by body: what a commit takes or
// lets go of is not looked at by the sweeper until the commit is over.
type pins struct {
	mu   sync.Mutex
	held map[bodyID]int
}

func (p *pins) init() { p.held = map[bodyID]int{} }

// hold pins bodies, each as often as it is in the list, until drop is called.
func (p *pins) hold(list []bodyID) (drop func()) {
	if len(list) == 0 {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range list {
		p.held[id]++
	}
	return func() { p.drop(list) }
}

func (p *pins) drop(list []bodyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range list {
		if p.held[id]--; p.held[id] == 0 {
			delete(p.held, id)
		}
	}
}

// unlessHeld runs fn while no commit can pin id, unless one has; it reports
// whether fn was run.
func (p *pins) unlessHeld(id bodyID, fn func() error) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[id] > 0 {
		return false, nil
	}
	return true, fn()
}
