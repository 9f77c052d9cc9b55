package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/bench"
)

func row(profile, operation, state string, perSecond, cpu float64) bench.Row {
	return bench.Row{Profile: profile, Operation: operation, State: state, PerSecond: perSecond, CPUMillis: &cpu, Latency: &bench.Latency{P50: cpu}}
}

// The table has the medians, and the ratio is that to the best of those who were right.
func TestTable(t *testing.T) {
	wrong := row("append", "APPEND", "", 9000, 0.1)
	wrong.Wrong = []string{"mail is lost"}
	results := []result{
		{Name: "postern", Rounds: [][]bench.Row{
			{row("append", "APPEND", "", 1000, 1), row("big", "SELECT", "cold", 0, 2)},
			{row("append", "APPEND", "", 3000, 3)}, {row("append", "APPEND", "", 2000, 2)}}},
		{Name: "slow", Rounds: [][]bench.Row{{row("append", "APPEND", "", 500, 9), row("big", "SORT (REVERSE DATE)", "warm", 0, 7)}}},
		{Name: "better", Rounds: [][]bench.Row{{row("append", "APPEND", "", 1000, 6)}}},
		{Name: "liar", Rounds: [][]bench.Row{{wrong}}},
	}
	got := (&options{rounds: 3}).table(results)
	for _, want := range []string{
		"| APPEND | 2000 / 2.00 | 500 / 9.00 | 1000 / 6.00 | wrong | 3.00 / 2.00 | 3 / 2 |",
		"| SELECT **cold** | 2.00 / 2.00 | - | - | - |  |  |",
		"| SORT (REVERSE DATE) **warm** | - | 7.00 / 7.00 | - | - |  | 3 |",
		"liar:\n\n* wrong answer: append APPEND: mail is lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

// Nothing but what stands between the marks is replaced.
func TestReplace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := replace(file, "new"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if want := "before\n" + beginMark + "\n\nnew\n" + endMark + "\nafter\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
	if err := os.WriteFile(file, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replace(file, "new"); err == nil {
		t.Error("a file without marks was written")
	}
}
