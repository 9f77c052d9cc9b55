package fetch

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"postern/internal/testenv"
)

// unpackPrivately downloads a program's packages and those of their dependencies that the machine lacks, unpacks
// them side by side, and for a server adds the libraries of this machine that it loads. Its last act is the stamp;
// without it the next run starts over.
func unpackPrivately(ctx context.Context, program testenv.Program) error {
	dir := filepath.Dir(program.Stamp())
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	archives := filepath.Join(dir, "archives")
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	packages := program.Packages
	if !program.Alone {
		var err error
		if packages, err = missingPackages(ctx, packages); err != nil {
			return err
		}
	}
	if err := download(ctx, archives, packages); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	var versions []string
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, program.Root()).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w\n%s", filepath.Base(deb), err, out)
		}
		versions = append(versions, filepath.Base(deb))
	}
	if program.How == testenv.Rooted {
		if err := furnish(ctx, program.Root()); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(archives); err != nil {
		return err
	}
	return os.WriteFile(program.Stamp(), []byte(strings.Join(versions, "\n")+"\n"), 0o644)
}

// missingPackages returns the packages named and those of their dependencies that are not installed, by asking
// apt-get what it would install. What it would remove for them does not matter: nothing is installed.
func missingPackages(ctx context.Context, packages []string) ([]string, error) {
	out, err := apt(ctx, append([]string{"install", "--simulate", "--no-install-recommends"}, packages...)...)
	if err != nil {
		return nil, fmt.Errorf("apt-get --simulate: %w\n%s", err, out)
	}
	missing := slices.Clone(packages)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "Inst" && !slices.Contains(missing, fields[1]) {
			missing = append(missing, fields[1])
		}
	}
	return missing, nil
}

// download fetches the .deb files of packages into dir.
func download(ctx context.Context, dir string, packages []string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download: %w\n%s", err, out)
	}
	return nil
}

// furnish makes an unpacked tree a root directory a server can live in: its libraries, the devices it opens, and a
// list of the users it changes to.
func furnish(ctx context.Context, root string) error {
	libraries, err := neededLibraries(ctx, root)
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := copyFile(library, filepath.Join(root, library)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev", "etc", "tmp", "run", "usr/bin", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777|os.ModeSticky); err != nil {
		return err
	}
	for name, minor := range map[string]int{"null": 3, "zero": 5, "random": 8, "urandom": 9} {
		path := filepath.Join(root, "dev", name)
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			return fmt.Errorf("making %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/passwd":        strings.Join(users, "\n") + "\n",
		"etc/group":         strings.Join(groups, "\n") + "\n",
		"etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
		"etc/services":      "smtp 25/tcp\nimap 143/tcp\nimaps 993/tcp\nlmtp 24/tcp\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The users the servers of the table change to. They exist only inside the servers' own root directories; the
// numbers are far from those Debian gives out, so that they belong to nobody outside.
var (
	users = []string{
		"root:x:0:0:root:/root:/bin/sh",
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
		"dovecot:x:64101:64101::/nonexistent:/usr/sbin/nologin",
		"dovenull:x:64102:64102::/nonexistent:/usr/sbin/nologin",
		"postfix:x:64103:64103::/nonexistent:/usr/sbin/nologin",
		"vmail:x:64105:64105::/nonexistent:/usr/sbin/nologin",
		"cyrus:x:64106:64106::/nonexistent:/usr/sbin/nologin",
	}
	groups = []string{
		"root:x:0:", "nogroup:x:65534:", "dovecot:x:64101:", "dovenull:x:64102:",
		"postfix:x:64103:", "postdrop:x:64104:", "vmail:x:64105:", "mail:x:8:",
		"cyrus:x:64106:",
	}
)

// neededLibraries asks the dynamic linker which libraries the ELF files below root load, and returns those that are
// this machine's and not below root.
func neededLibraries(ctx context.Context, root string) ([]string, error) {
	binaries, dirs, err := elfFiles(root)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, binary := range binaries {
		cmd := exec.CommandContext(ctx, "ldd", binary)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "LD_LIBRARY_PATH="+strings.Join(dirs, ":"))
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return nil, err
		}
		if err := readLdd(out, root, found); err != nil {
			return nil, fmt.Errorf("%s: %w", binary, err)
		}
	}
	var libraries []string
	for library := range found {
		libraries = append(libraries, library)
	}
	slices.Sort(libraries)
	return libraries, nil
}

// readLdd adds the libraries that ldd's output names, outside root, to found.
func readLdd(out []byte, root string, found map[string]bool) error {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		// "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", "/lib64/ld-linux-x86-64.so.2 (0x…)",
		// "libx.so => not found"
		name, target, isArrow := strings.Cut(strings.TrimSpace(lines.Text()), " => ")
		if !isArrow {
			target = name
		}
		path, _, _ := strings.Cut(target, " (")
		if filepath.IsAbs(path) && !strings.HasPrefix(path, root+"/") {
			found[path] = true
		}
	}
	return lines.Err()
}

// elfFiles returns the ELF files below root and the directories that hold shared libraries.
func elfFiles(root string) (files, dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		file, err := elf.Open(path)
		if err != nil {
			return nil // a script, a manual page
		}
		defer file.Close()
		files = append(files, path)
		if dir := filepath.Dir(path); strings.Contains(filepath.Base(path), ".so") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	return files, dirs, err
}

// copyFile copies what from names, following links, to a new file.
func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
