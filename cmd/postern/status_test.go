package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/internal/store/storetest"
)

// TestStatus asks a running server, for people and for machines, after some things have happened; what was counted is there
// after a restart. Without a server it says so.
func TestStatus(t *testing.T) {
	s := newSite(t)
	refuses(t, postern(t, "", "--config", s.config, "status"), 1, "no server runs on "+s.data)
	r := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	c := signIn(t, s.imaps, "ada@example.org")
	if conn, err := tls.Dial("tcp", s.imaps, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		conn.Close()
		t.Fatal("TLS 1.2 is spoken")
	}
	text := s.run(t, "", "status")
	for _, want := range []string{
		"\ndata: " + s.data + ", ", "\nlisten.imaps: " + s.imaps + "\n", "\nlisten.lmtp: " + s.lmtp + "\n",
		", 1 session signed in to 1 account; 2 accounts here\n", "\ncertificate: localhost, ", "\nthe certificate is self-made: clients must be told to trust ",
		"1 connection turned away within 1 day, for speaking nothing newer than what tls.min_version = \"1.3\" refuses:\n", ": 1 from 1 network\n  most from 127.0.0.0/24: 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\n!") {
		t.Errorf("something wants doing:\n%s", text)
	}
	c.do("LOGOUT", "OK")
	if code := r.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.serve(t)
	var st serverStatus
	if err := json.Unmarshal([]byte(s.run(t, "", "status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	today := st.TurnedAway[time.Now().UTC().Format(time.DateOnly)]
	if st.Accounts != 2 || st.NoSCRAM != 0 || st.Sessions != 0 || len(st.Listeners) != 3 || st.Disk.Free == 0 || st.Memory == 0 || len(st.TurnedAway) > 1 || len(st.TurnedAway) == 1 && today != nil && today["127.0.0.0/24"] != 1 {
		t.Errorf("%+v", st)
	}
}

// TestStatusText: what wants doing is marked.
func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	st := serverStatus{
		Version: "v1", PID: 7, Started: now.Add(-50 * time.Hour), Data: "/d", MinVersion: "1.3", Accounts: 3, NoSCRAM: 2,
		Certificates: certificateStatus{Names: []string{"mail.example.org"}, Until: now.Add(10 * 24 * time.Hour)},
		Guard:        guardSummary{Attack: true, Weak: 1}, Disk: diskStatus{Free: 10 << 20, Reserve: 256 << 20}, Memory: 3 << 20,
		TurnedAway: map[string]map[string]int{"2026-11-26": {"192.0.2.0/24": 3, "local": 1}, "2026-11-27": {"192.0.2.0/24": 2}},
	}
	want := `Postern v1, process 7, up 2 days, 3.0 MiB in memory
data: /d, 10.0 MiB free on the disk
! the disk is below its reserve of 256 MiB: mail is refused until there is room
0 connections, 0 sessions signed in to 0 accounts; 3 accounts here
certificate: mail.example.org, until 2026-12-07
! the certificate ends in 10 days
SCRAM is not announced: 2 accounts without keys for it, which come with the next password or the next sign-in with one
6 connections turned away within 2 days, for speaking nothing newer than what tls.min_version = "1.3" refuses:
  2026-11-27: 2 from 1 network
  2026-11-26: 4 from 2 networks
  most from 192.0.2.0/24: 5
  most from local: 1
! an attack on passwords is under way: postern guard status
! 1 account with a password that is tried everywhere: postern guard status names them
`
	if got := st.text(now); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestOldClientsAreBounded: so many days, so many networks a day, nothing lost of the sum; and kept over a restart.
func TestOldClientsAreBounded(t *testing.T) {
	var o oldClients
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for day := range 30 {
		o.add(netip.MustParseAddr("192.0.2.1"), at.AddDate(0, 0, day))
	}
	for i := range 3000 {
		o.add(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), at.AddDate(0, 0, 29))
	}
	days := o.report()
	last, sum := days["2026-11-30"], 0
	for _, n := range last {
		sum += n
	}
	if len(days) != oldDays || days["2026-11-16"] != nil || len(last) != oldNetworks+1 || sum != 3001 || last[oldOthers] != 3001-oldNetworks {
		t.Errorf("%d days, %d networks, %d clients, %d of others", len(days), len(last), sum, last[oldOthers])
	}
	shelf := storetest.Memory().Shelf()
	if err := o.save(t.Context(), shelf); err != nil {
		t.Fatal(err)
	}
	var again oldClients
	if err := again.load(t.Context(), shelf); err != nil || fmt.Sprint(again.report()) != fmt.Sprint(days) {
		t.Errorf("%v", err)
	}
}
