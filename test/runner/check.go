package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// check runs what looks at the source without running it.
func check(ctx context.Context) error {
	return errors.Join(
		gofmt(ctx),
		tool(ctx, "go", "vet", "./..."),
		tool(ctx, "go", "tool", "staticcheck", "./..."),
	)
}

// gofmt lists the files that are not formatted.
func gofmt(ctx context.Context) error {
	fmt.Println("check: gofmt")
	args := []string{"-l"}
	for _, dir := range []string{"cmd", "internal", "test"} {
		if _, err := os.Stat(dir); err == nil {
			args = append(args, dir)
		}
	}
	out, err := exec.CommandContext(ctx, "gofmt", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("gofmt: %w\n%s", err, out)
	}
	if len(out) > 0 {
		return fmt.Errorf("not formatted (gofmt -w FILE):\n%s", out)
	}
	return nil
}

// tool runs a checker that says nothing when all is well.
func tool(ctx context.Context, name string, args ...string) error {
	command := strings.Join(append([]string{name}, args...), " ")
	fmt.Println("check:", command)
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}
