package imapserver

import (
	"time"

	"postern/internal/imapwire"
)

// Limits bound what one connection may cost. A zero field takes the value of
// DefaultLimits; a Before or After whose Line is zero is taken whole.
type Limits struct {
	Before, After imapwire.Limits // of one command, before and after login

	// Message is the largest message APPEND takes, announced as APPENDLIMIT
	// (RFC 7889), in octets.
	Message int64

	FirstCommand time.Duration // from the greeting to the end of the first command
	Command      time.Duration // from a command's first octet to its last, messages apart
	Login        time.Duration // from the connection's beginning to its login
	Idle         time.Duration // without a command, after login
	Still        time.Duration // between two signs of life in IDLE
	StillQuiet   time.Duration // the same for clients that each of them wakes
	HeldBack     time.Duration // an expunge held back so long ends the session
	Search       time.Duration // one SEARCH, SORT or THREAD may wait and work so long
	SearchCPU    time.Duration // and may take so much of a processor's time
	Progress     time.Duration // between two notices of a long command; none are given if it is negative

	// MessageRate is the least octets a second at which the data of a message
	// must come in, averaged over MessageWindow.
	MessageRate   int64
	MessageWindow time.Duration

	BadBefore int // commands answered BAD before login; the last of them ends it
	Bad       int // commands answered BAD after login
	BadInRow  int // and one after the other

	// Sessions is how many sessions one account may have at a time.
	Sessions int

	// Messages is how many messages one command may work on (MESSAGELIMIT, RFC 9738), Save how many COPY and APPEND may
	// save (SAVELIMIT). 0 is any number.
	Messages, Save int

	// Notify is how many mailboxes one session may follow with NOTIFY. All of them
	// are compared whenever one has changed.
	Notify int

	// Contexts is how many searches with UPDATE one session may have (RFC 5267 4.3.1:
	// at least one).
	Contexts int

	// Searches is how many of them may search, sort or thread at a time; others
	// wait for their turn.
	Searches int
}

// DefaultLimits are the limits unless the operator sets others.
func DefaultLimits() Limits {
	const message = 64 << 20
	before := imapwire.BeforeLogin()
	// Outlook sends ID with a literal for every value (30 pairs at most, RFC 2971
	// 3.3); what they hold together is bounded by Args.
	before.Literals = 60
	return Limits{
		Before: before, After: imapwire.LoggedIn(message), Message: message,
		FirstCommand: 15 * time.Second, // a client that connects has something to say
		Command:      60 * time.Second,
		Login:        60 * time.Second,
		Idle:         32 * time.Minute, // RFC 9051 5.4: at least 30; clients renew their IDLE every 29
		Still:        2 * time.Minute,  // some NATs forget a connection after less than five
		StillQuiet:   14 * time.Minute, // and some after fifteen
		HeldBack:     12 * time.Hour,   // half of what expunged mail stays readable
		Search:       time.Minute,
		// Half of that: some gigabytes of text. Who takes more gets their answer from a
		// narrower search, and meanwhile everybody else is not slowed by it.
		SearchCPU:   30 * time.Second,
		Progress:    10 * time.Second, // RFC 9585 4: 10 to 15 seconds
		MessageRate: 1 << 10, MessageWindow: 30 * time.Second,
		BadBefore: 3, Bad: 20, // as Dovecot
		BadInRow: 10, // as Cyrus
		Sessions: 50, // a household of clients with five connections each
		Searches: 4,
		Contexts: 16,
		Notify:   10_000, // as many as an account can have
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.Message <= 0 {
		l.Message = d.Message
	}
	if l.Before.Line == 0 {
		l.Before = d.Before
	}
	if l.After.Line == 0 {
		l.After = imapwire.LoggedIn(l.Message)
	}
	for _, f := range []struct{ have, want *time.Duration }{
		{&l.FirstCommand, &d.FirstCommand}, {&l.Command, &d.Command}, {&l.Login, &d.Login},
		{&l.Idle, &d.Idle}, {&l.Still, &d.Still}, {&l.StillQuiet, &d.StillQuiet}, {&l.HeldBack, &d.HeldBack},
		{&l.Search, &d.Search}, {&l.SearchCPU, &d.SearchCPU}, {&l.MessageWindow, &d.MessageWindow},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	for _, f := range []struct{ have, want *int }{
		{&l.BadBefore, &d.BadBefore}, {&l.Bad, &d.Bad}, {&l.BadInRow, &d.BadInRow}, {&l.Sessions, &d.Sessions},
		{&l.Searches, &d.Searches}, {&l.Notify, &d.Notify}, {&l.Contexts, &d.Contexts},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	if l.Progress == 0 {
		l.Progress = d.Progress
	}
	if l.MessageRate <= 0 {
		l.MessageRate = d.MessageRate
	}
	return l
}
