package bench

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func reading(text string) *client {
	return &client{r: bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(text)), 16), caps: map[string]bool{}}
}

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string // then an error
	}{
		{"* 1 EXISTS\r\nb1 OK done\r\n", []string{"* 1 EXISTS", "b1 OK done"}},
		{"* 1 FETCH (BODY[] {5}\r\na\r\nb) UID 3)\r\n", []string{"* 1 FETCH (BODY[] {5}\r\na\r\nb) UID 3)"}},
		{"* 1 FETCH (X {0}\r\n Y {3}\r\n}\r\n)\r\n", []string{"* 1 FETCH (X {0}\r\n Y {3}\r\n}\r\n)"}},
		{"* OK a line longer than the buffer of sixteen octets\r\n", []string{"* OK a line longer than the buffer of sixteen octets"}},
		{"* OK {nonsense}\r\n", []string{"* OK {nonsense}"}},
		{"* OK without CR\n", nil},
		{"\r\n", nil},
		{"* 1 FETCH (X {5}\r\nabc", nil},
		{"* 1 FETCH (X {2000000000}\r\n", nil},
		{"* cut off", nil},
		{"", nil},
	} {
		cl := reading(c.in)
		for _, want := range c.want {
			if got, err := cl.response(); err != nil || string(got) != want {
				t.Errorf("%q: %q, %v, want %q", c.in, got, err, want)
			}
		}
		if got, err := cl.response(); err == nil {
			t.Errorf("%q: %q, want an error", c.in, got)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("* 1 FETCH (UID 3 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n* SEARCH 1 2\r\nb1 OK\r\n"))
	f.Add([]byte("* 99999999999 EXISTS\r\n* {4294967295}\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &client{r: bufio.NewReader(bytes.NewReader(in)), caps: map[string]bool{}}
		roll := newRoll(1, 3, "UID ")
		roll.uids = true
		for {
			line, err := c.response()
			if err != nil {
				return
			}
			c.note(line)
			_ = roll.take(line)
			section(line)
			if c.exists < 0 || roll.count > 3 {
				t.Fatalf("%d exist, %d came", c.exists, roll.count)
			}
		}
	})
}

func TestDiffer(t *testing.T) {
	for _, c := range []struct {
		got, want []int
		says      string
	}{
		{[]int{1, 3}, []int{1, 2, 3}, "2 is missing"},
		{[]int{1, 2, 3}, []int{1, 3}, "2 is too much"},
		{[]int{1}, []int{1, 9}, "9 is missing"},
		{[]int{1, 9}, []int{1}, "9 is too much"},
		{nil, nil, "no difference"},
	} {
		if got := differ(c.got, c.want); got != c.says {
			t.Errorf("%v, %v: %s, want %s", c.got, c.want, got, c.says)
		}
	}
}

// The nearest rank: of 100 times, the 95th is the 95th percentile.
func TestLatency(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i)*time.Millisecond)
	}
	if got := *latency(times); got != (Latency{50, 95, 99, 100}) {
		t.Errorf("%+v", got)
	}
	if got := *latency(times[:1]); got != (Latency{1, 1, 1, 1}) {
		t.Errorf("%+v", got)
	}
	if latency(nil) != nil {
		t.Error("latencies of nothing")
	}
}

// Dots that begin a line are doubled, and nothing else changes (RFC 5321 4.5.2).
func TestStuff(t *testing.T) {
	if got := string(stuff(nil, []byte("a\r\n.b\r\n..\r\nc.\r\n"))); got != "a\r\n..b\r\n...\r\nc.\r\n.\r\n" {
		t.Errorf("%q", got)
	}
}

// A tree's processor time includes that of children that have ended, and its memory that of those that live.
func TestTree(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command("sh", "-c", `(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); cat; :`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n') // so the loop's shell has ended, and cat lives
	if err != nil || line != "hello\n" {
		t.Fatal(line, err)
	}
	root := tree(cmd.Process.Pid)
	if cpu, err := root.cpu(); err != nil || cpu < tick { // a loop of 300,000 takes a shell many ticks
		t.Errorf("%v, %v", cpu, err)
	}
	if err := root.rest(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	members, err := root.members()
	if err != nil {
		t.Fatal(err)
	}
	if len(members) != 2 {
		t.Errorf("%d processes, there are sh and cat", len(members))
	}
	if whole, err := root.pss(); err != nil || whole <= 0 {
		t.Errorf("%d octets, %v", whole, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := root.cpu(); err == nil {
		t.Error("a process that has ended takes time")
	}
}

func TestQuote(t *testing.T) {
	if got := quote(`a"b\c`); got != `"a\"b\\c"` {
		t.Error(got)
	}
	if names, help := Profiles(); len(names) != len(help) || slices.Contains(help, "") {
		t.Error("a profile without its meaning")
	}
}
