package imapserver

import (
	"context"
	"strings"
	"testing"

	"postern/internal/mail"
)

// TestServerMetadata: what the administrator sets everybody may read (RFC 5464 3.3),
// and who has enabled that is told at once.
func TestServerMetadata(t *testing.T) {
	var shared ServerMetadata
	shared.Set([]mail.Metadata{{Name: "/shared/comment", Value: []byte("hello")}, {Name: "/shared/admin", Value: []byte("mailto:x@example.org")}})
	w := newWorld(t, func(o *Options) { o.Metadata = &shared })
	c, quiet := w.login(), w.login()
	c.ok(`GETMETADATA "" (/shared/comment /private/x)`, `* METADATA "" (/shared/comment "hello" /private/x NIL)`)
	c.ok(`SETMETADATA "" (/private/x "mine")`)
	c.ok(`GETMETADATA (DEPTH infinity) "" (/shared /private)`,
		`* METADATA "" (/shared/admin "mailto:x@example.org" /shared/comment "hello" /private/x "mine")`)
	c.reply(`SETMETADATA "" (/shared/comment "mine" /private/x "y")`, "NO [NOPERM] ...")
	c.ok("ENABLE METADATA-SERVER", "* ENABLED METADATA-SERVER")
	c.send("i IDLE\r\n")
	c.expect("+ ...")
	shared.Set([]mail.Metadata{{Name: "/shared/comment", Value: []byte("hello")}, {Name: "/shared/new", Value: []byte("")}})
	c.expect(`* METADATA "" /shared/admin /shared/new`)
	c.send("DONE\r\n")
	c.expect("i OK ...")
	quiet.ok("NOOP")
	shared.Set(nil)
	c.ok("NOOP", `* METADATA "" /shared/comment /shared/new`)
}

// TestMetadataWatchEnds: a session is told what came after it enabled that, once, and
// one that has signed off is not.
func TestMetadataWatchEnds(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.ok("ENABLE METADATA", "* ENABLED METADATA")
	c.ok("LOGOUT", anything)
	d := w.login()
	d.ok(`SETMETADATA INBOX (/private/x "y")`)
	d.ok("ENABLE METADATA", "* ENABLED METADATA")
	d.ok("NOOP")
	a, err := w.pool.Open(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	m, err := a.Mailbox("INBOX", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.SetMetadata(context.Background(), []mail.Metadata{{Name: "/private/x", Value: []byte("z")}}); err != nil {
		t.Fatal(err)
	}
	d.ok("NOOP", "* METADATA INBOX /private/x")
	d.ok("NOOP")
}

// TestLongMetadataLines: a value that is too long is refused in quotes too, and one
// that is as long as may be comes back as it was.
func TestLongMetadataLines(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	long := strings.Repeat("x", 64<<10)
	c.ok("SETMETADATA INBOX (/private/x {65536+}\r\n" + long + ")")
	c.ok("GETMETADATA (MAXSIZE 65536) INBOX /private/x", "* METADATA INBOX (/private/x {65536}\r\n"+long+")")
	c.reply("SETMETADATA INBOX (/private/x {65537+}\r\n"+long+"x)", "NO [METADATA MAXSIZE 65536] ...")
	c.reply("SETMETADATA INBOX (/private/x {999999}", "NO [METADATA MAXSIZE 65536] ...")
	c.ok("NOOP")
}
