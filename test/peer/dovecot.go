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
	"time"

	"postern/internal/testenv"
)

// startPatience bounds the wait for a server to answer for the first time, on a busy machine.
const startPatience = 30 * time.Second

// Dovecot starts Debian's Dovecot in the root directory it was unpacked into, or skips the test where there is none.
// It knows every account, each with the same password, so accounts need not be made.
func Dovecot(t testing.TB) *Server {
	t.Helper()
	root := testenv.NeedPeer(t, "dovecot")

	// The server lives in its own root directory, so its data must too.
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
	mail := filepath.Join(dir, "mail")
	if err := os.Mkdir(mail, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(mail, dovecotMailUser, dovecotMailUser); err != nil {
		t.Fatal(err)
	}
	certFile, _ := writeCertificate(t, dir)

	inside := "/" + filepath.Base(dir)
	ports := freePorts(t, 3)
	var config strings.Builder
	err = dovecotConfig.Execute(&config, map[string]any{
		// Dovecot gives this sign of life at a time that depends on the clock: dialogues would meet it now and then.
		"StillHere": "10 hours",
		"Dir":       inside, "UID": dovecotMailUser, "Password": accountPassword, "Location": "sdbox:~/mail", "More": "",
		"Plain": port(ports[0]), "TLS": port(ports[1]), "LMTP": port(ports[2]),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(config.String()), 0o644); err != nil {
		t.Fatal(err)
	}

	log := &lockedBuffer{}
	start(t, dovecotCommand(root, "-F", "-c", inside+"/dovecot.conf"), log)

	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	if err := awaitGreeting(ctx, ports[0], "* OK "); err != nil {
		t.Fatalf("dovecot: %v\n%s", err, log)
	}
	return &Server{
		Name: "dovecot", Plain: ports[0], TLS: ports[1], LMTP: ports[2], CertFile: certFile, log: log,
		newAccount: func(testing.TB, string, string) {},
	}
}

// dovecotCommand is Dovecot in the root directory it was unpacked into.
func dovecotCommand(root string, arguments ...string) *exec.Cmd {
	cmd := exec.Command("/usr/sbin/dovecot", arguments...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
		"LD_LIBRARY_PATH=/usr/lib/dovecot:/usr/lib/" + testenv.Multiarch() + ":/lib/" + testenv.Multiarch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	return cmd
}

// dovecotMailUser is the number of "vmail" in the root directory test/fetch furnishes.
const dovecotMailUser = 64105

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// The mailboxes of a new account are those Postern gives one, and "/" separates levels, so that a dialogue means
// the same on both.
var dovecotConfig = template.Must(template.New("dovecot.conf").Parse(fmt.Sprintf(`
protocols = imap lmtp
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/state
log_path = /dev/stderr
listen = 127.0.0.1
ssl = required
ssl_cert = <{{.Dir}}/cert.pem
ssl_key = <{{.Dir}}/key.pem
ssl_min_protocol = TLSv1.2
mail_location = {{.Location}}
mail_home = {{.Dir}}/mail/%%u
mail_uid = {{.UID}}
mail_gid = {{.UID}}
first_valid_uid = {{.UID}}
auth_mechanisms = plain login
auth_verbose = yes
# Our tests fail to log in on purpose and do not want to wait for it.
auth_failure_delay = 0
default_vsz_limit = 0
mail_max_userip_connections = 0
passdb {
  driver = static
  args = password={PLAIN}{{.Password}}
}
userdb {
  driver = static
  args = uid={{.UID}} gid={{.UID}} home={{.Dir}}/mail/%%u allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
%s}
imap_idle_notify_interval = {{.StillHere}}
imap_metadata = yes
mail_attribute_dict = file:%%h/attributes
mailbox_idle_check_interval = 1 secs
service anvil {
  # Nor to be made to wait for earlier failures from this address.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  chroot =
  inet_listener imap {
    port = {{.Plain}}
  }
  inet_listener imaps {
    port = {{.TLS}}
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = {{.LMTP}}
  }
}
{{.More}}
`, specialUse())))

// specialNames are the mailboxes that Postern gives a new account, with the special use of their name.
var specialNames = []string{"Drafts", "Sent", "Archive", "Junk", "Trash"}

func specialUse() string {
	var lines strings.Builder
	for _, name := range specialNames {
		fmt.Fprintf(&lines, "  mailbox %s {\n    auto = subscribe\n    special_use = \\%s\n  }\n", name, name)
	}
	return lines.String()
}
