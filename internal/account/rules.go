package account

import (
	"context"
	"math"
	"time"

	"postern/internal/mail"
)

// Rules are what an organisation wants of one account's mail.
type Rules struct {
	// Hold is how long expunged mail is kept, where that is longer than Options.ExpungeHold.
	Hold time.Duration
	// Keep keeps expunged mail for ever: a legal hold.
	Keep bool
	// Expire is how long a message stays in mailboxes of a special use after it came there. No entry is for ever.
	Expire map[mail.SpecialUse]time.Duration
}

// rulesLinger is how long the rules for an account are taken as they were. Who they are for may change its name.
const rulesLinger = 10 * time.Minute

// knownRules are the rules for an account as they were found; housekeeping alone looks at them.
type knownRules struct {
	Rules
	until      time.Time
	generation uint64

	expireAt int64 // unix second before which nothing expires
}

// NewRules says that Options.Rules gives other answers from now on.
func (p *Pool) NewRules() { p.generation.Add(1) }

// rulesOf gives the rules for an account. After an error nobody may remove anything.
func (p *Pool) rulesOf(ctx context.Context, id mail.AccountID) (r Rules, err error) {
	if p.o.Rules != nil {
		r, err = p.o.Rules(ctx, id)
	}
	r.Hold = max(r.Hold, p.o.ExpungeHold)
	return r, err
}

// knowRules gives the rules for an open account. Pool.keeping is held.
func (a *Account) knowRules(ctx context.Context) (*knownRules, error) {
	k, now, generation := &a.rules, a.pool.o.Now(), a.pool.generation.Load()
	if now.Before(k.until) && k.generation == generation {
		return k, nil
	}
	r, err := a.pool.rulesOf(ctx, a.id)
	if err != nil {
		return nil, err
	}
	if k.generation != generation {
		k.expireAt = 0
	}
	k.Rules, k.until, k.generation = r, now.Add(rulesLinger), generation
	return k, nil
}

// due is the unix second up to which what was expunged is freed.
func (r Rules) due(now time.Time) int64 {
	if r.Keep {
		return math.MinInt64
	}
	return now.Add(-r.Hold).Unix()
}
