package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"postern/internal/testenv"
)

// summary collects what happened and tells it: a line per package while it runs, and at the end the failures, the
// skips with their reasons and the slowest tests.
type summary struct {
	strict   bool // a skip is a failure
	passed   int
	failures []string
	skips    []string
	longs    int // tests whose long form was not asked for
	timings  []timing
	output   map[string]*strings.Builder // by package and test, while it runs
	counts   map[string]int              // by package: tests passed
	progress io.Writer                   // nil: standard output
}

type timing struct {
	test    string
	elapsed float64
}

// slowestShown is how many of the slowest tests are shown.
const slowestShown = 10

func (s *summary) out() io.Writer {
	if s.progress != nil {
		return s.progress
	}
	return os.Stdout
}

// fail notes a failure outside go test.
func (s *summary) fail(what, why string) {
	s.failures = append(s.failures, what)
	fmt.Fprintf(s.out(), "FAIL %s\n%s\n", what, why)
}

// skip notes that a suite was left out; where that is not allowed, it is a failure.
func (s *summary) skip(what, why string) {
	if strings.Contains(why, testenv.LongForm) {
		s.longs++
		return
	}
	s.skips = append(s.skips, what+": "+why)
	if s.strict {
		s.failures = append(s.failures, what+" (skipped)")
	}
}

// failed reports whether anything went wrong.
func (s *summary) failed() bool { return len(s.failures) > 0 }

// take takes one event of go test -json.
func (s *summary) take(e event) {
	if s.output == nil {
		s.output, s.counts = map[string]*strings.Builder{}, map[string]int{}
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(s.out(), e.Output)
	case "build-fail":
		s.failures = append(s.failures, "build of "+e.ImportPath)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
	}
}

func (s *summary) endTest(e event, key string) {
	name := strings.TrimPrefix(e.Package, "postern/") + " " + e.Test
	output := ""
	if s.output[key] != nil {
		output = s.output[key].String()
	}
	delete(s.output, key)
	switch e.Action {
	case "pass":
		s.passed++
		s.counts[e.Package]++
	case "fail":
		s.failures = append(s.failures, name)
		fmt.Fprintf(s.out(), "FAIL %s (%.2fs)\n%s", name, e.Elapsed, output)
	case "skip":
		s.skip(name, skipReason(output))
	}
	if !strings.Contains(e.Test, "/") {
		s.timings = append(s.timings, timing{name, e.Elapsed})
	}
}

func (s *summary) endPackage(e event, key string) {
	output := ""
	if s.output[key] != nil {
		output = s.output[key].String()
	}
	delete(s.output, key)
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out(), "ok   %-45s %6.1fs  %d tests\n", e.Package, e.Elapsed, s.counts[e.Package])
	case "fail":
		fmt.Fprintf(s.out(), "FAIL %-45s %6.1fs\n", e.Package, e.Elapsed)
		prefix := strings.TrimPrefix(e.Package, "postern/") + " "
		if !slices.ContainsFunc(s.failures, func(name string) bool { return strings.HasPrefix(name, prefix) }) {
			// No test failed: a panic, a timeout, a TestMain, a build. The output says which, and so may that of the
			// test that was running.
			s.failures = append(s.failures, prefix+"(the package)")
			for running, text := range s.output {
				if strings.HasPrefix(running, e.Package+" ") {
					output += text.String()
				}
			}
			fmt.Fprint(s.out(), output)
		}
	}
}

// skipReason finds the reason in the output of a test that was skipped: "    file_test.go:12: reason".
func skipReason(output string) string {
	reason := "no reason given"
	for line := range strings.Lines(output) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "=== ") || strings.HasPrefix(text, "--- SKIP") {
			continue
		}
		if file, rest, ok := strings.Cut(text, ": "); ok && strings.Contains(file, ".go:") {
			text = rest
		}
		reason = text
	}
	return reason
}

// print writes the end of the report.
func (s *summary) print(w io.Writer, elapsed time.Duration) {
	slices.SortStableFunc(s.timings, func(a, b timing) int { return cmp.Compare(b.elapsed, a.elapsed) })
	fmt.Fprintln(w, "\nslowest tests")
	for _, slow := range s.timings[:min(slowestShown, len(s.timings))] {
		fmt.Fprintf(w, "  %7.2fs  %s\n", slow.elapsed, slow.test)
	}
	if s.longs > 0 {
		fmt.Fprintf(w, "\n%d tests have a long form that was not run (make test-long)\n", s.longs)
	}
	if len(s.skips) > 0 {
		fmt.Fprintln(w, "\nskipped")
		for _, skip := range s.skips {
			fmt.Fprintln(w, "  "+skip)
		}
	}
	if len(s.failures) > 0 {
		fmt.Fprintln(w, "\nfailed")
		for _, failure := range s.failures {
			fmt.Fprintln(w, "  "+failure)
		}
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped, in %v\n", s.passed, len(s.failures), len(s.skips), elapsed.Round(time.Second))
}
