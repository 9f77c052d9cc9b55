// Package accounttest goes over a store after a test that used it.
package accounttest

import (
	"context"
	"testing"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/store"
)

// Check fails the test for everything account.Check finds wrong in a store, and
// for every body that neither an account nor a lease holds and a sweep leaves
// behind. Pools over the store may be open or closed.
func Check(t testing.TB, s store.Store) {
	t.Helper()
	// Clean-ups run when the test's own context has ended.
	ctx := context.WithoutCancel(t.Context())
	err := account.Check(ctx, s, func(p account.Problem) { t.Errorf("store: %s", p) })
	if err != nil {
		t.Errorf("store: cannot be checked: %v", err)
		return
	}
	if m, ok := s.(interface{ EndLeases() }); ok {
		m.EndLeases()
		checkOrphans(ctx, t, s)
	}
}

// checkOrphans fails the test for bodies that a sweep should have taken, or
// should not. No lease holds any.
func checkOrphans(ctx context.Context, t testing.TB, s store.Store) {
	t.Helper()
	if _, err := s.Bodies().Sweep(ctx); err != nil {
		t.Errorf("store: sweep: %v", err)
	}
	marked := map[mail.BodyRef]bool{}
	for id, err := range s.Accounts(ctx) {
		if err != nil {
			t.Errorf("store: %v", err)
			return
		}
		for ref, err := range s.Account(id).Marked(ctx) {
			if err != nil {
				t.Errorf("store: %v", err)
				return
			}
			marked[ref] = true
		}
	}
	for ref, err := range s.Bodies().All(ctx) {
		if err != nil {
			t.Errorf("store: %v", err)
			return
		}
		if !marked[ref] {
			t.Errorf("store: body %s belongs to nobody and was not swept", ref)
		}
		delete(marked, ref)
	}
	for ref := range marked {
		t.Errorf("store: body %s is marked and not there", ref)
	}
}
