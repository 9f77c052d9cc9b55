package imapserver

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestStatusPage compares docs/rfc-status.md with what is announced: what has a
// capability and is said to work is announced, and nothing else is.
func TestStatusPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/rfc-status.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	row := regexp.MustCompile(`(?m)^\| *([^|]*) *\| *([^|]*) *\| *([^|]*) *\| *(yes|partial|no) *\|`)
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		if capability := strings.TrimSpace(m[3]); capability != "" {
			if was, twice := said[capability]; twice && was != m[4] {
				t.Errorf("%s is said to be %s and %s", capability, was, m[4])
			}
			said[capability] = m[4]
		}
	}
	if len(said) < 40 {
		t.Fatalf("the page was not understood: %v", said)
	}

	w := newWorld(t, withTokens)
	var announced []string
	for _, setting := range []string{"starttls", "tls"} {
		c := w.dial(setting)
		untagged, _ := c.do("CAPABILITY")
		announced = append(announced, strings.Fields(untagged[0])[2:]...)
	}
	c := w.login()
	untagged, _ := c.do("CAPABILITY")
	announced = append(announced, strings.Fields(untagged[0])[2:]...)
	for i, a := range announced {
		if strings.HasPrefix(a, "APPENDLIMIT=") {
			announced[i] = "APPENDLIMIT"
		}
		if status := said[announced[i]]; status != "yes" && status != "partial" {
			t.Errorf("%s is announced and the page says %q", a, status)
		}
	}
	for capability, status := range said {
		if status != "no" && !slices.Contains(announced, capability) {
			t.Errorf("%s is said to work (%s) and is not announced", capability, status)
		}
	}
}

// TestTable checks that every command of the table has a name of its own and says
// what the exit has to know.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, sp := range commandTable() {
		if seen[sp.name] || sp.name != strings.ToUpper(sp.name) || sp.states == 0 || sp.do == nil {
			t.Errorf("%+v", sp)
		}
		seen[sp.name] = true
		// RFC 7377 2.1: ESEARCH answers with UIDs.
		if sp.byUID != (strings.HasPrefix(sp.name, "UID ") || sp.name == "ESEARCH") {
			t.Errorf("%s: by UID or not?", sp.name)
		}
	}
	// RFC 3501 7.4.1, RFC 9051 7.5.1, RFC 5256 3: never during these.
	for _, name := range []string{"FETCH", "STORE", "SEARCH", "SORT", "THREAD"} {
		for _, sp := range commandTable() {
			if sp.name == name && (sp.reveals || !sp.sequences) {
				t.Errorf("%s must not reveal expunges", name)
			}
		}
	}
}
