package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
)

// What go test -json says of a run with one test of each outcome (written by hand after go doc test2json).
func events(skipText string) []event {
	return []event{
		{Action: "run", Package: "postern/internal/x", Test: "TestGood"},
		{Action: "pass", Package: "postern/internal/x", Test: "TestGood", Elapsed: 1.5},
		{Action: "run", Package: "postern/internal/x", Test: "TestAway"},
		{Action: "output", Package: "postern/internal/x", Test: "TestAway", Output: "=== RUN   TestAway\n"},
		{Action: "output", Package: "postern/internal/x", Test: "TestAway", Output: "    x_test.go:7: " + skipText + "\n"},
		{Action: "output", Package: "postern/internal/x", Test: "TestAway", Output: "--- SKIP: TestAway (0.00s)\n"},
		{Action: "skip", Package: "postern/internal/x", Test: "TestAway"},
		{Action: "pass", Package: "postern/internal/x", Elapsed: 2},
	}
}

func TestSummarySkips(t *testing.T) {
	cases := []struct {
		name       string
		reason     string
		strict     bool
		wantFailed bool
		wantSkips  int
	}{
		{"a skip is told", "dovecot is not unpacked", false, false, 1},
		{"a skip is a failure where none is allowed", "dovecot is not unpacked", true, true, 1},
		{"a long form is no skip", testenv.LongForm, true, false, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &summary{strict: c.strict, progress: &bytes.Buffer{}}
			for _, e := range events(c.reason) {
				s.take(e)
			}
			if s.failed() != c.wantFailed || len(s.skips) != c.wantSkips || s.passed != 1 {
				t.Fatalf("failed %v, skips %q, passed %d", s.failed(), s.skips, s.passed)
			}
			if c.wantSkips > 0 && s.skips[0] != "internal/x TestAway: "+c.reason {
				t.Errorf("the skip is told as %q", s.skips[0])
			}
		})
	}
}

func TestSummaryFailures(t *testing.T) {
	cases := []struct {
		name   string
		events []event
		want   string // among the failures
		shown  string // while it runs
	}{
		{"a test", []event{
			{Action: "output", Package: "postern/x", Test: "TestBad", Output: "    x_test.go:9: want 1\n"},
			{Action: "fail", Package: "postern/x", Test: "TestBad", Elapsed: 1},
			{Action: "fail", Package: "postern/x"},
		}, "x TestBad", "want 1"},
		{"a build", []event{
			{Action: "build-output", ImportPath: "postern/x", Output: "x.go:1: no\n"},
			{Action: "build-fail", ImportPath: "postern/x"},
		}, "build of postern/x", "x.go:1: no"},
		{"a panic or a timeout, which no test reports", []event{
			{Action: "output", Package: "postern/x", Test: "TestHung", Output: "panic: test timed out\n"},
			{Action: "fail", Package: "postern/x"},
		}, "x (the package)", "panic: test timed out"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var shown bytes.Buffer
			s := &summary{progress: &shown}
			for _, e := range c.events {
				s.take(e)
			}
			if len(s.failures) != 1 || s.failures[0] != c.want {
				t.Errorf("failures are %q, want %q", s.failures, c.want)
			}
			if !strings.Contains(shown.String(), c.shown) {
				t.Errorf("shown is %q without %q", shown.String(), c.shown)
			}
			var report bytes.Buffer
			s.print(&report, time.Second)
			if !strings.Contains(report.String(), "failed\n  "+c.want) {
				t.Errorf("the report does not name it:\n%s", report.String())
			}
		})
	}
}
