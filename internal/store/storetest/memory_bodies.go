package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// memBody is a stored body. Its data is never written to again.
type memBody struct {
	data  []byte
	marks map[mail.AccountID]bool
	lease time.Time // when the lease ends; zero: it is over
}

func (d *memData) leased(ref mail.BodyRef) bool {
	b := d.bodies[ref]
	return b != nil && d.now().Before(b.lease)
}

func (d *memData) mark(id mail.AccountID, a *memAccount, ref mail.BodyRef) {
	a.marks[ref] = true
	d.bodies[ref].marks[id] = true
}

// unmark takes an account's mark off a body. The last mark to go takes the
// lease along.
func (d *memData) unmark(id mail.AccountID, a *memAccount, ref mail.BodyRef) {
	if !a.marks[ref] {
		return
	}
	delete(a.marks, ref)
	b := d.bodies[ref]
	delete(b.marks, id)
	if len(b.marks) == 0 {
		b.lease = time.Time{}
	}
}

type memBodies struct{ d *memData }

func (m memBodies) Put(ctx context.Context, r io.Reader) (mail.BodyRef, int64, error) {
	// Reading comes first and outside the lock: r may be a slow connection.
	if err := ctx.Err(); err != nil {
		return mail.BodyRef{}, 0, mail.Wrap(err, mail.Canceled, "given up")
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return mail.BodyRef{}, 0, err
	}
	if err := m.d.enter(ctx); err != nil {
		return mail.BodyRef{}, 0, err
	}
	defer m.d.mu.Unlock()
	m.d.lastBody++
	var ref mail.BodyRef
	copy(ref[:], "memory: ")
	binary.BigEndian.PutUint64(ref[8:], m.d.lastBody)
	m.d.bodies[ref] = &memBody{data: data, marks: map[mail.AccountID]bool{}, lease: m.d.now().Add(LeaseTime)}
	return ref, int64(len(data)), nil
}

func (m memBodies) Abandon(ctx context.Context, ref mail.BodyRef) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	if b := m.d.bodies[ref]; b != nil {
		b.lease = time.Time{}
	}
}

func (m memBodies) Open(ctx context.Context, ref mail.BodyRef) (store.Body, error) {
	if err := m.d.enter(ctx); err != nil {
		return nil, err
	}
	defer m.d.mu.Unlock()
	b := m.d.bodies[ref]
	if b == nil {
		return nil, mail.Errorf(mail.NotFound, "there is no body %v", ref)
	}
	return openMemBody{bytes.NewReader(b.data)}, nil
}

// openMemBody reads the data it was opened with, swept or not.
type openMemBody struct{ *bytes.Reader }

func (openMemBody) Close() error { return nil }

func (m memBodies) All(ctx context.Context) iter.Seq2[mail.BodyRef, error] {
	return sequence(ctx, m.d, func() []mail.BodyRef { return slices.Collect(maps.Keys(m.d.bodies)) })
}

func (m memBodies) Sweep(ctx context.Context) (store.Swept, error) {
	if err := m.d.enter(ctx); err != nil {
		return store.Swept{}, err
	}
	defer m.d.mu.Unlock()
	var swept store.Swept
	for ref, b := range m.d.bodies {
		if len(b.marks) > 0 || m.d.leased(ref) {
			continue
		}
		swept.Bodies++
		swept.Bytes += int64(len(b.data))
		delete(m.d.bodies, ref)
	}
	return swept, nil
}
