package netserver

import "postern/internal/observe"

// Why a connection was turned away at the door.
const (
	refusedAddress  = "address"  // too many from this address before login
	refusedRange    = "range"    // too many from this network before login
	refusedAll      = "all"      // too many before login, or too many at all
	refusedNetwork  = "network"  // plaintext, and not from a listed network
	refusedDraining = "draining" // the server is stopping
)

// Why a TLS handshake failed.
const (
	tlsTimeout   = "timeout"   // not done in time
	tlsOld       = "version"   // the client speaks only older versions
	tlsNotTLS    = "not_tls"   // the first bytes are no TLS record
	tlsAlert     = "alert"     // the client refused, most often our certificate
	tlsGone      = "gone"      // the client went away
	tlsDisplaced = "displaced" // we closed it: no room, or shutting down
)

type counters struct {
	accepted, acceptErrors, displaced, stalled, panics *observe.Counter

	open *observe.Gauge

	refused, handshakes, tlsFailures, tlsOld *observe.CounterSet
}

func newCounters(r *observe.Registry) counters {
	return counters{
		accepted:     r.Counter("postern_connections_total", "Connections that were let in."),
		acceptErrors: r.Counter("postern_accept_errors_total", "Failures to accept a connection, such as no descriptors left."),
		displaced:    r.Counter("postern_connections_displaced_total", "Connections closed before login to make room for newer ones."),
		stalled:      r.Counter("postern_connections_stalled_total", "Connections closed because the client stopped reading."),
		panics:       r.Counter("postern_panics_total", "Faults that ended one connection; each has a log line with its stack."),
		open:         r.Gauge("postern_connections_open", "Connections open now."),
		refused: r.CounterBy("postern_connections_refused_total", "Connections turned away at the door, by reason.", "reason",
			refusedAddress, refusedRange, refusedAll, refusedNetwork, refusedDraining),
		handshakes: r.CounterBy("postern_tls_handshakes_total", "TLS handshakes completed, by version.", "version", "1.2", "1.3"),
		tlsFailures: r.CounterBy("postern_tls_failures_total", "TLS handshakes that failed, by reason.", "reason",
			tlsTimeout, tlsOld, tlsNotTLS, tlsAlert, tlsGone, tlsDisplaced),
		tlsOld: r.CounterBy("postern_tls_refused_old_total", "Clients turned away because the best TLS version they speak is too old; those at 1.2 would be served with tls.min_version = \"1.2\".", "best", "1.0", "1.1", "1.2"),
	}
}
