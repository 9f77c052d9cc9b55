package importer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// Maildir is a maildir with its sub-folders: those of Maildir++ (".Sent.2024"
// beside cur and new) and those of the fs layout ("Sent/2024", directories with
// cur in them), whichever are there. Folder names on disk are in modified UTF-7,
// as Dovecot and Courier write them; a name that is no modified UTF-7 is taken as
// UTF-8.
//
// Flags come from the file names, keywords from dovecot-keywords, UIDs from
// dovecot-uidlist where it is there, dates from the files' times of change, and
// subscriptions from the file subscriptions. A message's key is its file's name
// without flags.
type Maildir struct {
	Dir     string
	Mailbox string // to import the maildir itself into; folders go beside it or, unless it is INBOX, below it
}

var _ Source = Maildir{}

// Name names the directory.
func (m Maildir) Name() string {
	dir, err := filepath.Abs(m.Dir)
	if err != nil {
		dir = m.Dir
	}
	return "maildir " + dir
}

// Folders gives the maildir itself and then its folders by name.
func (m Maildir) Folders(ctx context.Context) ([]Folder, error) {
	if !isMaildir(m.Dir) {
		return nil, fmt.Errorf("%s is no maildir: it has no directory cur", m.Dir)
	}
	dirs, err := m.directories(ctx)
	if err != nil {
		return nil, err
	}
	subscribed, err := readSubscriptions(m.Dir)
	if err != nil {
		return nil, err
	}
	var folders []Folder
	for name, dir := range dirs {
		f, err := openMaildirFolder(name, dir)
		if err != nil {
			return nil, err
		}
		f.Subscribed = subscribed[strings.TrimPrefix(name, m.below())]
		folders = append(folders, f)
	}
	slices.SortFunc(folders, func(a, b Folder) int {
		if (a.Name == m.Mailbox) != (b.Name == m.Mailbox) {
			if a.Name == m.Mailbox {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return folders, nil
}

// directories gives the folders' directories by mailbox name.
func (m Maildir) directories(ctx context.Context) (map[string]string, error) {
	dirs := map[string]string{m.Mailbox: m.Dir}
	err := filepath.WalkDir(m.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == m.Dir {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch entry.Name() {
		case "cur", "new", "tmp":
			return fs.SkipDir
		}
		if !isMaildir(path) {
			return nil // a level without mail of its own
		}
		relative, err := filepath.Rel(m.Dir, path)
		if err != nil {
			return err
		}
		name := m.folderName(relative)
		if other, taken := dirs[name]; taken {
			return fmt.Errorf("%s and %s are both the mailbox %q", other, path, name)
		}
		dirs[name] = path
		return nil
	})
	return dirs, err
}

func isMaildir(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "cur"))
	return err == nil && info.IsDir()
}

// below is what folders' names begin with.
func (m Maildir) below() string {
	if m.Mailbox == mail.Inbox {
		return ""
	}
	return m.Mailbox + "/"
}

// folderName turns a path below the maildir into a mailbox name.
func (m Maildir) folderName(relative string) string {
	levels := strings.Split(relative, string(filepath.Separator))
	var names []string
	for _, l := range levels {
		rest, plusPlus := strings.CutPrefix(l, ".")
		if !plusPlus {
			names = append(names, decodeName(l))
			continue
		}
		for n := range strings.SplitSeq(rest, ".") {
			names = append(names, decodeName(unescapeLevel.Replace(n)))
		}
	}
	return m.below() + strings.Join(names, "/")
}

// A level of a Maildir++ folder's name cannot hold a dot as it is. Dovecot's
// listescape plugin writes it in hexadecimal behind a backslash; so do we.
var (
	escapeLevel   = strings.NewReplacer(".", `\2e`, `\`, `\5c`)
	unescapeLevel = strings.NewReplacer(`\2e`, ".", `\5c`, `\`)
)

func decodeName(n string) string {
	if decoded, ok := imapwire.DecodeMUTF7([]byte(n)); ok {
		return decoded
	}
	return n
}

// readSubscriptions reads subscriptions, as Dovecot writes it: one name a line
// with "." or "/" between levels (version 1), or after a line "V\t2" levels
// separated by tabs; and courierimapsubscribed, where names begin with "INBOX.".
// Versions and layouts differ in how they write a name, so every way of reading
// it is in the set: what is no folder's name does no harm.
func readSubscriptions(dir string) (map[string]bool, error) {
	names := map[string]bool{}
	separator := "."
	add := func(line, separator string) {
		levels := strings.Split(line, separator)
		names[strings.Join(levels, "/")] = true
		for i, l := range levels {
			levels[i] = decodeName(unescapeLevel.Replace(l))
		}
		names[strings.Join(levels, "/")] = true
	}
	err := eachLine(filepath.Join(dir, "subscriptions"), func(line string) error {
		switch {
		case line == "V\t2":
			separator = "\t"
		case line != "":
			add(line, separator)
			if separator == "." {
				add(line, "/")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachLine(filepath.Join(dir, "courierimapsubscribed"), func(line string) error {
		if rest, ok := strings.CutPrefix(line, "INBOX."); ok {
			line = rest
		}
		add(line, ".")
		return nil
	})
	return names, err
}

// readKeywords reads dovecot-keywords: lines of a number, 0 for the letter "a",
// and a keyword. What else is there is passed over.
func readKeywords(file string) ([]string, error) {
	keywords := make([]string, 26)
	err := eachLine(file, func(line string) error {
		number, name, _ := strings.Cut(line, " ")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(keywords) {
			keywords[n] = name
		}
		return nil
	})
	return keywords, err
}

// eachLine calls do for every line of a file, for none if there is no file.
func eachLine(file string, do func(line string) error) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if err := do(s.Text()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
