package storetest

import (
	"context"
	"iter"
	"sync"

	"postern/internal/mail"
	"postern/internal/store"
)

// Op names a method of the contract that a Faulty can make fail.
type Op string

// The methods. Those of Directory and Shelf bear the name of their part.
const (
	OpAccounts   Op = "Store.Accounts"
	OpHead       Op = "Account.Head"
	OpCommit     Op = "Account.Commit"
	OpSince      Op = "Account.Since"
	OpHeads      Op = "Account.Heads"
	OpLoad       Op = "Account.Load"
	OpSave       Op = "Account.Save"
	OpSummaries  Op = "Account.Summaries"
	OpSummaryIDs Op = "Account.SummaryIDs"
	OpMarked     Op = "Account.Marked"
	OpDestroy    Op = "Account.Destroy"
	OpPut        Op = "Bodies.Put"
	OpOpen       Op = "Bodies.Open"
	OpReadAt     Op = "Body.ReadAt"
	OpAll        Op = "Bodies.All"
	OpSweep      Op = "Bodies.Sweep"

	OpCreate      Op = "Directory.Create"
	OpIdentity    Op = "Directory.Identity"
	OpFind        Op = "Directory.Find"
	OpUpdate      Op = "Directory.Update"
	OpRemove      Op = "Directory.Remove"
	OpSetAlias    Op = "Directory.SetAlias"
	OpRemoveAlias Op = "Directory.RemoveAlias"
	OpIdentities  Op = "Directory.Identities"
	OpAliases     Op = "Directory.Aliases"

	OpShelfGet    Op = "Shelf.Get"
	OpShelfPut    Op = "Shelf.Put"
	OpShelfDelete Op = "Shelf.Delete"
	OpShelfList   Op = "Shelf.List"
)

// Fault says how a call fails.
type Fault struct {
	// Err is what the call gives. Nil: the call goes through (with Block, late).
	Err error

	// Done lets the call have its effect before it gives Err: a reply lost on
	// its way. With ErrUnknown it is the case where the entry was written.
	Done bool

	// Account is whose calls fail; 0 stands for everybody's. It matters to the
	// methods of store.Account alone.
	Account mail.AccountID

	// Skip lets so many calls through before the first that fails.
	Skip int

	// Times is how many calls fail: 0 means one, below 0 all until Clear.
	Times int

	// Cut tears what is read: iterations and callbacks give so many elements
	// before Err, and ReadAt fails only where it reads beyond that offset.
	Cut int64

	// Block, if there is one, holds the call up until Release, or until its ctx
	// ends (then the call gives mail.Canceled).
	Block *Block
}

// Block holds calls up. Make it with NewBlock.
type Block struct {
	arrived chan struct{}
	gate    chan struct{}
	once    sync.Once
}

// NewBlock gives a closed gate.
func NewBlock() *Block {
	return &Block{arrived: make(chan struct{}, 1<<10), gate: make(chan struct{})}
}

// Arrived receives once for each call that came to the gate.
func (b *Block) Arrived() <-chan struct{} { return b.arrived }

// Release opens the gate for good.
func (b *Block) Release() { b.once.Do(func() { close(b.gate) }) }

func (b *Block) wait(ctx context.Context) error {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
	select {
	case <-b.gate:
		return nil
	case <-ctx.Done():
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
}

// Faulty is a store that fails on command and otherwise does as the store below.
type Faulty struct {
	store.Store
	mu     sync.Mutex
	faults map[Op][]*Fault
	calls  map[Op]int
	full   bool
}

// Failing puts a Faulty before a store. Without a command it changes nothing.
func Failing(s store.Store) *Faulty {
	return &Faulty{Store: s, faults: map[Op][]*Fault{}, calls: map[Op]int{}}
}

// Fail commands that calls of op fail so. Several commands for one method take
// their turn in order; one that is used up makes room for the next.
func (f *Faulty) Fail(op Op, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.faults[op] = append(f.faults[op], &fault)
}

// Clear takes back every command, DiskFull included. Calls that are held up
// stay so until their Block is released.
func (f *Faulty) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
	f.full = false
}

// DiskFull makes everything that needs room give mail.NoSpace, as a disk
// below its reserve does: Put, Save, and a Commit that takes bodies or adds
// summaries. Reading, sweeping and other commits go on.
func (f *Faulty) DiskFull(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

// Calls is how often a method was called, failed or not.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// next counts a call and gives the fault that is its turn, if any.
func (f *Faulty) next(op Op, id mail.AccountID) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	for i, fault := range f.faults[op] {
		if fault.Account != 0 && fault.Account != id {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			return Fault{}
		}
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.faults[op] = append(f.faults[op][:i:i], f.faults[op][i+1:]...)
			}
		}
		return *fault
	}
	return Fault{}
}

// before finds a call's fault and waits at its gate. A call whose fault keeps
// it from happening gets the error at once.
func (f *Faulty) before(ctx context.Context, op Op, id mail.AccountID, tears bool) (Fault, error) {
	fault := f.next(op, id)
	if fault.Block != nil {
		if err := fault.Block.wait(ctx); err != nil {
			return Fault{}, err
		}
	}
	if fault.Err != nil && !fault.Done && !(tears && fault.Cut > 0) {
		return Fault{}, fault.Err
	}
	return fault, nil
}

// do makes one call that gives nothing but an error.
func (f *Faulty) do(ctx context.Context, op Op, id mail.AccountID, call func() error) error {
	fault, err := f.before(ctx, op, id, false)
	if err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return fault.Err
}

// ask makes one call that gives a value.
func ask[T any](ctx context.Context, f *Faulty, op Op, id mail.AccountID, call func() (T, error)) (T, error) {
	var zero T
	fault, err := f.before(ctx, op, id, false)
	if err != nil {
		return zero, err
	}
	v, err := call()
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		return zero, err
	}
	return v, nil
}

// each makes one iteration.
func each[T any](ctx context.Context, f *Faulty, op Op, id mail.AccountID, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		fault, err := f.before(ctx, op, id, true)
		if err != nil {
			yield(zero, err)
			return
		}
		var given int64
		for v, err := range seq {
			if fault.Err != nil && given >= fault.Cut {
				break
			}
			given++
			if !yield(v, err) || err != nil {
				return
			}
		}
		if fault.Err != nil {
			yield(zero, fault.Err)
		}
	}
}

// noRoom is the error of a full disk, nil while there is room.
func (f *Faulty) noRoom() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return mail.Errorf(mail.NoSpace, "the disk is below its reserve")
	}
	return nil
}

// Account implements store.Store.
func (f *Faulty) Account(id mail.AccountID) store.Account {
	return &faultyAccount{Account: f.Store.Account(id), f: f, id: id}
}

// Accounts implements store.Store.
func (f *Faulty) Accounts(ctx context.Context) iter.Seq2[mail.AccountID, error] {
	return each(ctx, f, OpAccounts, 0, f.Store.Accounts(ctx))
}

// Bodies implements store.Store.
func (f *Faulty) Bodies() store.Bodies { return &faultyBodies{Bodies: f.Store.Bodies(), f: f} }

// Directory implements store.Store.
func (f *Faulty) Directory() store.Directory {
	return &faultyDirectory{Directory: f.Store.Directory(), f: f}
}

// Shelf implements store.Store.
func (f *Faulty) Shelf() store.Shelf { return &faultyShelf{Shelf: f.Store.Shelf(), f: f} }
