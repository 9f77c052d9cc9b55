package test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"postern/test/dialogue"
	"postern/test/peer"
)

// Whatever Postern announces is held to its promise by at least one dialogue, and every dialogue names only what
// there is. With -v the test prints how much is said about each capability.
func TestDialoguesCoverCapabilities(t *testing.T) {
	announced := capabilities(t, peer.Postern(t))
	files, lines := make(map[string]int), make(map[string]int)
	for _, path := range dialogues(t) {
		d := parse(t, path)
		if len(d.Capabilities) == 0 {
			t.Errorf("%s: the preamble has no capability: line", path)
		}
		for _, name := range d.Capabilities {
			files[name]++
			lines[name] += expectations(d)
			if !announced[name] {
				t.Errorf("%s: %s is not announced", path, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(announced)) {
		t.Logf("%-20s %3d dialogues, %4d lines expected", name, files[name], lines[name])
		if lines[name] == 0 {
			t.Errorf("%s is announced, and no dialogue is about it", name)
		}
	}
}

// expectations counts the lines of the server that a dialogue asks for.
func expectations(d *dialogue.Dialogue) int {
	n := 0
	for _, step := range d.Steps {
		n += len(step.Expect)
	}
	return n
}

// capabilities collects what the server announces: without TLS, with it, and after login. What stands behind a "=" is
// part of the name, unless it is a number.
func capabilities(t *testing.T, server *peer.Server) map[string]bool {
	t.Helper()
	name, password := server.NewAdministrator(t) // who is told of everything
	all := make(map[string]bool)
	plain, err := net.Dial("tcp", server.Plain)
	if err != nil {
		t.Fatal(err)
	}
	collect(t, plain, all)
	secured, err := tls.Dial("tcp", server.TLS, server.TLSConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	collect(t, secured, all, fmt.Sprintf("LOGIN %s %s", name, password))
	return all
}

// collect takes in the greeting's capabilities and those listed after the commands.
func collect(t *testing.T, conn net.Conn, all map[string]bool, commands ...string) {
	t.Helper()
	defer conn.Close()
	for _, command := range append(commands, "CAPABILITY", "LOGOUT") {
		if _, err := fmt.Fprintf(conn, "a %s\r\n", command); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(io.LimitReader(conn, 1<<20))
	for lines.Scan() {
		list, found := strings.CutPrefix(lines.Text(), "* CAPABILITY ")
		if !found {
			_, code, _ := strings.Cut(lines.Text(), "[CAPABILITY ")
			list, _, _ = strings.Cut(code, "]")
		}
		for _, name := range strings.Fields(list) {
			all[withoutNumber(name)] = true
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// withoutNumber makes APPENDLIMIT of APPENDLIMIT=67108864.
func withoutNumber(capability string) string {
	name, value, _ := strings.Cut(capability, "=")
	if value != "" && strings.Trim(value, "0123456789") == "" {
		return name
	}
	return capability
}

// parse reads a dialogue file.
func parse(t *testing.T, path string) *dialogue.Dialogue {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dialogue.Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
