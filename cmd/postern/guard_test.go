package main

import (
	"bufio"
	"crypto/tls"
	"strings"
	"testing"
)

// TestGuard lets somebody guess at a server until it is enough, and the owner's
// device in all the same; then the administrator looks, forgets, and starts anew.
func TestGuard(t *testing.T) {
	s := newSite(t)
	s.write(t, "[auth]\nfailure_delay = \"10ms\"\n")
	server := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	owner := func(user, answer string) { dial(t, s.imaps, false).do("LOGIN "+user+" "+secretWord, answer) }
	owner("ada@example.org", "OK")

	// Another program at the same address is a stranger: its TLS hello is another.
	stranger := func(user, password, answer string) {
		t.Helper()
		conn, err := tls.Dial("tcp", s.imaps, &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.CurveP256}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
		c.expect("* OK ")
		c.do("LOGIN "+user+" "+password, answer)
	}
	for i := range 10 {
		stranger("bob@example.org", strings.Repeat("x", 8+i), "NO [AUTHENTICATIONFAILED]")
	}
	stranger("bob@example.org", secretWord, "NO [AUTHENTICATIONFAILED]")
	owner("ada@example.org", "OK")
	explained := s.run(t, "", "guard", "explain", "bob@example.org")
	for _, part := range []string{"0 of 10 tries left", "10 wrong ones in a row", "no device is known",
		"from 127.0.0.0/24: strangers had too many wrong passwords at this account"} {
		if !strings.Contains(explained, part) {
			t.Errorf("%q is not said in\n%s", part, explained)
		}
	}
	if explained := s.run(t, "", "guard", "explain", "ada@example.org"); !strings.Contains(explained, "device: 127.0.0.0/24, client ") {
		t.Errorf("ada: %s", explained)
	}
	if status := s.run(t, "", "guard", "status"); !strings.Contains(status, "attack: none\n") || !strings.Contains(status, "refused_account 1") {
		t.Errorf("status: %s", status)
	}
	if said := s.run(t, "", "guard", "forget", "bob@example.org"); !strings.HasPrefix(said, "forgot what happened at bob@example.org") {
		t.Errorf("forget: %s", said)
	}
	stranger("bob@example.org", secretWord, "OK")
	if said := s.run(t, "", "guard", "allow", "192.0.2.0/24"); said != "allowed: 192.0.2.0/24\n" {
		t.Errorf("allow: %s", said)
	}
	refuses(t, postern(t, "", "--config", s.config, "guard", "allow", "nowhere"), 1, `"nowhere" is no network`)
	refuses(t, postern(t, "", "--config", s.config, "guard", "explain", "eve@example.org"), 1, "eve@example.org")

	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, when := range []string{"stopped", "started again"} {
		if when == "started again" {
			s.serve(t)
		}
		if explained := s.run(t, "", "guard", "explain", "ada@example.org"); !strings.Contains(explained, "device: 127.0.0.0/24, client ") {
			t.Errorf("%s, ada: %s", when, explained)
		}
		if list := s.run(t, "", "guard", "allow"); list != "192.0.2.0/24\n" {
			t.Errorf("%s, allowed: %s", when, list)
		}
	}
	if said := s.run(t, "", "guard", "allow", "--remove", "192.0.2.0/24"); said != "not allowed any more: 192.0.2.0/24\n" {
		t.Errorf("allow: %s", said)
	}
}

// TestWeakPasswordsAreRefused: when an account is made, and when its password is
// changed.
func TestWeakPasswordsAreRefused(t *testing.T) {
	s := newSite(t)
	s.serve(t)
	s.account(t, "ada@example.org")
	for _, weak := range []string{"short-1", "password1", "example.org1", "Example2026"} {
		for _, command := range []string{"add eve@example.org", "passwd ada@example.org"} {
			args := append([]string{"--config", s.config, "account"}, strings.Fields(command)...)
			refuses(t, postern(t, weak+"\n", args...), 1, "password")
		}
	}
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+secretWord, "OK")
}
