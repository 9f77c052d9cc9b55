package crash_test

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postern/internal/testenv"
	"postern/test/peer"
)

// smallDisk mounts a file system of its own for the test and returns where. The mount is in a namespace that only this
// thread and the processes it starts are in: it is gone with them, however the test ends.
func smallDisk(t *testing.T, octets int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "mounting a small disk takes root")
	}
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		testenv.Skip(t, "no mount namespace: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", octets)); err != nil {
		testenv.Skip(t, "no small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// disk is what other programs do to it.
type disk struct {
	t    *testing.T
	dir  string
	fill int
}

func (d *disk) free() int64 {
	d.t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// leave fills the disk until so much is free; 0 is to the last octet.
func (d *disk) leave(free int64) {
	d.t.Helper()
	d.fill++
	f, err := os.Create(filepath.Join(d.dir, fmt.Sprintf("other-program-%d", d.fill)))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 64<<10); free == 0 || d.free() > free; {
		_, err := f.Write(piece)
		if errors.Is(err, syscall.ENOSPC) && free == 0 {
			return
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// clean removes what filled it.
func (d *disk) clean() {
	d.t.Helper()
	for ; d.fill > 0; d.fill-- {
		if err := os.Remove(filepath.Join(d.dir, fmt.Sprintf("other-program-%d", d.fill))); err != nil {
			d.t.Fatal(err)
		}
	}
}

const (
	ballast = 32 << 20        // the store's own default
	reserve = 3 * ballast / 2 // more, as by default: what the ballast gives back is not for new mail
)

// tenant is a server on a small disk, with one account.
type tenant struct {
	t              *testing.T
	node           *peer.Node
	name, password string
	kept           []string // messages acknowledged, by their words
	sent           int
}

// TestDiskFull fills the disk up to the reserve, to the last octet, and while the server is down.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 256<<20)
	d := &disk{t: t, dir: dir}
	node := peer.NewNode(t, filepath.Join(dir, "data"), fmt.Sprintf("[store]\nreserve = \"%dMiB\"\n", reserve>>20))
	node.Start(t)
	u := &tenant{t: t, node: node}
	u.name, u.password = node.NewAccount(t)
	for range 10 {
		u.want("OK", u.appendOne())
		u.want("250", u.deliverOne())
	}
	u.awaitBallast(dir)

	t.Log("below the reserve")
	d.leave(reserve / 2)
	u.full()
	u.remove() // flags and expunges go on
	d.clean()
	u.resumed()

	t.Log("another program takes the last octet")
	d.leave(0)
	u.full()
	u.remove() // by the room of the ballast
	if _, err := os.Stat(filepath.Join(dir, "data", "store", "BALLAST")); !os.IsNotExist(err) {
		t.Errorf("the ballast is still there (%v): what made room?", err)
	}
	d.clean()
	u.resumed()
	node.Kill(t) // a start with room makes the ballast anew
	node.Start(t)
	u.awaitBallast(dir)

	t.Log("starting on a full disk")
	node.Kill(t)
	d.leave(0)
	node.Start(t)
	u.full()
	u.remove()

	t.Log("the last octet again, with the ballast gone")
	d.leave(0)
	if said := u.appendOne(); strings.HasPrefix(said, "OK") {
		t.Errorf("APPEND on a full disk was answered %q", said)
	}
	node.Kill(t) // it may have ended by itself rather than go on
	d.clean()
	node.Start(t)
	u.resumed()
	node.Command(t, "check")
}

func (u *tenant) awaitBallast(dir string) {
	u.t.Helper()
	u.until("the ballast", func() bool {
		info, err := os.Stat(filepath.Join(dir, "data", "store", "BALLAST"))
		return err == nil && info.Size() == ballast
	})
}

func (u *tenant) until(what string, so func() bool) {
	u.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			u.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (u *tenant) want(prefix, said string) {
	u.t.Helper()
	if !strings.HasPrefix(said, prefix) {
		u.t.Errorf("was answered %q, want %q", said, prefix)
	}
}

func (u *tenant) dial() *peer.IMAP {
	u.t.Helper()
	client, err := peer.DialIMAP(u.node.TLS, u.node.TLSConfig(u.t), u.name, u.password)
	if err != nil {
		u.t.Fatal(err)
	}
	return client
}

// next is a message nobody sent yet.
func (u *tenant) next() (word, text string) {
	u.sent++
	word = fmt.Sprintf("m%d", u.sent)
	return word, message(word, sizes[u.sent%len(sizes)])
}

// appendOne appends a message and returns what was said.
func (u *tenant) appendOne() string {
	u.t.Helper()
	client := u.dial()
	defer client.Close()
	word, text := u.next()
	a, err := client.Command("APPEND INBOX", []byte(text))
	if err != nil {
		return err.Error()
	}
	if a.OK() {
		u.kept = append(u.kept, word)
	}
	return a.Tagged
}

// deliverOne delivers a message by LMTP and returns the first refusal, or what was said to the message.
func (u *tenant) deliverOne() string {
	u.t.Helper()
	raw, err := net.Dial("tcp", u.node.LMTP)
	if err != nil {
		u.t.Fatal(err)
	}
	conn := textproto.NewConn(raw)
	defer conn.Close()
	word, text := u.next()
	var code int
	var said string
	for _, step := range []struct {
		say  string
		want int
	}{
		{"", 220}, {"LHLO crash.example.net", 250}, {"MAIL FROM:<>", 250}, {"RCPT TO:<" + u.name + ">", 250}, {"DATA", 354},
		{text + ".", 250},
	} {
		if step.say != "" {
			if err := conn.PrintfLine("%s", step.say); err != nil {
				u.t.Fatal(err)
			}
		}
		code, said, err = conn.ReadResponse(step.want)
		if err != nil {
			if code == 0 {
				u.t.Fatal(err)
			}
			return fmt.Sprintf("%d %s", code, said)
		}
	}
	u.kept = append(u.kept, word)
	return fmt.Sprintf("%d %s", code, said)
}

// full expects new mail to be refused, by the reason, and everything that is there to be readable. The server looks at
// the disk now and then, so the first messages may still find room.
func (u *tenant) full() {
	u.t.Helper()
	u.until("a refusal", func() bool { return !strings.HasPrefix(u.appendOne(), "OK") })
	u.want("NO [UNAVAILABLE]", u.appendOne())
	u.want("452 4.3.1", u.deliverOne())
	u.compare()
}

// resumed expects service as usual.
func (u *tenant) resumed() {
	u.t.Helper()
	u.until("room", func() bool { return strings.HasPrefix(u.appendOne(), "OK") })
	u.want("250", u.deliverOne())
	u.compare()
}

// compare expects to find what was acknowledged, whole, and nothing else.
func (u *tenant) compare() {
	u.t.Helper()
	client := u.dial()
	defer client.Close()
	_, messages, err := client.Messages("INBOX")
	if err != nil {
		u.t.Fatal(err)
	}
	var found []string
	for _, m := range messages {
		word := wordOf(m.Body)
		found = append(found, word)
		var n int
		fmt.Sscanf(word, "m%d", &n)
		if !strings.HasSuffix(m.Body, message(word, sizes[n%len(sizes)])) {
			u.t.Errorf("%s is not whole: %d octets", word, len(m.Body))
		}
	}
	slices.Sort(found)
	kept := slices.Sorted(slices.Values(u.kept))
	if !slices.Equal(found, kept) {
		u.t.Errorf("there is\n%q, acknowledged was\n%q", found, kept)
	}
}

// remove expects that mail can be flagged and deleted.
func (u *tenant) remove() {
	u.t.Helper()
	client := u.dial()
	defer client.Close()
	for _, command := range []string{"SELECT INBOX", `STORE 1 +FLAGS.SILENT (\Deleted)`, "EXPUNGE"} {
		a, err := client.Command(command)
		if err != nil {
			u.t.Fatal(err)
		}
		if !a.OK() {
			u.t.Errorf("%s was answered %q", command, a.Tagged)
			return
		}
	}
	u.kept = u.kept[1:] // in the order of arrival
	u.compare()
}
