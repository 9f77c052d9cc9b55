package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postern/cmd/postern/config"
	"postern/internal/auth"
	"postern/internal/mail"
)

type statusCommand struct {
	JSON bool `name:"json" help:"For machines: one JSON object."`
}

// serverStatus is what postern status tells.
type serverStatus struct {
	Version      string
	PID          int
	Started      time.Time
	Data         string
	Listeners    []listenerStatus
	Connections  int // open, signed in or not
	Sessions     int // that have signed in over IMAP
	SignedIn     int // accounts that have
	Certificates certificateStatus
	Accounts     int
	NoSCRAM      int    // accounts that have no keys for SCRAM: while there is one it is not announced
	MinVersion   string // of TLS
	// TurnedAway are clients that speak no TLS that is spoken here, by day and network.
	TurnedAway map[string]map[string]int
	Guard      guardSummary
	Disk       diskStatus
	Audit      string `json:",omitempty"` // the audit trail's file
	Memory     int64  // octets the process takes
}

type listenerStatus struct {
	Setting, Address string
}

type certificateStatus struct {
	Fingerprints []string
	Names        []string
	Until        time.Time // when the first of them ends
	Own          bool      // made by Postern itself: clients must be told to trust it
}

type guardSummary struct {
	Attack                bool
	Closed, Weak, Refused int // networks, accounts, passwords refused to strangers
}

type diskStatus struct{ Free, Reserve int64 }

// certificateWarning is how long before its end a certificate is warned of.
const certificateWarning = 30 * 24 * time.Hour

// Run asks the running server.
func (s statusCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	var status serverStatus
	err = callControl(ctx, controlPath(cfg.Control.Socket, cfg.Data), "status", struct{}{}, nil, func(l answerLine) error {
		if s.JSON {
			_, err := t.out.Write(l.Data)
			return err
		}
		return json.Unmarshal(l.Data, &status)
	})
	if err == errNoServer {
		return fmt.Errorf("no server runs on %s: start it with postern serve", cfg.Data)
	}
	if err != nil || s.JSON {
		return err
	}
	_, err = io.WriteString(t.out, status.text(time.Now()))
	return err
}

func tellStatus(ctx context.Context, in *instance, _ json.RawMessage, _ io.Reader, out *answer) error {
	if in.status == nil {
		return mail.Errorf(mail.Unavailable, "no server runs")
	}
	status, err := in.status(ctx)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(status, "", "\t")
	if err != nil {
		return err
	}
	return out.emit(answerLine{Data: append(data, '\n')})
}

// serverStatus looks at everything.
func (s *server) serverStatus(ctx context.Context) (*serverStatus, error) {
	st := &serverStatus{Version: version(), PID: os.Getpid(), Started: s.started, Data: s.cfg.Data, Connections: s.net.Connections(),
		MinVersion: s.inForce.TLS.MinVersion, TurnedAway: s.old.report(), Audit: s.inForce.Audit.File}
	st.Sessions, st.SignedIn = s.talk.census.Count()
	for _, l := range s.net.Open() {
		st.Listeners = append(st.Listeners, listenerStatus{l.Setting, l.Address})
	}
	st.Certificates = certificateStatus{Fingerprints: s.certs.Fingerprints(), Names: s.certs.Names(), Until: s.certs.Expiry(), Own: s.print != ""}
	for identity, err := range s.store.Directory().Identities(ctx) {
		if err != nil {
			return nil, err
		}
		st.Accounts++
		if !identity.Shared && !auth.HasKeys(identity.Credentials) {
			st.NoSCRAM++
		}
	}
	g := s.guard.Status()
	st.Guard = guardSummary{Attack: g.Attack, Closed: len(g.Closed), Weak: len(g.Weak), Refused: g.Hot}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.cfg.Data, &fs); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", s.cfg.Data, err)
	}
	st.Disk = diskStatus{Free: int64(fs.Bavail) * fs.Bsize, Reserve: int64(s.cfg.Store.Reserve)}
	st.Memory = residentMemory()
	return st, nil
}

