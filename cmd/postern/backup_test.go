package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postern/cmd/postern/config"
	"postern/internal/mail"
	"postern/internal/store/embedded"
)

// bigMail is a message large enough for a file of its own.
func bigMail(subject string) string { return noiseMail(subject, 300<<10) }

// noiseMail is a message that is bad to compress.
func noiseMail(subject string, octets int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Subject: %s\r\n\r\n", subject)
	x := uint64(len(subject)) + uint64(octets)
	for b.Len() < octets {
		for range 4 {
			x = x*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&b, "%016x", x)
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

func smallMail(n int) string { return fmt.Sprintf("Subject: mail %d\r\n\r\nbody %d\r\n", n, n) }

// append puts a message into INBOX with flags and gives its UID.
func (c *client) appendUID(text, flags string) int {
	c.t.Helper()
	c.send(fmt.Sprintf("t APPEND INBOX (%s) {%d}", flags, len(text)))
	c.expect("+")
	c.send(text)
	line := c.expect("t OK") // [APPENDUID validity uid]
	var validity, uid int
	if _, err := fmt.Sscanf(line, "t OK [APPENDUID %d %d]", &validity, &uid); err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	return uid
}

// status gives a figure of STATUS INBOX.
func (c *client) status(item string) int {
	c.t.Helper()
	lines := c.do("STATUS INBOX ("+item+")", "OK")
	text := lines[0][strings.Index(lines[0], item)+len(item)+1:]
	n, err := strconv.Atoi(strings.TrimRight(text, ")"))
	if err != nil {
		c.t.Fatalf("%q: %v", lines[0], err)
	}
	return n
}

// fetch gives the text of a message, or the tagged reply if that is not OK.
func (c *client) fetch(uid int) (text, reply string) {
	c.t.Helper()
	c.send(fmt.Sprintf("t UID FETCH %d BODY.PEEK[]", uid))
	for {
		line := c.line()
		if strings.HasPrefix(line, "t ") {
			return text, line
		}
		if at := strings.LastIndexByte(line, '{'); at >= 0 {
			n, err := strconv.Atoi(strings.TrimRight(line[at+1:], "}"))
			if err != nil {
				c.t.Fatalf("%q: %v", line, err)
			}
			data := make([]byte, n)
			if _, err := io.ReadFull(c.r, data); err != nil {
				c.t.Fatal(err)
			}
			text = string(data)
		}
	}
}

const ada = "ada@example.org"

// TestBackupUnderLoad backs up while mail is delivered and flags change, restores
// elsewhere, and looks for everything that was acknowledged before the backup
// began.
func TestBackupUnderLoad(t *testing.T) {
	s := newSite(t)
	srv := s.serve(t)
	s.account(t, ada)
	s.account(t, "bob@example.org")
	c := signIn(t, s.imaps, ada)
	texts := map[int]string{}
	for i := range 40 {
		text := smallMail(i)
		if i == 20 {
			text = bigMail("large")
		}
		texts[c.appendUID(text, `\Flagged`)] = text
	}
	validity := c.status("UIDVALIDITY")

	var load sync.WaitGroup
	quit := make(chan struct{})
	busy := make(chan struct{}, 64)
	for worker := range 3 {
		load.Go(func() {
			other := signIn(t, s.imaps, ada)
			if worker == 0 {
				other.do("SELECT INBOX", "OK")
			}
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				default:
				}
				if worker == 0 {
					other.do(fmt.Sprintf(`UID STORE 1:20 %cFLAGS (\Seen)`, "+-"[n%2]), "OK")
				} else {
					other.appendUID(smallMail(1000+n), "")
				}
				select {
				case busy <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 20 { // they are at work
		<-busy
	}
	backup := filepath.Join(s.dir, "backup")
	out := s.run(t, "", "backup", backup)
	if !strings.Contains(out, "backed up to "+backup) {
		t.Errorf("said %q", out)
	}
	s.run(t, "", "check") // finds nothing wrong in a store at work
	close(quit)
	load.Wait()
	if _, err := os.Stat(filepath.Join(s.data, stagingDirectory)); err == nil {
		t.Error("the copy of the moment was left behind")
	}
	refuses(t, postern(t, "", "--config", s.config, "backup", backup), 1, "is not empty")
	refuses(t, postern(t, "", "--config", s.config, "backup", filepath.Join(s.data, "b")), 1, "in the data directory")
	later := c.appendUID(smallMail(5000), "")
	if code := srv.stop(t); code != 0 {
		t.Fatal(code)
	}

	before := must(t, "", "--data", backup, "check")
	if !strings.Contains(before, "no problem found") || !strings.Contains(before, "checked 2 accounts") || !strings.Contains(before, "as they were when it was made") {
		t.Errorf("the backup: %s", before)
	}
	for _, keep := range []bool{false, true} {
		r := newSite(t)
		args := []string{"restore", backup}
		if keep {
			args = append(args, "--keep-uids")
		}
		r.run(t, "", args...)
		if out := r.run(t, "", "check"); !strings.Contains(out, "no problem found") {
			t.Errorf("restored: %s", out)
		}
		refuses(t, postern(t, "", append([]string{"--config", r.config}, args...)...), exitConfig, "holds a store")
		for _, name := range besideStore[:1] {
			want, err1 := os.ReadFile(filepath.Join(s.data, name))
			got, err2 := os.ReadFile(filepath.Join(r.data, name))
			if err1 != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("%s did not come along (%v, %v)", name, err1, err2)
			}
		}
		srv := r.serve(t)
		c := signIn(t, r.imaps, ada) // with the password there was
		if now := c.status("UIDVALIDITY"); (now == validity) != keep || now < validity {
			t.Errorf("keep %v: UIDVALIDITY was %d and is %d", keep, validity, now)
		}
		c.do("SELECT INBOX", "OK")
		for uid, want := range texts {
			if got, reply := c.fetch(uid); got != want {
				t.Errorf("UID %d: got %d octets and %q, want %d", uid, len(got), reply, len(want))
			}
		}
		// What came after the backup is not there, and its UID goes to another:
		// a client that keeps its cache must be told by the UIDVALIDITY.
		if next := c.status("UIDNEXT"); next > later {
			t.Errorf("UIDNEXT is %d: UID %d came after the backup", next, later)
		}
		if code := srv.stop(t); code != 0 {
			t.Error(code)
		}
	}
	if after := must(t, "", "--data", backup, "check"); after != before {
		t.Errorf("the backup was changed by looking at it and restoring it:\n%s\n%s", before, after)
	}
}

// backupSite is a stopped site with an account and some mail.
func backupSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	srv := s.serve(t)
	s.account(t, ada)
	c := signIn(t, s.imaps, ada)
	for i := range 5 {
		c.appendUID(smallMail(i), "")
	}
	c.appendUID(bigMail("large"), "")
	if code := srv.stop(t); code != 0 {
		t.Fatal(code)
	}
	return s
}

// TestDamagedBackup flips a bit in each file of a backup in turn, and takes each
// away: check finds it, and restore does not take it.
func TestDamagedBackup(t *testing.T) {
	s := backupSite(t)
	backup := filepath.Join(s.dir, "backup")
	s.run(t, "", "backup", backup)
	kept, sealed, err := readSums(backup)
	if err != nil || !sealed || len(kept) < 6 {
		t.Fatal(kept, sealed, err)
	}
	if _, err := os.Stat(filepath.Join(backup, noteFile)); err != nil {
		t.Error(err)
	}
	names := []string{}
	for name := range kept {
		if !strings.Contains(name, "FORMAT") { // without it, or with another, there is no store
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(backup, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			data[len(data)*2/3] ^= 1
			file(t, path, string(data))
			r := postern(t, "", "--data", backup, "check")
			if r.code != 1 || !strings.Contains(r.out+r.err, "next: ") {
				t.Errorf("%s damaged: exit code %d\n%s%s", name, r.code, r.out, r.err)
			}
			if strings.HasPrefix(name, storeDirectory) {
				to := filepath.Join(t.TempDir(), "data")
				refuses(t, postern(t, "", "--data", to, "restore", backup), 1, name)
				if _, err := os.Stat(filepath.Join(to, storeDirectory, "FORMAT")); err == nil {
					t.Errorf("%s damaged: a store was made of it", name)
				}
			}
			data[len(data)*2/3] ^= 1
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if r := postern(t, "", "--data", backup, "check"); r.code == 0 {
			t.Errorf("without %s: %s", name, r.out)
		}
		file(t, path, string(data))
	}
	must(t, "", "--data", backup, "check")
}

// instanceOf opens a stopped site's store in the test's own process.
func instanceOf(t *testing.T, s *site) *instance {
	t.Helper()
	st, err := embedded.Open(filepath.Join(s.data, storeDirectory), embedded.Options{Reserve: -1, Ballast: -1, SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &instance{cfg: config.Config{Data: s.data}, log: slog.New(slog.DiscardHandler), store: st}
}

func TestBackupGivenUp(t *testing.T) {
	s := backupSite(t)
	in := instanceOf(t, s)
	backup := filepath.Join(s.dir, "backup")
	ctx, cancel := context.WithCancel(t.Context())
	err := backUp(ctx, in, []byte(`{"Dir":`+strconv.Quote(backup)+`}`), strings.NewReader(""), &answer{func(l answerLine) error {
		// Half-way, somebody looks at it, and it is given up.
		if err := storeIsThere(backup); err == nil || !strings.Contains(err.Error(), "not finished") {
			t.Errorf("half a backup: %v", err)
		}
		if _, err := embedded.Open(filepath.Join(backup, storeDirectory), embedded.Options{}); err == nil {
			t.Error("half a backup was opened")
		}
		other := backUp(t.Context(), in, []byte(`{"Dir":`+strconv.Quote(backup+"2")+`}`), strings.NewReader(""), &answer{func(answerLine) error { return nil }})
		if mail.KindOf(other) != mail.InUse {
			t.Errorf("a second backup at once: %v", other)
		}
		cancel()
		return nil
	}})
	if mail.KindOf(err) != mail.Canceled {
		t.Fatalf("got %v", err)
	}
	names, err := entries(backup)
	if err != nil || len(names) != 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
	if _, err := os.Stat(filepath.Join(s.data, stagingDirectory)); err == nil {
		t.Error("the copy of the moment was left behind")
	}
	// What a crash leaves behind does not hinder the next.
	if err := os.MkdirAll(filepath.Join(s.data, stagingDirectory, storeDirectory, "pebble"), 0o700); err != nil {
		t.Fatal(err)
	}
	err = backUp(t.Context(), in, []byte(`{"Dir":`+strconv.Quote(backup)+`}`), strings.NewReader(""), &answer{func(answerLine) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	must(t, "", "--data", backup, "check")
}
