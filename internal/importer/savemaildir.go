package importer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// SaveMaildir writes what comes out of a stream into a new maildir: INBOX into
// the directory itself, other folders beside it as Maildir++ has them
// (".Sent.2024"), with dovecot-uidlist, dovecot-keywords and subscriptions, and
// the internal date as the files' time of change. The directory must not be
// there, or be empty. Files appear in cur when they are complete; an export that
// was interrupted leaves half a file in tmp at most.
//
// Messages are stored with LF line ends, as maildirs have them, unless reading
// them back would not give the same octets: then as they are, under a name that
// ends in ",E=raw" and that Maildir knows. Keywords beyond the 26 that a maildir
// folder has letters for are counted and left out.
func SaveMaildir(ctx context.Context, r io.Reader, dir string, progress func(Progress)) (Result, error) {
	if err := emptyDir(dir); err != nil {
		return Result{}, err
	}
	s := &maildirSink{dir: dir, progress: progress}
	err := drain(ctx, r, s)
	if s.cur != "" { // what is there shall be readable with its UIDs and keywords
		err = errors.Join(err, s.writeLists())
	}
	return s.result, errors.Join(err, s.writeSubscriptions())
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is made when the stream begins
	}
	if err == nil && len(entries) > 0 {
		err = mail.Errorf(mail.AlreadyExists, "%s is not empty: an export goes into a new directory", dir)
	}
	return err
}

// maildirSink writes a maildir.
type maildirSink struct {
	dir      string
	progress func(Progress)
	result   Result
	told     Progress

	subscribed []string // names as they are on disk

	// Of the folder that comes now.
	cur      string // its directory; "": there is none
	head     folderHead
	count    int
	uids     []string // lines of dovecot-uidlist
	next     mail.UID
	keywords []string
}

func (s *maildirSink) last() *FolderResult { return &s.result.Folders[len(s.result.Folders)-1] }

func (s *maildirSink) begin(h hello) error {
	s.told.Total = h.Total
	return os.MkdirAll(s.dir, 0o700)
}

// diskName is the name of a folder's directory, "" for INBOX.
func diskName(mailbox string) string {
	if mailbox == mail.Inbox {
		return ""
	}
	var b strings.Builder
	for level := range strings.SplitSeq(mailbox, string(mail.Separator)) {
		b.WriteByte('.')
		b.WriteString(escapeLevel.Replace(string(imapwire.AppendMUTF7(nil, level))))
	}
	return b.String()
}

func (s *maildirSink) folder(_ context.Context, f folderHead) error {
	s.head, s.count, s.uids, s.next, s.keywords = f, 0, nil, max(f.UIDNext, 1), nil
	s.result.Folders = append(s.result.Folders, FolderResult{Name: f.Name})
	name := diskName(f.Name)
	if len(name) > 255 { // NAME_MAX
		s.cur = ""
		s.last().note("the name is too long for a directory: the mailbox was left out")
		return nil
	}
	dir := filepath.Join(s.dir, name)
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil && (!errors.Is(err, fs.ErrExist) || name != "") {
			return err
		}
	}
	if name != "" { // the mark of a Maildir++ folder
		if err := os.WriteFile(filepath.Join(dir, "maildirfolder"), nil, 0o600); err != nil {
			return err
		}
	}
	if f.Subscribed {
		s.subscribed = append(s.subscribed, subscriptionName(name))
	}
	s.cur = dir
	s.last().Mailbox = dir
	s.told.Folder, s.told.Mailbox = f.Name, dir
	s.tell()
	return nil
}

// subscriptionName is a folder's line in subscriptions.
func subscriptionName(disk string) string {
	if disk == "" {
		return mail.Inbox
	}
	return disk[1:]
}

func (s *maildirSink) tell() {
	if s.progress != nil {
		s.progress(s.told)
	}
}

func (s *maildirSink) refused(m messageHead, reason string) {
	s.last().skip(m.Key, reason)
	s.told.Messages++
}

