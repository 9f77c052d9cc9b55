package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postern/internal/observe"
	"postern/internal/store/storetest"
)

// auditRecords reads a trail: each line has to be an object with a time and an event.
func auditRecords(t *testing.T, file string) (all []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil || r["time"] == nil || r["event"] == nil {
			t.Fatalf("no record: %q (%v)", line, err)
		}
		all = append(all, r)
	}
	return all
}

// onlyRecord gives the one record of an event for which each of the pairs of key and value holds.
func onlyRecord(t *testing.T, all []map[string]any, event string, pairs ...any) map[string]any {
	t.Helper()
	var found []map[string]any
	for _, r := range all {
		ok := r["event"] == event
		for i := 0; i < len(pairs); i += 2 {
			ok = ok && r[pairs[i].(string)] == pairs[i+1]
		}
		if ok {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records of %s %v in\n%v", len(found), event, pairs, all)
	}
	return found[0]
}

func wantFields(t *testing.T, record map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if value := record[key]; value == nil || value == "" {
			t.Errorf("no %s in %v", key, record)
		}
	}
}

// TestMatrix69 is number 69 of the test matrix: each outcome of signing in leaves a record with the fields of section 5.4
// of the study, no password is in it, and a name that is nobody's is there as a keyed hash.
func TestMatrix69(t *testing.T) {
	s := newSite(t)
	trail := filepath.Join(s.dir, "audit.jsonl")
	s.write(t, "[audit]\nfile = \""+trail+"\"\n[auth]\nfailure_delay = \"0s\"\n")
	server := s.serve(t)
	s.account(t, "ada@example.org")
	app := strings.Split(s.run(t, "", "account", "app", "add", "ada@example.org", "phone"), "\n")[1]

	c := dial(t, s.imaps, false)
	c.do("LOGIN ada@example.org wrong-horse", "NO")
	c.do("LOGIN "+secretWord+" "+secretWord, "NO") // the password where the name belongs
	c.do("LOGIN \"eve \x1b[31m\" x", "NO")
	dial(t, s.imaps, false).do("LOGIN ada@example.org "+app, "OK")
	signIn(t, s.imaps, "ada@example.org").do("LOGOUT", "OK")
	c = dial(t, s.imaps, false)
	c.do("AUTHENTICATE PLAIN AGFk", "NO")
	c.do("LOGIN "+secretWord+" "+secretWord, "NO")
	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	text, err := os.ReadFile(trail)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretWord, "wrong-horse", app, "\x1b", "AGFk"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in the trail:\n%s", secret, text)
		}
	}
	all := auditRecords(t, trail)
	always := []string{"session", "remote", "network", "mechanism", "tls", "tls_group", "client_class"}
	wrong := onlyRecord(t, all, "sign-in", "outcome", "wrong_password")
	wantFields(t, wrong, append(always, "account", "user", "guard")...)
	if wrong["network"] != "127.0.0.0/24" || wrong["tls"] != "TLS 1.3" || wrong["user"] != "ada@example.org" {
		t.Errorf("%v", wrong)
	}
	byApp := onlyRecord(t, all, "sign-in", "outcome", "accepted", "app_password", "phone")
	wantFields(t, byApp, always...)
	onlyRecord(t, all, "sign-in", "outcome", "accepted", "app_password", nil)
	onlyRecord(t, all, "sign-in", "outcome", "malformed", "mechanism", "PLAIN")
	var unknown []string
	for _, r := range all {
		if r["outcome"] == "unknown_user" {
			wantFields(t, r, append(always, "unknown_user")...)
			unknown = append(unknown, r["unknown_user"].(string))
		}
	}
	if len(unknown) != 3 || unknown[0] != unknown[2] || unknown[0] == unknown[1] {
		t.Errorf("names that are nobody's: %q", unknown)
	}
}

