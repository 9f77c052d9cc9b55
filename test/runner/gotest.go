package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"postern/test/peer"
)

// testTimeout is how long one package's tests may take before go test ends them with a stack dump; in the long form, in
// which a simulation of weeks runs under the race detector, it is longTimeout.
const (
	testTimeout = "15m"
	longTimeout = "4h"
)

// outside are the packages that look at Postern from outside, as another process. The race detector would find
// nothing in them; it is built into the Postern they start instead. Their results depend on more than Go files, so
// they are never taken from go test's cache.
func outside(pkg string) bool {
	return slices.Contains([]string{"postern/test", "postern/test/peer", "postern/test/clients", "postern/test/postfix", "postern/test/crash"}, pkg)
}

// goTest runs the tests of the packages named, or of all, those inside first.
func goTest(ctx context.Context, long bool, packages []string, summary *summary) error {
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	out, err := exec.CommandContext(ctx, "go", append([]string{"list"}, packages...)...).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	var inner, outer []string
	for pkg := range strings.FieldsSeq(string(out)) {
		if outside(pkg) {
			outer = append(outer, pkg)
		} else {
			inner = append(inner, pkg)
		}
	}
	common := []string{"test", "-json", "-vet=off"}
	if long {
		common = append(common, "-timeout="+longTimeout)
	} else {
		common = append(common, "-timeout="+testTimeout, "-short")
	}
	innerArgs, outerEnv := common, []string(nil)
	if haveRace(ctx) {
		innerArgs = append(innerArgs[:len(innerArgs):len(innerArgs)], "-race")
		outerEnv = []string{peer.RaceVariable + "=1"}
	} else {
		summary.skip("race detector", "it needs cgo and a C compiler")
	}
	outerArgs := append(common[:len(common):len(common)], "-count=1")
	if len(inner) > 0 {
		err = runGoTest(ctx, append(innerArgs, inner...), nil, summary)
	}
	if len(outer) > 0 {
		err = errors.Join(err, runGoTest(ctx, append(outerArgs, outer...), outerEnv, summary))
	}
	return err
}

// haveRace reports whether go test -race works here: cgo is on and its C compiler exists.
func haveRace(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "go", "env", "CGO_ENABLED", "CC").Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 || fields[0] != "1" {
		return false
	}
	_, err = exec.LookPath(fields[1])
	return err == nil
}

// event is one line of go test -json; see go doc cmd/test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build that failed
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// runGoTest runs go with args and feeds its events to summary. Failed tests are no error here; summary has them.
func runGoTest(ctx context.Context, args, env []string, summary *summary) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test ends its children
	cmd.WaitDelay = 20 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failuresBefore := len(summary.failures)
	lines := bufio.NewReader(stdout)
	for {
		line, readErr := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				fmt.Print(string(line)) // not an event: something go itself has to say
			} else {
				summary.take(e)
			}
		}
		if readErr != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil && len(summary.failures) == failuresBefore {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}