func (s *maildirSink) message(_ context.Context, m messageHead, body io.Reader) error {
	if s.cur == "" {
		s.refused(m, "its mailbox was left out")
		return nil
	}
	s.count++
	uid := m.UID
	if uid < s.next && s.head.Validity == 0 || uid == 0 {
		uid = s.next // the source has none
	}
	s.next = max(s.next, uid+1)
	tmp := filepath.Join(s.cur, "tmp", fmt.Sprintf("%d.postern", uid))
	size, virtual, raw, err := writeUnix(tmp, body)
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	date := time.Unix(0, 0)
	if m.Date != nil {
		date = time.Unix(mail.InternalDate(*m.Date).Unix(), 0)
	}
	if err := os.Chtimes(tmp, date, date); err != nil {
		return err
	}
	base := fmt.Sprintf("%d.U%dV%d.postern,S=%d,W=%d", max(date.Unix(), 0), uid, s.head.Validity, size, virtual)
	if raw {
		base += rawMark
	}
	if err := os.Rename(tmp, filepath.Join(s.cur, "cur", base+":2,"+s.letters(m))); err != nil {
		return err
	}
	s.uids = append(s.uids, fmt.Sprintf("%d :%s", uid, base))
	s.last().Messages++
	s.last().Bytes += virtual
	s.told.Messages++
	s.told.Bytes += virtual
	if s.count%batchMessages == 0 {
		s.tell()
	}
	return nil
}

// letters gives a message's flags as a file name has them, in ASCII order.
func (s *maildirSink) letters(m messageHead) string {
	var l []byte
	for _, f := range []struct {
		flag   mail.SystemFlags
		letter byte
	}{{mail.Draft, 'D'}, {mail.Flagged, 'F'}, {mail.Answered, 'R'}, {mail.Seen, 'S'}, {mail.Deleted, 'T'}} {
		if m.System&f.flag != 0 {
			l = append(l, f.letter)
		}
	}
	for _, k := range m.Keywords {
		at := slices.IndexFunc(s.keywords, func(other string) bool { return mail.CompareKeywords(k, other) == 0 })
		if at < 0 {
			if len(s.keywords) == 26 {
				s.last().Keywords++
				continue
			}
			at = len(s.keywords)
			s.keywords = append(s.keywords, k)
		}
		l = append(l, 'a'+byte(at))
	}
	slices.Sort(l)
	return string(l)
}

func (s *maildirSink) folderEnd(context.Context, folderEnd) error {
	if s.cur == "" {
		return nil
	}
	err := s.writeLists()
	s.cur = ""
	s.tell()
	return err
}

// writeLists writes what stands beside the messages.
func (s *maildirSink) writeLists() error {
	if s.head.Validity != 0 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d", s.head.Name, s.head.Validity, s.head.UIDNext))
		list := fmt.Sprintf("3 V%d N%d G%x\n", s.head.Validity, s.next, sum[:16])
		if len(s.uids) > 0 {
			list += strings.Join(s.uids, "\n") + "\n"
		}
		if err := os.WriteFile(filepath.Join(s.cur, "dovecot-uidlist"), []byte(list), 0o600); err != nil {
			return err
		}
		s.last().UIDs = UIDsKept
	}
	if len(s.keywords) == 0 {
		return nil
	}
	var lines strings.Builder
	for i, k := range s.keywords {
		fmt.Fprintf(&lines, "%d %s\n", i, k)
	}
	return os.WriteFile(filepath.Join(s.cur, "dovecot-keywords"), []byte(lines.String()), 0o600)
}

func (s *maildirSink) writeSubscriptions() error {
	if len(s.subscribed) == 0 {
		return nil
	}
	return os.WriteFile(filepath.Join(s.dir, "subscriptions"), []byte(strings.Join(s.subscribed, "\n")+"\n"), 0o600)
}

// writeUnix writes a message to a file with LF line ends, or raw if that would
// lose something. It gives the octets in the file and those of the message.
func writeUnix(name string, body io.Reader) (size, virtual int64, raw bool, err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, 0, false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriterSize(file, 64<<10)
	counted := &countingReader{r: body}
	lf := &lfWriter{w: w}
	_, err = io.Copy(lf, counted)
	if err == nil {
		err = lf.Close()
	}
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	if errors.Is(err, errIrregular) {
		raw = true
		err = rewriteRaw(file, name, io.MultiReader(strings.NewReader(string(lf.Rest)), counted))
	}
	if err != nil {
		return 0, 0, false, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return 0, 0, false, err
	}
	return info.Size(), counted.n, raw, nil
}

// rewriteRaw puts a file in the place of one whose line ends have been turned to
// LF so far: what that was, and then the rest.
func rewriteRaw(old *os.File, name string, rest io.Reader) error {
	if _, err := old.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, io.MultiReader(newCRLFReader(old), rest))
	return errors.Join(err, file.Close())
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
