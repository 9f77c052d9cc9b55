package index

import (
	"log/slog"
	"sync"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
	"postern/internal/observe"
)

// Options are what an Index is made with. Zero fields take the defaults named.
type Options struct {
	Pool    *account.Pool
	Log     *slog.Logger      // discards
	Metrics *observe.Registry // none

	// Share is how much of one processor building may take, from above 0 to 1. 0.5.
	Share float64

	// Every is how often it is looked whether accounts in memory have new messages. 5
	// seconds.
	Every time.Duration

	// First is how long after the start accounts that nobody has opened are looked at for the first
	// time. 30 seconds.
	First time.Duration

	// Least is how many messages have to be new before they are made a segment. 64.
	Least int

	// Memory is how many octets what is known of open segments may take, about. 32 MiB.
	Memory int64
}

// Index keeps the text indexes of a pool's accounts.
type Index struct {
	o       Options
	pool    *account.Pool
	log     *slog.Logger
	cache   cache
	numbers numbers

	building sync.Mutex // held while a segment is made

	mu  sync.Mutex
	bad map[mail.BodyRef]mail.AccountID // segments found damaged, not yet taken out
}

// numbers are what is counted.
type numbers struct {
	indexed, segments, merges, damaged, asked *observe.Counter
}

// New gives an Index. Run builds; without it what is there is used.
func New(o Options) *Index {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = observe.NewRegistry()
	}
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 0.5
	}
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	if o.First <= 0 {
		o.First = 30 * time.Second
	}
	if o.Least <= 0 {
		o.Least = 64
	}
	if o.Memory <= 0 {
		o.Memory = 32 << 20
	}
	x := &Index{o: o, pool: o.Pool, log: o.Log, bad: map[mail.BodyRef]mail.AccountID{}}
	x.cache.pool, x.cache.limit = o.Pool, o.Memory
	m := o.Metrics
	x.numbers = numbers{
		indexed:  m.Counter("postern_index_messages_total", "Messages that were read for the text index."),
		segments: m.Counter("postern_index_segments_total", "Segments of the text index that were built of messages."),
		merges:   m.Counter("postern_index_merges_total", "Segments of the text index that were merged of others."),
		damaged:  m.Counter("postern_index_damaged_total", "Segments of the text index that could not be read; they are made again."),
		asked:    m.Counter("postern_index_searches_total", "Searches that asked the text index."),
	}
	return x
}

// Close lets go of what is open. Searches under way end before; Run has ended.
func (x *Index) Close() error { return x.cache.close() }
