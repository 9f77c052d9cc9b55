package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"postern/internal/auth"
	"postern/internal/observe"
	"postern/internal/store"
)

// scramState is what SCRAM needs of the whole house.
type scramState struct {
	// ready says that every account has keys. A client that finds SCRAM announced
	// tries nothing else, so it is not announced before.
	ready   atomic.Bool
	saltKey []byte // makes up salts for users who do not exist
}

// saltKeyName is where saltKey is kept: an attacker must not learn from a restart
// who exists.
const saltKeyName = "auth/salt-key"

// openScram reads the key or makes one, and looks at the accounts.
func openScram(ctx context.Context, s store.Store) (*scramState, error) {
	key, err := shelfKey(ctx, s.Shelf(), saltKeyName)
	state := &scramState{saltKey: key}
	return state, errors.Join(err, state.look(ctx, s.Directory()))
}

// look sees whether every account has keys that somebody signs in to.
func (s *scramState) look(ctx context.Context, d store.Directory) error {
	ready := true
	for identity, err := range d.Identities(ctx) {
		if err != nil {
			return err
		}
		if ready = identity.Shared || auth.HasKeys(identity.Credentials); !ready {
			break
		}
	}
	s.ready.Store(ready)
	return nil
}

// scramPause is how long after a change to the directory it is looked at again.
// Where there are so many accounts that a look takes long, it is ten times that.
const scramPause = 2 * time.Second

// watch looks again whenever the directory has changed, until ctx ends.
func (s *scramState) watch(ctx context.Context, d store.Directory, log *slog.Logger) {
	changed, stop := d.Watch()
	defer stop()
	pause := scramPause
	for {
		begun := time.Now()
		if err := s.look(ctx, d); err != nil && ctx.Err() == nil {
			log.Warn("the accounts could not be looked at for their SCRAM keys, and are again after the next change", observe.Error(err))
		}
		pause = max(scramPause, 10*time.Since(begun))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
