package config

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	docsFile  = "../../../docs/configuration.md"
	docsBegin = "```toml\n"
	docsEnd   = "```\n"
)

// TestDocsShowEverySetting keeps the reference in docs/configuration.md what
// the program itself says of its settings.
func TestDocsShowEverySetting(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), docsBegin)
	if !ok {
		t.Fatal("docs/configuration.md has no toml block")
	}
	_, tail, _ := strings.Cut(rest, docsEnd)
	var want bytes.Buffer
	if err := Show(&want, Default()); err != nil {
		t.Fatal(err)
	}
	whole := head + docsBegin + want.String() + docsEnd + tail
	if *update {
		if err := os.WriteFile(docsFile, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if whole != string(text) {
		t.Error("docs/configuration.md is behind: run go test ./cmd/postern/config -update")
	}
}