// residentMemory is what the kernel says that the process has in memory, in octets; 0 if it does not say.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm") // proc(5): pages, the second field
	var size, resident int64
	if _, bad := fmt.Sscan(string(text), &size, &resident); err != nil || bad != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// text is the status for people. What wants doing begins with "!".
func (st *serverStatus) text(now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Postern %s, process %d, up %s, %s in memory", st.Version, st.PID, upFor(now.Sub(st.Started)), roughly(uint64(st.Memory)))
	line("data: %s, %s free on the disk", st.Data, roughly(uint64(st.Disk.Free)))
	if st.Disk.Free < st.Disk.Reserve {
		line("! the disk is below its reserve of %s: mail is refused until there is room", config.Size(st.Disk.Reserve))
	}
	for _, l := range st.Listeners {
		line("%s: %s", l.Setting, l.Address)
	}
	line("%s, %s signed in to %s; %s here", counted(st.Connections, "connection"), counted(st.Sessions, "session"), counted(st.SignedIn, "account"), counted(st.Accounts, "account"))
	names := strings.Join(st.Certificates.Names, ", ")
	line("certificate: %s, until %s", cmp.Or(names, "(no names)"), st.Certificates.Until.Format(time.DateOnly))
	switch left := st.Certificates.Until.Sub(now); {
	case left <= 0:
		line("! the certificate is no longer valid: clients refuse it")
	case left < certificateWarning:
		line("! the certificate ends in %s", inDays(left.Round(24*time.Hour)))
	}
	if st.Certificates.Own {
		line("the certificate is self-made: clients must be told to trust %s", strings.Join(st.Certificates.Fingerprints, ", "))
	}
	if st.NoSCRAM > 0 {
		line("SCRAM is not announced: %s without keys for it, which come with the next password or the next sign-in with one", counted(st.NoSCRAM, "account"))
	}
	st.turnedAway(line)
	switch {
	case st.Guard.Attack:
		line("! an attack on passwords is under way: postern guard status")
	case st.Guard.Closed+st.Guard.Refused > 0:
		line("guard: %s closed to strangers, %s refused to them", counted(st.Guard.Closed, "network"), counted(st.Guard.Refused, "password"))
	}
	if st.Guard.Weak > 0 {
		line("! %s with a password that is tried everywhere: postern guard status names them", counted(st.Guard.Weak, "account"))
	}
	if st.Audit != "" {
		line("audit trail: %s", st.Audit)
	}
	return b.String()
}

// turnedAway tells of clients that speak no TLS that is spoken here, and from where most of them come.
func (st *serverStatus) turnedAway(line func(string, ...any)) {
	total, networks := 0, map[string]int{}
	for _, day := range st.TurnedAway {
		for network, n := range day {
			total += n
			networks[network] += n
		}
	}
	if total == 0 {
		return
	}
	line("%s turned away within %s, for speaking nothing newer than what tls.min_version = %q refuses:", counted(total, "connection"), counted(len(st.TurnedAway), "day"), st.MinVersion)
	for _, day := range slices.Backward(slices.Sorted(maps.Keys(st.TurnedAway))) {
		n := 0
		for _, m := range st.TurnedAway[day] {
			n += m
		}
		line("  %s: %d from %s", day, n, counted(len(st.TurnedAway[day]), "network"))
	}
	most := slices.SortedFunc(maps.Keys(networks), func(a, b string) int {
		return cmp.Or(cmp.Compare(networks[b], networks[a]), cmp.Compare(a, b))
	})
	for i, network := range most {
		if i == 5 {
			break
		}
		line("  most from %s: %d", network, networks[network])
	}
}

// upFor writes how long a server has run, roughly.
func upFor(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	case d >= time.Hour:
		return d.Round(time.Minute).String()[:strings.Index(d.Round(time.Minute).String(), "m")+1]
	}
	return d.Round(time.Second).String()
}
