// Command runner is what `make test` runs: formatting, vet, staticcheck and every test of the module, and at the end
// what failed, what was skipped and why, and the ten slowest tests.
//
//	runner test [-long] [packages]  fetch what tests need, check, test (all packages, or those named)
//	runner check                    gofmt, go vet, staticcheck
//	runner fetch                    only fetch
//	runner fuzz [-for 30s]          run every fuzz target for a while
//
// With POSTERN_SKIP=never every skip is a failure, except that of a test's long form.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"postern/internal/testenv"
	"postern/test/fetch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: runner test|check|fetch|fuzz")
	}
	if err := os.Chdir(testenv.ModuleRoot()); err != nil {
		return err
	}
	flags := flag.NewFlagSet("runner "+args[0], flag.ContinueOnError)
	long := flags.Bool("long", false, "run the long forms of the tests")
	duration := flags.Duration("for", 30*time.Second, "how long each fuzz target runs")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "test":
		return testAll(ctx, *long, flags.Args())
	case "check":
		return check(ctx)
	case "fetch":
		return fetch.All(ctx, os.Stdout)
	case "fuzz":
		return fuzz(ctx, *duration)
	}
	return fmt.Errorf("runner knows no %q", args[0])
}

// testAll does everything make test promises, and does all of it even when an early part fails.
func testAll(ctx context.Context, long bool, packages []string) error {
	began := time.Now()
	strict := os.Getenv(testenv.SkipVariable) == "never"
	summary := &summary{strict: strict}

	if err := fetch.All(ctx, os.Stdout); errors.Is(err, fetch.ErrElsewhere) && !strict {
		fmt.Println("fetch:", err) // the suites that miss something say so themselves
	} else if err != nil {
		summary.fail("fetch", err.Error())
	}
	if err := check(ctx); err != nil {
		summary.fail("checks", err.Error())
	}
	if err := goTest(ctx, long, packages, summary); err != nil {
		summary.fail("go test", err.Error())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	summary.print(os.Stdout, time.Since(began))
	if summary.failed() {
		return errors.New("FAIL")
	}
	return nil
}
