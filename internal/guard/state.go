package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strings"

	"postern/internal/mail"
	"postern/internal/observe"
)

// Shelf is where the guard keeps over restarts what must not be forgotten by one:
// small named values. The roof makes one of the store's.
type Shelf interface {
	// Put writes a value if its version is still the given one, 0 for one that is
	// not there; else ErrChanged.
	Put(ctx context.Context, key string, data []byte, version uint64) (uint64, error)
	// All gives the values whose keys begin with a prefix.
	All(ctx context.Context, prefix string) iter.Seq2[Kept, error]
}

// Kept is a value on the shelf.
type Kept struct {
	Key     string
	Data    []byte
	Version uint64
}

// ErrChanged is given by Shelf.Put where another node was faster.
var ErrChanged = errors.New("guard: changed by another node")

// What is kept is cut into parts by hash, so that no value is large and what did
// not change need not be written again. Passwords' prints are not kept.
const (
	parts       = 256
	statePrefix = "guard/state/"
	peoplePre   = statePrefix + "people/"
	placesPre   = statePrefix + "places/"
	stateV1     = 1
)

// dirt is which parts have changed since they were kept.
type dirt struct{ people, places [parts]bool }

func (d *dirt) person(id mail.AccountID) { d.people[personPart(id)] = true }
func (d *dirt) place(n network)          { d.places[placePart(n)] = true }

func personPart(id mail.AccountID) int { return int(mix(uint64(id)) >> 56) }
func placePart(n network) int          { return int(mix(uint64(n)) >> 56) }

// Load takes in what was kept. It is called before the first try.
func (g *Guard) Load(ctx context.Context, shelf Shelf) error {
	g.saving.Lock()
	defer g.saving.Unlock()
	return g.takeIn(ctx, shelf, statePrefix)
}

func (g *Guard) takeIn(ctx context.Context, shelf Shelf, prefix string) error {
	for kept, err := range shelf.All(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("guard: read what is kept: %w", err)
		}
		take := g.takePlaces
		if strings.HasPrefix(kept.Key, peoplePre) {
			take = g.takePeople
		}
		if err := take(kept.Data); err != nil {
			// It will be written anew. Who is known there will be a stranger until then.
			g.o.Log.Warn("what the guard had kept is damaged", slog.String(observe.KeyFile, kept.Key), observe.Error(err))
		}
		g.versions[kept.Key] = kept.Version
	}
	return nil
}

