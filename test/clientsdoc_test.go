package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/clients.md names every dialogue about a client, and no dialogue that is not there.
func TestClientsAreListed(t *testing.T) {
	doc, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	for _, path := range dialogues(t) {
		there[strings.TrimSuffix(filepath.Base(path), ".dialogue")] = true
	}
	listed := make(map[string]bool)
	for _, row := range regexp.MustCompile(`(?m)^\|(?:[^|\n]*\|){4} ([^|\n]*) \|$`).FindAllSubmatch(doc, -1) {
		for _, name := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllSubmatch(row[1], -1) {
			listed[string(name[1])] = true
		}
	}
	if len(listed) < 20 {
		t.Fatalf("the table is not read: %v", listed)
	}
	for name := range listed {
		if !there[name] {
			t.Errorf("there is no dialogue %s", name)
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "client-") && !listed[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
}
