package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/internal/testenv"
)

// Postfix is a running Postfix that hands all mail for example.org on by LMTP.
type Postfix struct {
	SMTP string // host:port

	log *lockedBuffer
}

// Log returns what Postfix has written so far.
func (p *Postfix) Log() string { return p.log.String() }

// StartPostfix starts Debian's Postfix in the root directory it was unpacked into, or skips the test where there is
// none. Mail for example.org goes to lmtp, a host:port.
func StartPostfix(t testing.TB, lmtp string) *Postfix {
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

	smtp := freePorts(t, 1)[0]
	inside := "/" + filepath.Base(dir)
	files := map[string]string{
		"main.cf":   fmt.Sprintf(postfixMain, inside, port(lmtp)),
		"master.cf": fmt.Sprintf(postfixMaster, port(smtp)),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	log := &lockedBuffer{}
	// -d: it stays the child of this test and keeps its output.
	cmd := exec.Command("/usr/lib/postfix/sbin/master", "-i", "-c", inside+"/etc")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "MAIL_CONFIG=" + inside + "/etc",
		"MAIL_LOGTAG=postfix", "LD_LIBRARY_PATH=/usr/lib/postfix:/usr/lib/" + testenv.Multiarch() + ":/lib/" + testenv.Multiarch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWPID}
	start(t, cmd, log)

	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, smtp, "220 "); err != nil {
		t.Fatalf("postfix: %v\n%s", err, log)
	}
	return &Postfix{SMTP: smtp, log: log}
}

// The numbers test/fetch gives Postfix's user and its drop group in the root directory.
const (
	postfixUser  = 64103
	postdropUser = 64104
)

// makePostfixQueue makes the directories that Postfix's installation would make, with the owners it wants.
func makePostfixQueue(t testing.TB, dir string) {
	t.Helper()
	owned := map[string]int{"etc": 0, "queue": 0, "queue/pid": 0, "data": postfixUser}
	for name := range strings.FieldsSeq("active bounce corrupt defer deferred flush hold incoming private public saved trace maildrop") {
		owned["queue/"+name] = postfixUser
	}
	for _, name := range []string{"etc", "queue", "data"} { // parents first
		makeOwned(t, filepath.Join(dir, name), owned[name])
		delete(owned, name)
	}
	for name, user := range owned {
		makeOwned(t, filepath.Join(dir, name), user)
	}
	for _, name := range []string{"queue/public", "queue/maildrop"} {
		if err := os.Chown(filepath.Join(dir, name), postfixUser, postdropUser); err != nil {
			t.Fatal(err)
		}
	}
}

func makeOwned(t testing.TB, path string, user int) {
	t.Helper()
	mode := os.FileMode(0o700)
	if user == 0 || strings.HasSuffix(path, "public") {
		mode = 0o755
	}
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, user, 0); err != nil {
		t.Fatal(err)
	}
}

// postfixMain is the smallest main.cf that receives and hands on; what a real one says is in docs/postfix.md.
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
maillog_file = /dev/stdout
myhostname = mail.example.org
mydestination =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
alias_maps =
local_recipient_maps =
default_database_type = texthash
smtputf8_enable = yes
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:%[2]s
lmtp_host_lookup = native
smtp_host_lookup = native
disable_dns_lookups = yes
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
# A message is not touched: its longest line and its stray CRs are its own affair.
cleanup_replace_stray_cr_lf = no
lmtp_line_length_limit = 0
line_length_limit = 2048
# Mail goes on at once, also after a failure.
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
`

const postfixMaster = `
127.0.0.1:%s inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
`
