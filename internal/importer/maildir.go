package importer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
// subscriptions from the file subscriptions.
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
func (m Maildir) Folders() ([]Folder, error) {
	if !isMaildir(m.Dir) {
		return nil, fmt.Errorf("%s is no maildir: it has no directory cur", m.Dir)
	}
	dirs := map[string]string{m.Mailbox: m.Dir} // mailbox name → directory
	err := filepath.WalkDir(m.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == m.Dir {
			return err
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
	if err != nil {
		return nil, err
	}
	subscribed, err := readSubscriptions(filepath.Join(m.Dir, "subscriptions"))
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
			return cmp.Compare(b2i(b.Name == m.Mailbox), b2i(a.Name == m.Mailbox))
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return folders, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
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
		if rest, plusPlus := strings.CutPrefix(l, "."); plusPlus {
			names = append(names, strings.Split(rest, ".")...)
		} else {
			names = append(names, l)
		}
	}
	for i, n := range names {
		names[i] = decodeName(n)
	}
	return m.below() + strings.Join(names, "/")
}

func decodeName(n string) string {
	if decoded, ok := imapwire.DecodeMUTF7([]byte(n)); ok {
		return decoded
	}
	return n
}

// openMaildirFolder reads what is known of a folder besides its messages.
func openMaildirFolder(name, dir string) (Folder, error) {
	list, err := readUIDList(filepath.Join(dir, "dovecot-uidlist"))
	if err != nil {
		return Folder{}, err
	}
	keywords, err := readKeywords(filepath.Join(dir, "dovecot-keywords"))
	if err != nil {
		return Folder{}, err
	}
	files, err := listMessages(dir, list)
	if err != nil {
		return Folder{}, err
	}
	f := Folder{Name: name, Total: len(files)}
	if list.complete(files) { // else UIDs would be made up for some: then for all
		f.Validity, f.UIDNext = list.validity, list.next
	}
	f.Messages = func(ctx context.Context, after string) iter.Seq2[Message, error] {
		return func(yield func(Message, error) bool) {
			found := after == ""
			for _, file := range files {
				if ctx.Err() != nil {
					yield(Message{}, ctx.Err())
					return
				}
				if !found {
					found = file.base == after
					continue
				}
				msg := file.message(keywords)
				if f.Validity == 0 {
					msg.UID = 0
				}
				if !yield(msg, nil) {
					return
				}
			}
			if !found {
				yield(Message{}, fmt.Errorf("%s: the message imported last, %s, is not there any more", dir, after))
			}
		}
	}
	return f, nil
}

// maildirFile is one message's file.
type maildirFile struct {
	path string // may have been renamed since: a flag changed
	base string // its unique name, without flags
	info string // the flags
	uid  mail.UID
	date time.Time
}

// listMessages lists new and cur, by UID where there is one and by name, which
// begins with the time of arrival, where there is none.
func listMessages(dir string, list uidList) ([]maildirFile, error) {
	var files []maildirFile
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // moved away meanwhile
			}
			if err != nil {
				return nil, err
			}
			base, flags, _ := strings.Cut(e.Name(), ":2,")
			files = append(files, maildirFile{
				path: filepath.Join(dir, sub, e.Name()), base: base, info: flags,
				uid: list.uids[base], date: info.ModTime(),
			})
		}
	}
	slices.SortFunc(files, func(a, b maildirFile) int {
		if c := cmp.Compare(orLast(a.uid), orLast(b.uid)); c != 0 {
			return c
		}
		if c := cmp.Compare(arrival(a.base), arrival(b.base)); c != 0 {
			return c
		}
		return cmp.Compare(a.base, b.base)
	})
	return files, nil
}

func orLast(u mail.UID) mail.UID {
	if u == 0 {
		return 1<<32 - 1
	}
	return u
}

// arrival is the time a file name begins with.
func arrival(base string) int64 {
	seconds, _, _ := strings.Cut(base, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (f maildirFile) message(keywords []string) Message {
	return Message{Key: f.base, UID: f.uid, Date: f.date, Flags: maildirFlags(f.info, keywords), Open: f.open}
}

// open opens the file, also if its flags, and so its name, have changed since.
func (f maildirFile) open() (io.ReadCloser, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		folder := filepath.Dir(filepath.Dir(f.path))
		for _, sub := range []string{"cur", "new"} {
			entries, listErr := os.ReadDir(filepath.Join(folder, sub))
			if listErr != nil {
				continue
			}
			for _, e := range entries {
				if base, _, _ := strings.Cut(e.Name(), ":2,"); base == f.base {
					file, err = os.Open(filepath.Join(folder, sub, e.Name()))
				}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return fileReader{newCRLFReader(file), file}, nil
}

// maildirFlags reads the letters behind ":2,". Lower-case letters are the
// folder's keywords, "a" the first.
func maildirFlags(letters string, keywords []string) mail.Flags {
	var f mail.Flags
	for _, c := range letters {
		switch {
		case c == 'S':
			f.System |= mail.Seen
		case c == 'R':
			f.System |= mail.Answered
		case c == 'F':
			f.System |= mail.Flagged
		case c == 'T':
			f.System |= mail.Deleted
		case c == 'D':
			f.System |= mail.Draft
		case c == 'P':
			f = f.Add(mail.NewFlags(0, "$Forwarded"))
		case 'a' <= c && c <= 'z' && int(c-'a') < len(keywords) && keywords[c-'a'] != "":
			f = f.Add(mail.NewFlags(0, keywords[c-'a']))
		}
	}
	return f
}

// readKeywords reads dovecot-keywords: lines of a number, 0 for the letter "a",
// and a keyword.
func readKeywords(file string) ([]string, error) {
	keywords := make([]string, 26)
	err := eachLine(file, func(line string) error {
		number, name, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || name == "" {
			return fmt.Errorf("%s: %q is no keyword line", file, line)
		}
		if n < len(keywords) {
			keywords[n] = name
		}
		return nil
	})
	return keywords, err
}

// readSubscriptions reads subscriptions: one name a line with "." between levels
// (version 1), or after a line "V\t2" levels separated by tabs.
func readSubscriptions(file string) (map[string]bool, error) {
	names := map[string]bool{}
	separator := "."
	err := eachLine(file, func(line string) error {
		if line == "V\t2" {
			separator = "\t"
			return nil
		}
		if line == "" {
			return nil
		}
		levels := strings.Split(line, separator)
		for i, l := range levels {
			if separator == "." { // version 1 has names as they are on disk
				l = decodeName(l)
			}
			levels[i] = l
		}
		names[strings.Join(levels, "/")] = true
		return nil
	})
	return names, err
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
	return s.Err()
}
