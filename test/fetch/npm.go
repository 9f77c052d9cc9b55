package fetch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"postern/internal/testenv"
)

// bringByNPM has npm put a package of Node's, and what it needs, under build/peers, as its lockfile says. npm checks
// each against the hash there, and runs none of their scripts. The stamp is the lockfile: another one brings the
// package anew.
func bringByNPM(ctx context.Context, program testenv.Program) error {
	dir := filepath.Dir(program.Stamp())
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(program.Root(), 0o755); err != nil {
		return err
	}
	lock, err := os.ReadFile(program.Lock())
	if err != nil {
		return err
	}
	manifest, err := os.ReadFile(filepath.Join(filepath.Dir(program.Lock()), "package.json"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(program.Root(), name), content, 0o644); err != nil {
			return err
		}
	}
	cache := filepath.Join(dir, "cache")
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--update-notifier=false", "--cache="+cache)
	cmd.Dir = program.Root()
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	return os.WriteFile(program.Stamp(), lock, 0o644)
}
