package imapwire

import (
	"bufio"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// What a command makes the reader take is bounded by what was sent, not by what was
// announced, and is a small multiple of it.
func TestMemoryOfHostileCommands(t *testing.T) {
	sections := func() string {
		var b strings.Builder
		for i := range 4000 {
			fmt.Fprintf(&b, "BODY[%d] ", i+1)
		}
		return "a FETCH 1 (" + b.String() + "UID)\r\n"
	}
	for name, test := range map[string]struct {
		in     string
		octets uint64
	}{
		"announced literal":     {"a LOGIN {2147483647}\r\n", 4 << 10},
		"announced message":     {"a APPEND x {1048576}\r\n", 4 << 10},
		"a set of one number":   {"a FETCH " + strings.Repeat("1,", 30_000) + "1 UID\r\n", 300 << 10},
		"a set of many numbers": {"a FETCH " + strings.Repeat("1,3,", 15_000) + "1 UID\r\n", 2 << 20},
		"the same item":         {"a FETCH 1 (" + strings.Repeat("BODY[] ", 9000) + "UID)\r\n", 2 << 20},
		"many items":            {sections(), 8 << 20},
		"many keys":             {"a SEARCH " + strings.Repeat("SEEN ", 9000) + "SEEN\r\n", 16 << 20},
		"many alternatives":     {"a SEARCH " + strings.Repeat("OR SEEN ", 4000) + "SEEN\r\n", 16 << 20},
		"too many parentheses":  {"a SEARCH " + strings.Repeat("(", 60_000) + "\r\n", 64 << 10},
		"a long atom":           {"a SELECT " + strings.Repeat("x", 60_000) + "\r\n", 512 << 10},
		"many patterns":         {"a LIST \"\" (" + strings.Repeat("a ", 9000) + "b)\r\n", 256 << 10},
	} {
		// The runtime counts for the whole process: what others take now and then is
		// not in the least of several counts.
		took := ^uint64(0)
		for range 5 {
			took = min(took, octetsTaken(t, name, test.in))
		}
		if took > test.octets {
			t.Errorf("%s: %d octets for a command of %d", name, took, len(test.in))
		}
	}
}

// octetsTaken tells what reading a command's arguments takes.
func octetsTaken(t *testing.T, name, in string) uint64 {
	t.Helper()
	r := NewReader(bufio.NewReader(strings.NewReader(in)), LoggedIn(1<<20), nil)
	r.Continue = func() error { return fmt.Errorf("it was asked for") }
	cmd, err := r.Command()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if name == "announced message" {
		var box string
		var m AppendMessage
		if !r.ExpectAppendMailbox(&box) || !r.ExpectAppendMessage(&m) {
			t.Fatal(r.Err())
		}
	} else {
		readArgs(r, cmd.Name)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