// Save keeps what has changed since the last time. What another node has kept
// meanwhile is taken in first.
func (g *Guard) Save(ctx context.Context, shelf Shelf) error {
	g.saving.Lock()
	defer g.saving.Unlock()
	for part := range parts {
		if err := g.savePart(ctx, shelf, peoplePre, part, &g.dirty.people[part], g.encodePeople); err != nil {
			return err
		}
		if err := g.savePart(ctx, shelf, placesPre, part, &g.dirty.places[part], g.encodePlaces); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) savePart(ctx context.Context, shelf Shelf, prefix string, part int, dirty *bool, encode func(int) []byte) error {
	g.mu.Lock()
	was := *dirty
	*dirty = false
	g.unlock()
	if !was {
		return nil
	}
	key := fmt.Sprintf("%s%02x", prefix, part)
	for {
		version, err := shelf.Put(ctx, key, encode(part), g.versions[key])
		if errors.Is(err, ErrChanged) {
			delete(g.versions, key)
			err = g.takeIn(ctx, shelf, key)
			if err == nil {
				continue
			}
		}
		if err != nil {
			g.mu.Lock()
			*dirty = true
			g.unlock()
			return fmt.Errorf("guard: keep %s: %w", key, err)
		}
		g.versions[key] = version
		return nil
	}
}

// encodePeople gives the accounts of a part. A value is the version, then
// accounts: ID, flags of what follows, devices.
func (g *Guard) encodePeople(part int) []byte {
	g.mu.Lock()
	defer g.unlock()
	now := g.now()
	b := []byte{stateV1}
	g.people.all(func(id mail.AccountID, p *person) bool {
		if personPart(id) != part || p.worth() == 0 && p.weak == 0 {
			return true
		}
		if len(b) > maxValue {
			return false
		}
		b = binary.AppendUvarint(b, uint64(id))
		b = appendBucket(b, p.strangers)
		b = binary.AppendUvarint(b, uint64(p.inARow))
		b = binary.AppendUvarint(b, uint64(p.weak))
		live := 0
		for i := range p.devices {
			if p.devices[i].seen+familiarFor > now {
				live++
			}
		}
		b = binary.AppendUvarint(b, uint64(live))
		for i := range p.devices {
			d := &p.devices[i]
			if d.seen+familiarFor <= now {
				continue
			}
			b = binary.LittleEndian.AppendUint64(b, uint64(d.network))
			b = binary.LittleEndian.AppendUint64(b, d.client)
			b = binary.AppendUvarint(b, uint64(d.seen))
			b = appendBucket(b, d.budget)
		}
		return true
	})
	return b
}

// maxValue is where a value ends: the shelf takes 1 MiB, and one account is far
// smaller than the difference. The accounts seen last come first.
const maxValue = 1<<20 - 64<<10

func (g *Guard) encodePlaces(part int) []byte {
	g.mu.Lock()
	defer g.unlock()
	b := []byte{stateV1}
	g.places.all(func(n network, p *place) bool {
		if placePart(n) != part || p.worth() < 2 {
			return true
		}
		if len(b) > maxValue {
			return false
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
		b = appendBucket(b, p.strangers)
		b = binary.AppendUvarint(b, uint64(p.blocked))
		b = append(b, p.offences)
		b = binary.AppendUvarint(b, uint64(p.good.last))
		for i := range p.good.panes {
			for _, w := range p.good.panes[i] {
				b = binary.LittleEndian.AppendUint64(b, w)
			}
		}
		return true
	})
	return b
}

func appendBucket(b []byte, k bucket) []byte {
	b = binary.AppendUvarint(b, uint64(k.at))
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(k.left))
}

// takePeople merges kept accounts into those known: the later sign-in, the emptier
// budget.
func (g *Guard) takePeople(data []byte) error {
	r, err := newStateReader(data)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.unlock()
	for r.more() {
		id := mail.AccountID(r.number())
		kept := person{strangers: r.bucket(), inARow: uint16(r.number()), weak: uint32(r.number())}
		n := r.number()
		if n > maxDevices {
			return errState
		}
		for range n {
			kept.devices = append(kept.devices, device{network: network(r.word()), client: r.word(), seen: uint32(r.number()), budget: r.bucket()})
		}
		if r.bad || id == 0 {
			return errState
		}
		p := g.people.put(id)
		p.strangers.merge(kept.strangers)
		p.inARow, p.weak = max(p.inARow, kept.inARow), max(p.weak, kept.weak)
		was := len(p.devices)
		p.mergeDevices(kept.devices)
		g.devices += len(p.devices) - was
	}
	g.makeRoom()
	return r.err()
}

func (p *person) mergeDevices(kept []device) {
	for _, k := range kept {
		at := slices.IndexFunc(p.devices, func(d device) bool { return d.network == k.network && d.client == k.client })
		if at < 0 {
			p.devices = append(p.devices, k)
			continue
		}
		d := &p.devices[at]
		d.seen = max(d.seen, k.seen)
		d.budget.merge(k.budget)
	}
	slices.SortStableFunc(p.devices, func(a, b device) int { return int(int64(a.seen) - int64(b.seen)) })
	if more := len(p.devices) - maxDevices; more > 0 {
		p.devices = slices.Delete(p.devices, 0, more)
	}
}

func (g *Guard) takePlaces(data []byte) error {
	r, err := newStateReader(data)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.unlock()
	for r.more() {
		n := network(r.word())
		kept := place{strangers: r.bucket(), blocked: uint32(r.number()), offences: r.octet()}
		kept.good.last = uint32(r.number())
		for i := range kept.good.panes {
			for j := range kept.good.panes[i] {
				kept.good.panes[i][j] = r.word()
			}
		}
		if r.bad {
			return errState
		}
		p := g.places.put(n)
		p.strangers.merge(kept.strangers)
		p.blocked, p.offences = max(p.blocked, kept.blocked), max(p.offences, kept.offences)
		p.good.merge(&kept.good)
	}
	return r.err()
}

// merge takes the emptier of two, as of the later time; which of them it was matters
// little.
func (b *bucket) merge(k bucket) {
	switch {
	case k.at == 0:
	case b.at == 0:
		*b = k
	default:
		b.left, b.at = min(b.left, k.left), max(b.at, k.at)
	}
}

func (w *goodWindow) merge(k *goodWindow) {
	latest := max(w.last, k.last)
	turn(w.panes[:], &w.last, latest)
	turn(k.panes[:], &k.last, latest)
	for i := range w.panes {
		union(w.panes[i][:], k.panes[i][:])
	}
}

// stateReader reads a kept value.
type stateReader struct {
	data []byte
	bad  bool
}

var errState = mail.Errorf(mail.Corrupt, "it is not what the guard keeps")

func newStateReader(data []byte) (*stateReader, error) {
	if len(data) == 0 {
		return nil, errState
	}
	if data[0] != stateV1 {
		return nil, mail.Errorf(mail.Corrupt, "it is of version %d, which this release does not know", data[0])
	}
	return &stateReader{data: data[1:]}, nil
}

func (r *stateReader) more() bool { return !r.bad && len(r.data) > 0 }

func (r *stateReader) err() error {
	if r.bad {
		return errState
	}
	return nil
}

func (r *stateReader) number() uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *stateReader) take(n int) []byte {
	if len(r.data) < n {
		r.bad, r.data = true, nil
		return make([]byte, n)
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *stateReader) word() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *stateReader) octet() uint8 { return r.take(1)[0] }

func (r *stateReader) bucket() bucket {
	b := bucket{at: uint32(r.number()), left: math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))}
	if math.IsNaN(float64(b.left)) || b.left < 0 {
		r.bad = true
	}
	return b
}
