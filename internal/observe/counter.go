package observe

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry holds the counters of one server. Make one with NewRegistry and hand
// it to every package that counts. A nil *Registry is useful too: its counters
// count and nobody ever sees them, which is what most tests want.
//
// Asking twice for the same name gives the same counter, so that two listeners
// or two sessions need not agree on who asks first. Asking for one name with
// two meanings (another help text, kind or set of labels) is a mistake in the
// program and panics when the server is wired together.
type Registry struct {
	prom *prometheus.Registry

	mu   sync.Mutex
	made map[string]made
}

type made struct {
	meaning string
	metric  any
}

// NewRegistry gives an empty registry.
func NewRegistry() *Registry {
	return &Registry{prom: prometheus.NewRegistry(), made: make(map[string]made)}
}

// Gatherer gives the figures in the form that an exporter reads.
func (r *Registry) Gatherer() prometheus.Gatherer {
	if r == nil {
		return prometheus.NewRegistry()
	}
	return r.prom
}

// Counter only ever rises.
type Counter struct{ c prometheus.Counter }

// Add adds one.
func (c *Counter) Add() { c.c.Inc() }

// AddN adds n, which counts bytes and batches.
func (c *Counter) AddN(n uint64) { c.c.Add(float64(n)) }

// Gauge rises and falls: what is open now, when something last happened.
type Gauge struct{ g prometheus.Gauge }

// Add changes the gauge by n, which may be negative.
func (g *Gauge) Add(n int) { g.g.Add(float64(n)) }

// Set makes the gauge v.
func (g *Gauge) Set(v float64) { g.g.Set(v) }

// other is the label value of everything a CounterSet was not told of.
const other = "other"

// CounterSet is one counter per value of a label. The values are named when the
// set is made; any other value is counted as "other". So no client can make the
// set grow, whatever it sends.
type CounterSet struct {
	known map[string]*Counter
}

// Of gives the counter of a label value.
func (s *CounterSet) Of(value string) *Counter {
	if c, ok := s.known[value]; ok {
		return c
	}
	return s.known[other]
}

// Counter gives the counter of that name. Names follow the Prometheus habit:
// postern_ first, the unit and _total last. The help text is one sentence for
// an operator who has never read the source.
func (r *Registry) Counter(name, help string) *Counter {
	return get(r, name, "counter: "+help, func() (*Counter, prometheus.Collector) {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		return &Counter{c}, c
	})
}

// Gauge gives the gauge of that name.
func (r *Registry) Gauge(name, help string) *Gauge {
	return get(r, name, "gauge: "+help, func() (*Gauge, prometheus.Collector) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		return &Gauge{g}, g
	})
}

// CounterBy gives a set of counters that differ in one label. values is the
// closed list of what the label can be.
func (r *Registry) CounterBy(name, help, label string, values ...string) *CounterSet {
	meaning := fmt.Sprintf("counter by %s %q: %s", label, values, help)
	return get(r, name, meaning, func() (*CounterSet, prometheus.Collector) {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		known := make(map[string]*Counter, len(values)+1)
		for _, v := range append([]string{other}, values...) {
			known[v] = &Counter{vec.WithLabelValues(v)}
		}
		return &CounterSet{known}, vec
	})
}

func get[M any](r *Registry, name, meaning string, build func() (M, prometheus.Collector)) M {
	if r == nil {
		m, _ := build()
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.made[name]; ok {
		if was.meaning != meaning {
			panic(fmt.Sprintf("observe: %s has two meanings: %s / %s", name, was.meaning, meaning))
		}
		return was.metric.(M)
	}
	m, collector := build()
	r.prom.MustRegister(collector)
	r.made[name] = made{meaning, m}
	return m
}
