package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityMatrix keeps docs/security-matrix.md true: every number of the study is there once, and every test or
// dialogue that it names exists.
func TestSecurityMatrix(t *testing.T) {
	page, err := os.ReadFile("../docs/security-matrix.md")
	if err != nil {
		t.Fatal(err)
	}
	const numbers = 132
	row := regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| (yes|part|no|n\.a\.) \| ([^|]*)\| ([^|]*)\|$`)
	name := regexp.MustCompile("`([^`]+)`")
	seen, status := map[string]bool{}, map[string]int{}
	tests := testsByPackage(t)
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		number, note := m[1], strings.TrimSpace(m[5])
		if seen[number] {
			t.Errorf("number %s is there twice", number)
		}
		seen[number] = true
		status[m[3]]++
		names := name.FindAllStringSubmatch(m[4], -1)
		if tested := m[3] == "yes" || m[3] == "part"; tested != (len(names) > 0) || m[3] != "yes" && note == "" {
			t.Errorf("number %s says %q, names %d tests and notes %q", number, m[3], len(names), note)
		}
		for _, n := range names {
			if file, ok := strings.CutPrefix(n[1], "dialogue:"); ok {
				if _, err := os.Stat(filepath.Join("dialogues", "imap", file+".dialogue")); err != nil {
					t.Errorf("number %s: %v", number, err)
				}
			} else if !tests[n[1]] {
				t.Errorf("number %s: there is no %s", number, n[1])
			}
		}
	}
	for n := range numbers {
		if !seen[fmt.Sprint(n+1)] {
			t.Errorf("number %d is missing", n+1)
		}
	}
	t.Logf("of %d: %v", numbers, status)
}

// testsByPackage gives the tests and fuzz targets of the module as package.Name.
func testsByPackage(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	all := map[string]bool{}
	for _, root := range []string{"../internal", "../cmd", "."} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				all[filepath.Base(filepath.Dir(path))+"."+m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
