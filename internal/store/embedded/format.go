package embedded

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is the version of the layout of directory and keys.
const formatVersion = "1"

// The FORMAT file is one line, so that whoever finds the directory learns what
// it is. "begun" follows the version until the new store is whole: only then may
// a missing engine mean that there never was one.
const formatLine = "Postern store, format "

// RestoringFile is in a directory that a restore has begun to fill: until it has
// ended, and FORMAT is there, nothing opens it.
const RestoringFile = "RESTORING"

// formatState is what the FORMAT file says.
type formatState int

const (
	formatNone     formatState = iota // there is no store here, and room for one
	formatBegun                       // its making was interrupted
	formatComplete                    // there is a store
)

// FormatError says that a directory holds something that this release cannot
// open.
type FormatError struct {
	Dir  string
	Text string
}

func (e *FormatError) Error() string { return e.Text }

func readFormat(fs vfs.FS, dir string) (formatState, error) {
	text, err := readFile(fs, fs.PathJoin(dir, "FORMAT"))
	if oserror.IsNotExist(err) {
		names, err := fs.List(dir)
		if err != nil {
			return formatNone, err
		}
		if slices.Contains(names, RestoringFile) {
			return formatNone, &FormatError{dir, "a restore into this directory was begun and did not end: run postern restore again"}
		}
		stranger := slices.IndexFunc(names, func(n string) bool { return n != "LOCK" && n != "FORMAT.new" && n != "lost+found" })
		if stranger >= 0 {
			return formatNone, &FormatError{dir, fmt.Sprintf("the directory has no FORMAT file but holds %q: it is no Postern store, "+
				"or a backup that was not finished; a new store wants an empty directory", names[stranger])}
		}
		return formatNone, nil
	}
	if err != nil {
		return formatNone, err
	}
	version, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), formatLine)
	switch {
	case ok && version == formatVersion:
		return formatComplete, nil
	case ok && version == formatVersion+" begun":
		return formatBegun, nil
	case ok:
		return formatNone, &FormatError{dir, fmt.Sprintf("the store has format %s, and this release knows format %s: "+
			"open it with the release that wrote it, or a newer one", version, formatVersion)}
	}
	return formatNone, &FormatError{dir, fmt.Sprintf("the FORMAT file says %q, which is nothing Postern wrote", cut(text, 60))}
}

// writeFormat replaces the FORMAT file, durably.
func writeFormat(fs vfs.FS, dir string, state formatState) error {
	text := formatLine + formatVersion
	if state == formatBegun {
		text += " begun"
	}
	next := fs.PathJoin(dir, "FORMAT.new")
	f, err := fs.Create(next, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text + "\n"))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fs.Rename(next, fs.PathJoin(dir, "FORMAT"))
	}
	if err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// readFile reads a small file.
func readFile(fs vfs.FS, path string) (string, error) {
	f, err := fs.Open(path)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return string(data), err
}

func cut(s string, n int) string { return s[:min(n, len(s))] }
