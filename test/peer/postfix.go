package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/testenv"
)

// Postfix is Debian's Postfix in the root directory it was unpacked into. It takes all mail for example.org and hands
// it on by LMTP. Its services run as Debian's master.cf has them, chrooted to the queue directory the lmtp client
// among them, and in a process namespace of their own: when master ends, however it ends, nothing of it is left.
type Postfix struct {
	SMTP string // host:port

	root, dir string        // dir is below root
	log       *lockedBuffer // what master itself says
}

// NewPostfix makes the directories of a Postfix, or skips the test where there is none. The socket of an LMTP server
// can be made in them before Start.
func NewPostfix(t testing.TB) *Postfix {
	t.Helper()
	root := testenv.NeedPeer(t, "postfix")
	dir, err := os.MkdirTemp(root, "instance-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	makePostfixQueue(t, dir)
	return &Postfix{root: root, dir: dir, log: &lockedBuffer{}}
}

// Socket is the path of private/NAME in the queue directory, where Debian's chrooted lmtp client finds it as
// unix:private/NAME.
func (p *Postfix) Socket(name string) string { return filepath.Join(p.dir, "queue", "private", name) }

// File puts a file beside main.cf and returns its path as main.cf has to name it. It may be called before Start.
func (p *Postfix) File(t testing.TB, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "etc", name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p.inside() + "/etc/" + name
}

// PostfixUser is the number of the user (and group) its services run as.
const PostfixUser = 64103

// postdropUser is the group test/fetch gives maildrop to.
const postdropUser = 64104

// Start starts it. Settings are lines of main.cf beside those every test needs.
func (p *Postfix) Start(t testing.TB, settings string) {
	t.Helper()
	p.SMTP = freePorts(t, 1)[0]
	files := map[string]string{
		"main.cf":   fmt.Sprintf(postfixMain, p.inside()) + settings + "\n",
		"master.cf": fmt.Sprintf(postfixMaster, port(p.SMTP)),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// -i is for a master that is process 1: it neither becomes a session's leader nor closes standard output.
	cmd := p.program("/usr/lib/postfix/sbin/master", "-i", "-c", p.inside()+"/etc")
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	t.Cleanup(func() { // after master has ended
		if t.Failed() {
			t.Logf("log of postfix:\n%s", p.Log())
		}
	})
	start(t, cmd, p.log)
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, p.SMTP, "220 "); err != nil {
		t.Fatalf("postfix: %v\n%s", err, p.log)
	}
}

// inside is the instance's directory as its programs see it.
func (p *Postfix) inside() string { return "/" + filepath.Base(p.dir) }

// program prepares one of Postfix's programs.
func (p *Postfix) program(path string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(path, arguments...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "MAIL_CONFIG=" + p.inside() + "/etc", "MAIL_LOGTAG=postfix",
		"LD_LIBRARY_PATH=/usr/lib/postfix:/usr/lib/" + testenv.Multiarch() + ":/lib/" + testenv.Multiarch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	return cmd
}

// Drop hands a message in where sendmail(1) would put it, and in the form of postdrop(1), so that its lines get to
// Postfix as they are: an SMTP client cannot hand in a line that ends in a bare CR. Lines are without their LF.
func (p *Postfix) Drop(t testing.TB, from, to string, lines []string) {
	t.Helper()
	var file bytes.Buffer
	write := func(kind byte, data string) { // src/global/record.c: the type, the length in base 128, the data
		file.WriteByte(kind)
		file.Write(binary.AppendUvarint(nil, uint64(len(data))))
		file.WriteString(data)
	}
	write('T', fmt.Sprintf("%d 0", time.Now().Unix()))
	write('S', from)
	write('R', to)
	write('M', "")
	for _, line := range lines {
		write('N', line)
	}
	write('X', "")
	write('E', "")
	name := filepath.Join(p.dir, "queue", "maildrop", "DROPPED")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(name, PostfixUser, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o700); err != nil { // now it is whole, and pickup may have it
		t.Fatal(err)
	}
}

// Flush has everything that waits tried at once.
func (p *Postfix) Flush(t testing.TB) {
	t.Helper()
	if out, err := p.program("/usr/sbin/postqueue", "-f").CombinedOutput(); err != nil {
		t.Fatalf("postqueue: %v\n%s", err, out)
	}
}

// Queued lists the messages that Postfix still has, and in which queue: "deferred/3kXy…".
func (p *Postfix) Queued(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, queue := range []string{"maildrop", "incoming", "active", "deferred", "hold", "corrupt"} {
		top := filepath.Join(p.dir, "queue", queue)
		err := filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
			if os.IsNotExist(err) { // moved while we looked
				return nil
			}
			if err == nil && entry.Type().IsRegular() {
				all = append(all, queue+"/"+entry.Name())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

// Log returns what Postfix has written so far.
func (p *Postfix) Log() string {
	written, err := os.ReadFile(p.logFile())
	if err != nil { // before the first line
		return p.log.String()
	}
	return p.log.String() + string(written)
}

func (p *Postfix) logFile() string { return filepath.Join(p.dir, "log") }

// makePostfixQueue makes the directories that Postfix's installation would make, with the owners it wants.
func makePostfixQueue(t testing.TB, dir string) {
	t.Helper()
	makeOwned(t, filepath.Join(dir, "etc"), 0, 0)
	makeOwned(t, filepath.Join(dir, "data"), PostfixUser, 0)
	queue := filepath.Join(dir, "queue")
	makeOwned(t, queue, 0, 0)
	makeOwned(t, filepath.Join(queue, "pid"), 0, 0)
	for name := range strings.FieldsSeq("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		makeOwned(t, filepath.Join(queue, name), PostfixUser, 0)
	}
	for name, mode := range map[string]os.FileMode{"public": 0o710, "maildrop": 0o730} {
		makeOwned(t, filepath.Join(queue, name), PostfixUser, postdropUser)
		if err := os.Chmod(filepath.Join(queue, name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func makeOwned(t testing.TB, path string, user, group int) {
	t.Helper()
	mode := os.FileMode(0o700)
	if user == 0 {
		mode = 0o755
	}
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, user, group); err != nil {
		t.Fatal(err)
	}
}

// postfixMain is what this machine's peculiarities ask for. What makes it hand mail to Postern is in docs/postfix.md
// and in the tests.
const postfixMain = `
compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
import_environment = LD_LIBRARY_PATH MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME
export_environment = LD_LIBRARY_PATH MAIL_LOGTAG TZ LANG=C
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/log
maillog_file_prefixes = /
myhostname = mail.example.org
mydestination =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
alias_maps =
local_recipient_maps =
default_database_type = texthash
lmtp_host_lookup = native
smtp_host_lookup = native
disable_dns_lookups = yes
mynetworks = 127.0.0.0/8
# Mail goes on at once, also after a failure; nobody outside is ever sent a bounce.
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
default_transport = error:this Postfix sends nothing out
`

const postfixMaster = `
127.0.0.1:%s inet n - y - - smtpd
pickup    unix n - y 1 1 pickup
cleanup   unix n - y - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - y - - trivial-rewrite
bounce    unix - - y - 0 bounce
defer     unix - - y - 0 bounce
trace     unix - - y - 0 bounce
verify    unix - - y - 1 verify
flush     unix n - y 1000? 0 flush
showq     unix n - y - - showq
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error     unix - - y - - error
retry     unix - - y - - error
discard   unix - - y - - discard
lmtp      unix - - y - - lmtp
anvil     unix - - y - 1 anvil
scache    unix - - y - 1 scache
tlsmgr    unix - - y 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
`
