package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// oldClients counts clients that were turned away because they speak no TLS that is spoken here, by day and network: whether
// min_version should be lowered for them is to rest on figures.
type oldClients struct {
	mu      sync.Mutex
	days    map[string]map[string]int // by day (UTC, as 2006-01-02) and network
	changed bool
}

const (
	oldDays     = 14   // are kept
	oldNetworks = 1000 // of one day; what comes from others is counted together
	oldOthers   = "other networks"
	oldKey      = "tls/old-clients"
)

// add counts a client. It is what netserver.Config.TurnedAway wants.
func (o *oldClients) add(from netip.Addr, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	day, network := at.UTC().Format(time.DateOnly), auditNetwork(from)
	if o.days == nil {
		o.days = map[string]map[string]int{}
	}
	if o.days[day] == nil {
		o.days[day] = map[string]int{}
		for _, old := range slices.Sorted(maps.Keys(o.days)) {
			if len(o.days) > oldDays {
				delete(o.days, old)
			}
		}
	}
	if _, known := o.days[day][network]; !known && len(o.days[day]) >= oldNetworks {
		network = oldOthers
	}
	o.days[day][network]++
	o.changed = true
}

// report gives what was counted.
func (o *oldClients) report() map[string]map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make(map[string]map[string]int, len(o.days))
	for day, networks := range o.days {
		all[day] = maps.Clone(networks)
	}
	return all
}

// load reads what was kept; what cannot be read is no reason not to start.
func (o *oldClients) load(ctx context.Context, shelf store.Shelf) error {
	v, err := shelf.Get(ctx, oldKey)
	if mail.KindOf(err) == mail.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return json.Unmarshal(v.Data, &o.days)
}

// save keeps what came since it was kept last.
func (o *oldClients) save(ctx context.Context, shelf store.Shelf) error {
	o.mu.Lock()
	changed := o.changed
	o.changed = false
	o.mu.Unlock()
	if !changed {
		return nil
	}
	data, err := json.Marshal(o.report())
	if err != nil {
		return err
	}
	_, err = shelf.Put(ctx, oldKey, data, store.AnyVersion, time.Time{})
	return err
}