// TestAuditChanges sees what administrators and owners change in the trail, with and without a server, and goes on in a
// new file when the old one was moved away.
func TestAuditChanges(t *testing.T) {
	s := newSite(t)
	trail := filepath.Join(s.dir, "audit.jsonl")
	s.write(t, "[audit]\nfile = \""+trail+"\"\n")
	server := s.serve(t)
	s.account(t, "ada@example.org")
	s.account(t, "bob@example.org")
	refuses(t, postern(t, "", "--config", s.config, "alias", "add", "x@example.org", "nobody@example.org"), 1, "nobody@example.org")
	s.run(t, "", "mailbox", "list", "ada@example.org")
	s.run(t, "", "export", "--account", "ada@example.org", "maildir", filepath.Join(s.dir, "exported"))
	c := signIn(t, s.imaps, "ada@example.org")
	c.do("SETACL INBOX bob@example.org lrs", "OK")
	c.do("SETACL INBOX bob@example.org -s", "OK")
	c.do("DELETEACL INBOX bob@example.org", "OK")
	c.do("SETACL INBOX nobody@example.org lrs", "NO")

	if err := os.Rename(trail, trail+".1"); err != nil {
		t.Fatal(err)
	}
	server.signal(t, syscall.SIGHUP)
	server.await(t, server.log, "reread")
	s.run(t, "", "alias", "add", "a@example.org", "ada@example.org")
	if code := server.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.run(t, "", "account", "remove", "--yes", "bob@example.org")

	old := auditRecords(t, trail+".1")
	uid := float64(os.Getuid())
	var events []string
	for _, r := range old {
		if r["event"] != "sign-in" {
			events = append(events, r["event"].(string))
		}
		if by := r["by"]; by == "administrator" && r["uid"] != uid {
			t.Errorf("not by %v: %v", uid, r)
		}
	}
	if want := []string{"account-add", "account-add", "alias-add", "export", "acl-set", "acl-set", "acl-set"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
	onlyRecord(t, old, "alias-add", "outcome", "not_found")
	wantFields(t, onlyRecord(t, old, "acl-set", "rights", "lrs"), "session", "remote", "account", "user", "mailbox", "who")
	onlyRecord(t, old, "acl-set", "rights", "-s", "who", "bob@example.org")
	onlyRecord(t, old, "acl-set", "rights", "", "mailbox", "INBOX")

	now := auditRecords(t, trail)
	onlyRecord(t, now, "alias-add", "outcome", "done", "uid", uid)
	removed := onlyRecord(t, now, "account-remove", "outcome", "done", "uid", uid)
	if removed["arguments"].(map[string]any)["Account"] != "bob@example.org" || len(now) != 2 {
		t.Errorf("%v", now)
	}
}

// TestAuditedOperations wants it decided of every operation whether the trail records it, and a bound on what of it.
func TestAuditedOperations(t *testing.T) {
	for name := range operations {
		if _, ok := audited[name]; ok == slices.Contains(unaudited, name) {
			t.Errorf("%s: either audited or unaudited in audit_operations.go", name)
		}
	}
	for name, shown := range audited {
		if operations[name] == nil {
			t.Errorf("%s is no operation", name)
		}
		for _, key := range shown {
			if strings.Contains(strings.ToLower(key), "password") || key == "Value" {
				t.Errorf("%s shows %s", name, key)
			}
		}
	}
}

// TestAuditFile breaks a file in the middle of a record and lets the next begin on a line of its own; what is no file, and
// what cannot be written, is refused at the start.
func TestAuditFile(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	open := func(name string) (*auditTrail, error) {
		return openAudit(t.Context(), name, storetest.Memory().Shelf(), log, observe.NewRegistry())
	}
	name := file(t, filepath.Join(dir, "trail"), "{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"a\"}\n{\"time\":\"20")
	trail, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	trail.record(t.Context(), "b", slog.String("x", "\n\x1b"))
	if err := trail.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || !strings.Contains(lines[2], `"event":"b","x":"\n\u001b"}`) || lines[3] != "" {
		t.Errorf("%q", lines)
	}
	for bad, why := range map[string]string{dir: "directory", "/dev/null": "no regular file", filepath.Join(dir, "no", "trail"): "no such file"} {
		if _, err := open(bad); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "audit") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestAuditLost lets the file fail: what is lost is counted, and told once there is room again.
func TestAuditLost(t *testing.T) {
	metrics := observe.NewRegistry()
	name := filepath.Join(t.TempDir(), "trail")
	trail, err := openAudit(t.Context(), name, storetest.Memory().Shelf(), slog.New(slog.DiscardHandler), metrics)
	if err != nil {
		t.Fatal(err)
	}
	if err := trail.file.close(); err != nil { // as a disk that fails
		t.Fatal(err)
	}
	trail.record(t.Context(), "lost")
	lost := func() bool {
		trail.queue.mu.Lock()
		defer trail.queue.mu.Unlock()
		return trail.queue.lost > 0
	}
	for !lost() {
		runtime.Gosched()
	}
	if err := trail.file.open(name); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	trail.record(t.Context(), "kept")
	if err := trail.close(); err != nil {
		t.Fatal(err)
	}
	all := auditRecords(t, name)
	onlyRecord(t, all, "kept")
	onlyRecord(t, all, "records-lost", "count", 1.0)
}
