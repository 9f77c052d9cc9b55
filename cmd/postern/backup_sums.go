package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"postern/internal/mail"
)

// sumsFile is in a backup and has the checksum of each of its files, in the form
// that sha256sum -c reads. The engine cannot tell a log that a power cut ended
// early from one that was damaged near its end; for a backup, which nobody
// writes to, these can.
const sumsFile = "SHA256SUMS"

// sums are SHA-256 sums in hexadecimal, by path below the backup.
type sums map[string]string

func (s sums) text() []byte {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s  %s\n", s[name], name)
	}
	return []byte(b.String())
}

// readSums reads the sums of a backup. There are none, and ok is false, for a
// directory that is no backup, or was opened as a store since it was one: what
// its files hold has changed then.
func readSums(backup string) (s sums, ok bool, err error) {
	if _, err := os.Stat(filepath.Join(backup, storeDirectory, "LOCK")); err == nil {
		return nil, false, nil
	}
	f, err := os.Open(filepath.Join(backup, sumsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	s = sums{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		sum, name, found := strings.Cut(lines.Text(), "  ")
		if !found || len(sum) != 2*sha256.Size || !filepath.IsLocal(name) {
			return nil, false, errors.Join(mail.Errorf(mail.Corrupt, "%s in %s is damaged: %q", sumsFile, backup, lines.Text()), f.Close())
		}
		s[name] = sum
	}
	return s, true, errors.Join(lines.Err(), f.Close())
}

// ofStore gives those of the store itself.
func (s sums) ofStore() sums {
	store := sums{}
	for name, sum := range s {
		if strings.HasPrefix(name, storeDirectory+"/") {
			store[name] = sum
		}
	}
	return store
}

// compare says what of got is not as it was when the backup was made.
func (s sums) compare(got sums) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		switch sum := got[name]; sum {
		case s[name]:
		case "":
			wrong = append(wrong, name+" is missing")
		default:
			wrong = append(wrong, name+" is not as it was when the backup was made")
		}
	}
	return wrong
}

// verify reads every file of the backup.
func (s sums) verify(ctx context.Context, backup string, progress func(done, total int64)) (wrong []string, err error) {
	var done, total int64
	for name := range s {
		if info, err := os.Stat(filepath.Join(backup, name)); err == nil {
			total += info.Size()
		}
	}
	got := sums{}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		sum, err := sumOf(ctx, filepath.Join(backup, name), func(n int64) {
			done += n
			progress(done, max(total, 1))
		})
		switch {
		case errors.Is(err, context.Canceled):
			return nil, err
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			got[name] = err.Error() // which no sum is
		default:
			got[name] = sum
		}
	}
	return s.compare(got), nil
}

func sumOf(ctx context.Context, path string, progress func(int64)) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", errors.Join(mail.Wrap(err, mail.Canceled, "given up"), f.Close())
		}
		n, err := io.CopyN(h, f, copyStep)
		if err != nil && err != io.EOF {
			return "", errors.Join(err, f.Close())
		}
		progress(n)
		if n < copyStep {
			return hex.EncodeToString(h.Sum(nil)), f.Close()
		}
	}
}
