package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestIndex builds the text index in the background, shows and rebuilds it, with a server and
// without one, and searches all the while.
func TestIndex(t *testing.T) {
	s := newSite(t)
	srv := s.serve(t)
	s.account(t, ada)
	s.account(t, "bob@example.org")
	c := signIn(t, s.imaps, ada)
	c.do("SELECT INBOX", "OK")
	for i := range 100 {
		c.appendUID(fmt.Sprintf("Subject: number %d\r\n\r\nthe word%dword and others\r\n", i, i), "")
	}
	search := func() {
		t.Helper()
		for _, tt := range []struct{ key, want string }{
			{"BODY D42W", "* SEARCH 43"}, {"SUBJECT \"number 42\"", "* SEARCH 43"}, {"TEXT \"word42word and\"", "* SEARCH 43"}, {"BODY nowhere", "* SEARCH"},
		} {
			lines := c.do("SEARCH "+tt.key, "OK")
			if !strings.Contains(strings.Join(lines, "\n")+"\n", tt.want+"\n") {
				t.Errorf("SEARCH %s: %q, want %s", tt.key, lines, tt.want)
			}
		}
	}
	search()
	whole := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(ada) + `\t100 of 100 messages\t[1-9] segments\t\d.*, \d+\.\d % of the mail$`)
	status := func(args ...string) string {
		t.Helper()
		r := postern(t, "", append([]string{"--config", s.config, "index"}, args...)...)
		if r.code != 0 {
			t.Fatalf("index %v: %s%s", args, r.out, r.err)
		}
		return r.out
	}
	for strings.Contains(status("status", ada), "\t0 of 100 messages") {
		time.Sleep(20 * time.Millisecond)
	}
	search()
	if out := status("rebuild", ada); !whole.MatchString(out) {
		t.Errorf("rebuild says %q", out)
	}
	search()
	if out := status("status"); !whole.MatchString(out) || !strings.Contains(out, "bob@example.org\t0 of 0 messages") {
		t.Errorf("status says %q", out)
	}
	refuses(t, postern(t, "", "--config", s.config, "index", "status", "eve@example.org"), 1, "eve@example.org")
	if r := postern(t, "", "--config", s.config, "check"); r.code != 0 {
		t.Errorf("check: %s%s", r.out, r.err)
	}
	if code := srv.stop(t); code != 0 {
		t.Fatal(code)
	}
	if out := status("rebuild"); !whole.MatchString(out) {
		t.Errorf("rebuild without a server says %q", out)
	}
	if out := status("status"); !whole.MatchString(out) {
		t.Errorf("status without a server says %q", out)
	}
}
