// Package fetch brings the programs of internal/testenv's table to a Debian machine, so that tests which need them
// can run.
//
// Clients and tools are installed as packages, without recommended ones and without removing anything. Servers, and
// clients whose package starts a daemon, are only downloaded and unpacked under build/peers: nobody's machine gains
// a mail server, or loses its own, by running our tests. docs/decisions/0003-test-yard.md has the reasons.
//
// What is there already is left alone, and then nothing is asked of the network.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"postern/internal/testenv"
)

// ErrElsewhere is returned where nothing can be fetched: the machine is not Debian or we are not root.
var ErrElsewhere = errors.New("programs are fetched only as root on Debian")

// All fetches every program of the table that is missing. It writes one line per step to progress. Failures of
// single programs do not keep it from the others; they come back joined.
func All(ctx context.Context, progress io.Writer) error {
	var install []string
	var unpack []testenv.Program
	for _, program := range testenv.Programs() {
		if _, err := program.Find(); err == nil {
			continue
		}
		if program.Private() {
			unpack = append(unpack, program)
		} else {
			install = append(install, program.Packages...)
		}
	}
	if len(install) == 0 && len(unpack) == 0 {
		return nil
	}
	if err := possible(); err != nil {
		return err
	}

	fmt.Fprintln(progress, "fetch: apt-get update")
	var failures []error
	if out, err := apt(ctx, "update"); err != nil {
		// A third party's list that cannot be had must not keep us from Debian's own packages.
		fmt.Fprintf(progress, "fetch: apt-get update: %v\n%s", err, out)
	}
	if len(install) > 0 {
		fmt.Fprintf(progress, "fetch: installing %s\n", strings.Join(install, " "))
		args := append([]string{"install", "-y", "-q", "--no-install-recommends", "--no-remove"}, install...)
		if out, err := apt(ctx, args...); err != nil {
			failures = append(failures, fmt.Errorf("installing %v: %w\n%s", install, err, out))
		}
	}
	for _, program := range unpack {
		fmt.Fprintf(progress, "fetch: unpacking %s under build/peers\n", program.Name)
		bring := unpackPrivately
		if program.How == testenv.FromNPM {
			bring = bringByNPM
		}
		if err := bring(ctx, program); err != nil {
			failures = append(failures, fmt.Errorf("unpacking %s: %w", program.Name, err))
		}
	}
	return errors.Join(failures...)
}

// possible returns nil where All can do its work.
func possible() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: not root", ErrElsewhere)
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return fmt.Errorf("%w: no /etc/debian_version", ErrElsewhere)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w: %w", ErrElsewhere, err)
	}
	return nil
}

// apt runs apt-get without questions, waiting for another apt to end, and returns what it wrote.
func apt(ctx context.Context, args ...string) ([]byte, error) {
	options := []string{"-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"}
	cmd := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	return cmd.CombinedOutput()
}
