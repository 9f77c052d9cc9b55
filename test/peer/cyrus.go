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
	"text/template"

	"postern/internal/testenv"
)

// cyrusUser is the number of "cyrus" in the root directory test/fetch furnishes.
const cyrusUser = 64106

// Cyrus starts Debian's Cyrus IMAP in the root directory it was unpacked into, or skips the test where there is none. It
// knows every account, each with the same password, and makes its mailboxes at its first login.
func Cyrus(t testing.TB) *Server {
	t.Helper()
	root := testenv.NeedPeer(t, "cyrus")
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
	for _, name := range []string{"lib", "lib/db", "lib/socket", "spool", "run"} {
		makeOwned(t, filepath.Join(dir, name), cyrusUser, cyrusUser)
	}
	certFile, keyFile := writeCertificate(t, dir)
	if err := os.Chown(keyFile, cyrusUser, cyrusUser); err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3)
	inside := "/" + filepath.Base(dir)
	values := map[string]any{"Dir": inside, "Plain": ports[0], "TLS": ports[1], "LMTP": ports[2]}
	for name, text := range map[string]*template.Template{"imapd.conf": cyrusConfig, "cyrus.conf": cyrusServices} {
		var config strings.Builder
		if err := text.Execute(&config, values); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(config.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	answerPasswords(t, filepath.Join(dir, "auth"))

	log := &lockedBuffer{}
	start(t, cyrusCommand(root, inside), log)
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, ports[0], "* OK "); err != nil {
		t.Fatalf("cyrus: %v\n%s", err, log)
	}
	return &Server{
		Name: "cyrus", Plain: ports[0], TLS: ports[1], LMTP: ports[2], CertFile: certFile, log: log,
		newAccount: func(testing.TB, string, string) {},
	}
}

// cyrusCommand is Cyrus's master in the root directory it was unpacked into, in a process namespace of its own: when it
// ends, nothing of it is left. What it has to say goes to syslog, which this directory has none of: to look closer, listen
// at dev/log below the root.
func cyrusCommand(root, instance string) *exec.Cmd {
	cmd := exec.Command("/usr/lib/cyrus/bin/master", "-D", // its output stays as it is
		"-C", instance+"/imapd.conf", "-M", instance+"/cyrus.conf", "-p", instance+"/run/master.pid")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/lib/cyrus/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
		"LD_LIBRARY_PATH=/usr/lib/" + testenv.Multiarch() + ":/lib/" + testenv.Multiarch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWPID}
	return cmd
}

// The mailboxes of a new account are those Postern gives one, and "/" separates levels, so that a dialogue means the
// same on both. allowplaintext keeps its default: no password without TLS.
var cyrusConfig = template.Must(template.New("imapd.conf").Parse(fmt.Sprintf(`
configdirectory: {{.Dir}}/lib
partition-default: {{.Dir}}/spool
defaultpartition: default
sievedir: {{.Dir}}/lib/sieve
proc_path: {{.Dir}}/run/proc
mboxname_lockpath: {{.Dir}}/run/lock
admins: admin
servername: localhost
virtdomains: userid
altnamespace: yes
unixhierarchysep: yes
conversations: yes
autocreate_quota: 0
autocreate_inbox_folders: %[1]s
autocreate_subscribe_folders: %[1]s
%[2]s
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {{.Dir}}/auth
sasl_mech_list: PLAIN LOGIN
# Our tests fail to log in on purpose and do not want to wait for it.
failedloginpause: 0
# A mailbox with a special use may be deleted: what is protected is a use that none has. Nothing at all cannot be said.
specialuse_protect: \All
tls_server_cert: {{.Dir}}/cert.pem
tls_server_key: {{.Dir}}/key.pem
tls_versions: tls1_2 tls1_3
`, strings.Join(specialNames, "|"), cyrusSpecialUse())))

func cyrusSpecialUse() string {
	var lines strings.Builder
	for _, name := range specialNames {
		fmt.Fprintf(&lines, "xlist-%s: %s\n", strings.ToLower(name), name)
	}
	return lines.String()
}

// master hands -C on to none of its children. Five processes wait for connections, so that tests that run side by side
// do not wait for each other.
var cyrusServices = template.Must(template.New("cyrus.conf").Parse(`
START {
  recover cmd="ctl_cyrusdb -C {{.Dir}}/imapd.conf -r"
}
SERVICES {
  imap  cmd="imapd -C {{.Dir}}/imapd.conf"    listen="{{.Plain}}" proto="tcp4" prefork=1 maxchild=1000
  imaps cmd="imapd -C {{.Dir}}/imapd.conf -s" listen="{{.TLS}}"   proto="tcp4" prefork=5 maxchild=1000
  lmtp  cmd="lmtpd -C {{.Dir}}/imapd.conf"    listen="{{.LMTP}}"  proto="tcp4" prefork=0
}
EVENTS {
}
DAEMON {
  idled cmd="idled -C {{.Dir}}/imapd.conf"
}
`))
