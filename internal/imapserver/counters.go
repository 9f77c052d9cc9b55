package imapserver

import "postern/internal/observe"

// counters are what an operator can watch.
type counters struct {
	open     *observe.Gauge
	sessions *observe.Counter
	commands *observe.CounterSet // by name
	bad      *observe.Counter
	ended    *observe.CounterSet // by reason
	refused  *observe.CounterSet // by the limit's kind
	leaked   *observe.Counter
	fetched  *observe.Counter
	appended *observe.Counter
	expunged *observe.Counter
	pushes   *observe.Counter
}

func newCounters(r *observe.Registry, table []spec) counters {
	var names []string
	for i := range table {
		names = append(names, table[i].name)
	}
	return counters{
		open:     r.Gauge("postern_imap_sessions", "IMAP sessions that are open."),
		sessions: r.Counter("postern_imap_sessions_total", "IMAP sessions begun."),
		commands: r.CounterBy("postern_imap_commands_total", "IMAP commands carried out.", "command", names...),
		bad:      r.Counter("postern_imap_bad_total", "IMAP commands answered BAD."),
		ended:    r.CounterBy("postern_imap_ended_total", "IMAP sessions ended, by reason.", "reason", endings()...),
		refused: r.CounterBy("postern_imap_refused_total", "IMAP commands refused because of a limit.", "kind",
			"limit reached", "too big", "no space"),
		leaked:   r.Counter("postern_imap_leaked_total", "Logins attempted where everybody can read the password."),
		fetched:  r.Counter("postern_imap_fetched_total", "Messages of which IMAP clients fetched something."),
		appended: r.Counter("postern_imap_appended_total", "Messages that IMAP clients appended."),
		expunged: r.Counter("postern_imap_expunged_total", "Messages that IMAP clients expunged."),
		pushes:   r.Counter("postern_imap_pushes_total", "Times that an idling client was told of changes."),
	}
}
