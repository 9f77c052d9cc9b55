package storetest

import (
	"context"
	"io"
	"iter"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// faultyAccount passes an account's calls through its Faulty. Grew is not a
// call and never fails.
type faultyAccount struct {
	store.Account
	f  *Faulty
	id mail.AccountID
}

func (a *faultyAccount) Head(ctx context.Context) (mail.ModSeq, error) {
	return ask(ctx, a.f, OpHead, a.id, func() (mail.ModSeq, error) { return a.Account.Head(ctx) })
}

func (a *faultyAccount) Commit(ctx context.Context, after mail.ModSeq, e store.Entry) error {
	return a.f.do(ctx, OpCommit, a.id, func() error {
		if len(e.Take)+len(e.Summaries) > 0 {
			if err := a.f.noRoom(); err != nil {
				return err
			}
		}
		return a.Account.Commit(ctx, after, e)
	})
}

func (a *faultyAccount) Since(ctx context.Context, after mail.ModSeq) iter.Seq2[store.Record, error] {
	return each(ctx, a.f, OpSince, a.id, a.Account.Since(ctx, after))
}

func (a *faultyAccount) Heads(ctx context.Context, call func(store.Head) error) error {
	fault, err := a.f.before(ctx, OpHeads, a.id, true)
	if err != nil {
		return err
	}
	given := fault.count()
	err = a.Account.Heads(ctx, func(h store.Head) error {
		if err := given(); err != nil {
			return err
		}
		return call(h)
	})
	return fault.after(err)
}

func (a *faultyAccount) Load(ctx context.Context, scope store.Scope, kind store.PageKind, call func(uint64, []byte) error) (mail.ModSeq, error) {
	fault, err := a.f.before(ctx, OpLoad, a.id, true)
	if err != nil {
		return 0, err
	}
	given := fault.count()
	saved, err := a.Account.Load(ctx, scope, kind, func(low uint64, data []byte) error {
		if err := given(); err != nil {
			return err
		}
		return call(low, data)
	})
	return saved, fault.after(err)
}

func (a *faultyAccount) Save(ctx context.Context, s store.Save) error {
	return a.f.do(ctx, OpSave, a.id, func() error {
		if err := a.f.noRoom(); err != nil {
			return err
		}
		return a.Account.Save(ctx, s)
	})
}

func (a *faultyAccount) Summaries(ctx context.Context, ids []mail.MessageID, call func(int, []byte) error) error {
	fault, err := a.f.before(ctx, OpSummaries, a.id, true)
	if err != nil {
		return err
	}
	given := fault.count()
	err = a.Account.Summaries(ctx, ids, func(i int, data []byte) error {
		if err := given(); err != nil {
			return err
		}
		return call(i, data)
	})
	return fault.after(err)
}

func (a *faultyAccount) SummaryIDs(ctx context.Context) iter.Seq2[mail.MessageID, error] {
	return each(ctx, a.f, OpSummaryIDs, a.id, a.Account.SummaryIDs(ctx))
}

func (a *faultyAccount) Marked(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return each(ctx, a.f, OpMarked, a.id, a.Account.Marked(ctx))
}

func (a *faultyAccount) Destroy(ctx context.Context) error {
	return a.f.do(ctx, OpDestroy, a.id, func() error { return a.Account.Destroy(ctx) })
}

// count gives a function that lets the first Cut callbacks through.
func (f Fault) count() func() error {
	var given int64
	return func() error {
		if f.Err != nil && given >= f.Cut {
			return f.Err
		}
		given++
		return nil
	}
}

// after is the error of a call that went through to its end.
func (f Fault) after(err error) error {
	if err != nil {
		return err
	}
	return f.Err
}

// faultyBodies passes the calls for bodies through its Faulty. Abandon has no
// way to fail.
type faultyBodies struct {
	store.Bodies
	f *Faulty
}

func (b *faultyBodies) Put(ctx context.Context, r io.Reader) (mail.BodyRef, int64, error) {
	type put struct {
		ref  mail.BodyRef
		size int64
	}
	p, err := ask(ctx, b.f, OpPut, 0, func() (put, error) {
		if err := b.f.noRoom(); err != nil {
			return put{}, err
		}
		ref, size, err := b.Bodies.Put(ctx, r)
		return put{ref, size}, err
	})
	return p.ref, p.size, err
}

func (b *faultyBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	body, err := ask(ctx, b.f, OpOpen, 0, func() (store.Body, error) { return b.Bodies.Open(ctx, ref) })
	if err != nil {
		return nil, err
	}
	return &faultyBody{Body: body, f: b.f}, nil
}

func (b *faultyBodies) All(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return each(ctx, b.f, OpAll, 0, b.Bodies.All(ctx))
}

func (b *faultyBodies) Sweep(ctx context.Context) (store.Swept, error) {
	return ask(ctx, b.f, OpSweep, 0, func() (store.Swept, error) { return b.Bodies.Sweep(ctx) })
}

type faultyBody struct {
	store.Body
	f *Faulty
}

// ReadAt gives what lies before the Cut and then the fault's error, as a medium
// does that is damaged in one place.
func (b *faultyBody) ReadAt(p []byte, off int64) (int, error) {
	fault, err := b.f.before(context.Background(), OpReadAt, 0, true)
	if err != nil {
		return 0, err
	}
	if fault.Err == nil || off+int64(len(p)) <= fault.Cut {
		return b.Body.ReadAt(p, off)
	}
	n, err := b.Body.ReadAt(p[:max(0, fault.Cut-off)], off)
	return n, fault.after(err)
}

type faultyDirectory struct {
	store.Directory
	f *Faulty
}

func (d *faultyDirectory) Create(ctx context.Context, id store.Identity, now time.Time) (store.Identity, error) {
	return ask(ctx, d.f, OpCreate, 0, func() (store.Identity, error) { return d.Directory.Create(ctx, id, now) })
}

func (d *faultyDirectory) Identity(ctx context.Context, id mail.AccountID) (store.Identity, error) {
	return ask(ctx, d.f, OpIdentity, 0, func() (store.Identity, error) { return d.Directory.Identity(ctx, id) })
}

func (d *faultyDirectory) Find(ctx context.Context, name string) (store.Target, error) {
	return ask(ctx, d.f, OpFind, 0, func() (store.Target, error) { return d.Directory.Find(ctx, name) })
}

func (d *faultyDirectory) Update(ctx context.Context, id store.Identity) (store.Identity, error) {
	return ask(ctx, d.f, OpUpdate, 0, func() (store.Identity, error) { return d.Directory.Update(ctx, id) })
}

func (d *faultyDirectory) Remove(ctx context.Context, id mail.AccountID) error {
	return d.f.do(ctx, OpRemove, 0, func() error { return d.Directory.Remove(ctx, id) })
}

func (d *faultyDirectory) SetAlias(ctx context.Context, name string, accounts []mail.AccountID) error {
	return d.f.do(ctx, OpSetAlias, 0, func() error { return d.Directory.SetAlias(ctx, name, accounts) })
}

func (d *faultyDirectory) RemoveAlias(ctx context.Context, name string) error {
	return d.f.do(ctx, OpRemoveAlias, 0, func() error { return d.Directory.RemoveAlias(ctx, name) })
}

func (d *faultyDirectory) Identities(ctx context.Context) iter.Seq2[store.Identity, error] {
	return each(ctx, d.f, OpIdentities, 0, d.Directory.Identities(ctx))
}

func (d *faultyDirectory) Aliases(ctx context.Context) iter.Seq2[store.Alias, error] {
	return each(ctx, d.f, OpAliases, 0, d.Directory.Aliases(ctx))
}

type faultyShelf struct {
	store.Shelf
	f *Faulty
}

func (s *faultyShelf) Get(ctx context.Context, key string) (store.Value, error) {
	return ask(ctx, s.f, OpShelfGet, 0, func() (store.Value, error) { return s.Shelf.Get(ctx, key) })
}

func (s *faultyShelf) Put(ctx context.Context, key string, data []byte, expect uint64, expires time.Time) (uint64, error) {
	return ask(ctx, s.f, OpShelfPut, 0, func() (uint64, error) { return s.Shelf.Put(ctx, key, data, expect, expires) })
}

func (s *faultyShelf) Delete(ctx context.Context, key string, expect uint64) error {
	return s.f.do(ctx, OpShelfDelete, 0, func() error { return s.Shelf.Delete(ctx, key, expect) })
}

func (s *faultyShelf) List(ctx context.Context, prefix string) iter.Seq2[store.Value, error] {
	return each(ctx, s.f, OpShelfList, 0, s.Shelf.List(ctx, prefix))
}
