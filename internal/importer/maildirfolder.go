package importer

import (
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
	"syscall"
	"time"

	"postern/internal/mail"
)

// openMaildirFolder finds out what is known of a folder besides its messages.
func openMaildirFolder(name, dir string) (Folder, error) {
	files, err := listMessages(dir, uidList{})
	if err != nil {
		return Folder{}, err
	}
	bases := make([]string, len(files))
	for i := range files {
		bases[i] = files[i].base
	}
	f := Folder{Name: name, Total: len(files)}
	list, err := readUIDList(filepath.Join(dir, "dovecot-uidlist"))
	switch {
	case err != nil: // a list that is damaged shall not keep the mail away
		f.Note = fmt.Sprintf("dovecot-uidlist cannot be used: %v", err)
	case len(list.uids) > 0:
		if why := list.useless(bases); why != "" {
			f.Note = "dovecot-uidlist cannot be used: " + why
		} else {
			f.Validity, f.UIDNext = list.validity, list.next
		}
	}
	if f.Validity == 0 {
		list = uidList{}
	}
	f.Messages = func(ctx context.Context, known func(string) bool) iter.Seq2[Message, error] {
		return maildirMessages(ctx, dir, list, known)
	}
	return f, nil
}

// maildirMessages lists the folder anew, so that a large maildir is not held in
// memory with all its folders.
func maildirMessages(ctx context.Context, dir string, list uidList, known func(string) bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		keywords, err := readKeywords(filepath.Join(dir, "dovecot-keywords"))
		if err != nil {
			yield(Message{}, err)
			return
		}
		files, err := listMessages(dir, list)
		if err != nil {
			yield(Message{}, err)
			return
		}
		for i := range files {
			if ctx.Err() != nil {
				yield(Message{}, ctx.Err())
				return
			}
			f := &files[i]
			msg := Message{Key: f.base}
			if !known(f.base) {
				msg = f.message(keywords)
			}
			if !yield(msg, nil) {
				return
			}
		}
	}
}

// maildirFile is one message's file.
type maildirFile struct {
	dir  string // cur or new, with its path
	name string // may have been renamed since: a flag changed
	base string // name without flags: what it is known by
	uid  mail.UID
}

// listMessages lists new and cur, by UID where there is one and then by name,
// which begins with the time of arrival.
func listMessages(dir string, list uidList) ([]maildirFile, error) {
	var files []maildirFile
	for _, sub := range []string{"cur", "new"} {
		path := filepath.Join(dir, sub)
		entries, err := os.ReadDir(path)
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
			base, _, _ := strings.Cut(e.Name(), ":2,")
			files = append(files, maildirFile{dir: path, name: e.Name(), base: base, uid: list.uids[base]})
		}
	}
	slices.SortFunc(files, func(a, b maildirFile) int {
		if c := cmp.Compare(orLast(a.uid), orLast(b.uid)); c != 0 {
			return c
		}
		if c := cmp.Compare(arrivedAt(a.base), arrivedAt(b.base)); c != 0 {
			return c
		}
		return cmp.Compare(a.base, b.base)
	})
	// A file that is in both was moved from new to cur while we looked.
	return slices.CompactFunc(files, func(a, b maildirFile) bool { return a.base == b.base }), nil
}

func orLast(u mail.UID) mail.UID {
	if u == 0 {
		return 1<<32 - 1
	}
	return u
}

// arrivedAt is the time a file name begins with.
func arrivedAt(base string) int64 {
	seconds, _, _ := strings.Cut(base, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (f *maildirFile) message(keywords []string) Message {
	msg := Message{Key: f.base, UID: f.uid}
	file, err := f.open()
	if err != nil {
		msg.Open = func() (io.ReadCloser, error) { return nil, err }
		return msg
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", f.name)
	}
	file.Close()
	if err != nil {
		msg.Open = func() (io.ReadCloser, error) { return nil, err }
		return msg
	}
	_, letters, _ := strings.Cut(f.name, ":2,")
	msg.Date, msg.Flags = info.ModTime().Truncate(time.Second), maildirFlags(letters, keywords)
	msg.Open = func() (io.ReadCloser, error) {
		file, err := f.open()
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(f.base, rawMark) {
			return file, nil
		}
		return readCloser{newCRLFReader(file), file}, nil
	}
	return msg
}

// rawMark ends the name of a file that SaveMaildir wrote with the message's own
// line ends, because they are not all CRLF. Software that does not know it takes
// it for one more of the fields that Dovecot puts there.
const rawMark = ",E=raw"

// open opens the file, also if its flags, and so its name, have changed since.
// It does not follow a link: whoever may write to a maildir may not always read
// what the importer can.
func (f *maildirFile) open() (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(filepath.Join(f.dir, f.name), flags, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	for _, sub := range []string{"cur", "new"} {
		path := filepath.Join(filepath.Dir(f.dir), sub)
		entries, listErr := os.ReadDir(path)
		if listErr != nil {
			continue
		}
		for _, e := range entries {
			if base, _, _ := strings.Cut(e.Name(), ":2,"); base == f.base {
				f.dir, f.name = path, e.Name()
				return os.OpenFile(filepath.Join(path, f.name), flags, 0)
			}
		}
	}
	return nil, err
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
