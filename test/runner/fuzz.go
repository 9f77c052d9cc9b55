package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A target is one fuzz function.
type target struct {
	pkg, name string
}

// fuzz runs every fuzz target of the module, one after the other, each for d. What it finds, go writes into the
// package's testdata/fuzz, to be committed with the repair.
func fuzz(ctx context.Context, d time.Duration) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./...").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -list: %w\n%s", err, out)
	}
	targets := fuzzTargets(string(out))
	if len(targets) == 0 {
		return errors.New("there are no fuzz targets")
	}
	var failures []error
	for i, target := range targets {
		fmt.Printf("fuzz %d/%d: %s %s for %v\n", i+1, len(targets), target.pkg, target.name, d)
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+target.name+"$", "-fuzztime="+d.String(), target.pkg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			failures = append(failures, fmt.Errorf("%s %s: %w", target.pkg, target.name, err))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errors.Join(failures...)
}

// fuzzTargets reads the output of go test -list: names, then "ok  package  time" for each package.
func fuzzTargets(out string) []target {
	var targets []target
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 2 && fields[0] == "ok":
			for _, name := range names {
				targets = append(targets, target{fields[1], name})
			}
			names = nil
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		}
	}
	return targets
}
