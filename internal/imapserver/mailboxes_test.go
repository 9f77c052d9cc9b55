package imapserver

import (
	"fmt"
	"strings"
	"testing"
)

func TestCreateDeleteRename(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.ok("CREATE a/b/c")
	c.ok(`LIST "" a*`, `* LIST (\HasChildren) "/" "a"`, `* LIST (\HasChildren) "/" "a/b"`, `* LIST (\HasNoChildren) "/" "a/b/c"`)
	c.reply("CREATE a/b", "NO [ALREADYEXISTS] ...")
	c.reply("CREATE inbox", "NO ...")
	c.ok("CREATE Folder/")
	c.ok(`LIST "" Folder`, `* LIST (\HasNoChildren) "/" "Folder"`)
	c.reply("DELETE a", "NO [HASCHILDREN] ...")
	c.reply("DELETE INBOX", "NO ...")
	c.reply("DELETE Nowhere", "NO [NONEXISTENT] ...")
	c.ok("DELETE a/b/c")
	c.ok("RENAME a z")
	c.ok(`LIST "" z*`, `* LIST (\HasChildren) "/" "z"`, `* LIST (\HasNoChildren) "/" "z/b"`)
	c.reply("RENAME Nowhere x", "NO [NONEXISTENT] ...")
	c.reply("RENAME z Sent", "NO [ALREADYEXISTS] ...")
	for _, name := range []string{`"a//b"`, `"/a"`, `""`, "{3+}\r\na\x01b", "&2AA-", "&", strings.Repeat("x", 1025),
		strings.Repeat("x/", 32) + "x"} {
		c.reply("CREATE "+name, "NO ...")
	}
	c.ok(`CREATE Mine (USE (\Archive))`)
	c.ok(`LIST "" Mine`, `* LIST (\HasNoChildren \Archive) "/" "Mine"`)
	c.reply(`CREATE All (USE (\All))`, "NO [USEATTR] ...")
	c.reply(`CREATE Other (FROB 1)`, "BAD ...")
	c.reply(`CREATE Other (USE \Archive)`, "BAD ...")
}

// TestNames checks both forms of names on the wire.
func TestNames(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.ok("CREATE Entw&APw-rfe")
	c.ok(`LIST "" Entw*`, `* LIST (\HasNoChildren) "/" "Entw&APw-rfe"`)
	c.ok(`STATUS "Entwürfe" (MESSAGES)`, `* STATUS "Entw&APw-rfe" (MESSAGES 0)`) // RFC 9755 3: taken for what it is
	d := w.login()
	d.ok("ENABLE UTF8=ACCEPT", "* ENABLED UTF8=ACCEPT")
	d.ok("ENABLE UTF8=ACCEPT", "* ENABLED")
	d.ok(`LIST "" Entw*`, `* LIST (\HasNoChildren) "/" "Entwürfe"`)
	d.ok("SELECT \"Entwu\u0308rfe\"", anything) // decomposed
	d.reply(`CREATE "Entw&APw-rfe"`, "OK ...")  // an ampersand is an ampersand now
	d.ok("CREATE \"Entwu\u0308rfe2\"")
	d.ok(`LIST "" *2`, `* LIST (\HasNoChildren) "/" "Entwürfe2"`)
	c.ok(`LIST "" Entw&-*`, `* LIST (\HasNoChildren) "/" "Entw&-APw-rfe"`)
	d.reply("SEARCH CHARSET UTF-8 SUBJECT x", "BAD ...")
	d.reply("SEARCH SUBJECT \"\xff\"", "BAD ...")
}

// TestOldName gives names that are not normalised (RFC 9051 6.3.9.7).
func TestOldName(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.ok("ENABLE IMAP4rev2", anything)
	c.ok("CREATE \"u\u0308\"", "* LIST (\\HasNoChildren) \"/\" \"ü\" (OLDNAME (\"u\u0308\"))")
	c.ok("EXAMINE \"u\u0308\"", "* FLAGS ...", "* OK ...", "* 0 EXISTS", "* OK [MAILBOXID ...", "* OK ...", "* OK ...", "* OK ...",
		"* LIST (\\HasNoChildren) \"/\" \"ü\" (OLDNAME (\"u\u0308\"))")
	c.ok("RENAME \"ü\" \"o\u0308\"", "* LIST (\\HasNoChildren) \"/\" \"ö\" (OLDNAME (\"ü\"))")
	c.ok("RENAME \"o\u0308\" a", "* LIST (\\HasNoChildren) \"/\" \"a\" (OLDNAME (\"o\u0308\"))")
	c.ok("CREATE \"ä\"")
	// RFC 9051 8 shows it for INBOX, 6.3.12 wants it of APPEND and 6.3.5 of DELETE.
	c.ok("EXAMINE inbox", "* OK [CLOSED] ...", "* FLAGS ...", "* OK ...", "* 0 EXISTS", "* OK [MAILBOXID ...", "* OK ...", "* OK ...", "* OK ...",
		`* LIST (\HasNoChildren) "/" INBOX (OLDNAME ("inbox"))`)
	c.ok("APPEND \"a\u0308\" {1+}\r\nx", "* LIST (\\HasNoChildren) \"/\" \"ä\" (OLDNAME (\"a\u0308\"))")
	c.ok("DELETE \"a\u0308\"", "* LIST (\\NonExistent) \"/\" \"ä\" (OLDNAME (\"a\u0308\"))")
}

func TestList(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	for _, name := range []string{"Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable/Broccoli", "Vegetable/Corn"} {
		c.ok("CREATE " + name)
	}
	for _, name := range []string{"INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash"} {
		c.ok("UNSUBSCRIBE " + name)
	}
	// As in the examples of RFC 9051 6.3.9.8.
	for _, name := range []string{"INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"} {
		c.ok("SUBSCRIBE " + name)
	}
	for _, f := range []struct {
		command string
		want    []string
	}{
		{`LIST "" ""`, []string{`(\Noselect) "/" ""`}},
		{`LIST foo/bar ""`, []string{`(\Noselect) "/" ""`}},
		{`LIST "" ("")`, nil},
		{`LIST "" Fruit*`, []string{`(\HasChildren) "/" "Fruit"`, `(\HasNoChildren) "/" "Fruit/Apple"`, `(\HasNoChildren) "/" "Fruit/Banana"`}},
		{`LIST Fruit/ %`, []string{`(\HasNoChildren) "/" "Fruit/Apple"`, `(\HasNoChildren) "/" "Fruit/Banana"`}},
		{`LIST "" (T% Vegetable Tofu)`, []string{`(\HasNoChildren) "/" "Tofu"`, `(\HasNoChildren \Trash) "/" "Trash"`, `(\HasChildren) "/" "Vegetable"`}},
		{`LIST "" inbox`, []string{`(\HasNoChildren) "/" INBOX`}},
		{`LIST (SUBSCRIBED) "" "*"`, []string{
			`(\Subscribed \HasNoChildren) "/" "Fruit/Banana"`, `(\Subscribed \NonExistent) "/" "Fruit/Peach"`,
			`(\Subscribed \HasNoChildren) "/" INBOX`,
			`(\Subscribed \HasChildren) "/" "Vegetable"`, `(\Subscribed \HasNoChildren) "/" "Vegetable/Broccoli"`}},
		{`LIST (SUBSCRIBED REMOTE) "" "Fruit/*" RETURN (CHILDREN)`, []string{
			`(\Subscribed \HasNoChildren) "/" "Fruit/Banana"`, `(\Subscribed \NonExistent \HasNoChildren) "/" "Fruit/Peach"`}},
		{`LIST "" (Fruit/* Vegetable) RETURN (SUBSCRIBED)`, []string{`(\HasNoChildren) "/" "Fruit/Apple"`,
			`(\Subscribed \HasNoChildren) "/" "Fruit/Banana"`, `(\Subscribed \HasChildren) "/" "Vegetable"`}},
		// Fruit is not subscribed to but something below it is, and that is not
		// returned itself; of Vegetable both is true.
		{`LIST (SUBSCRIBED RECURSIVEMATCH) "" (Fruit Vegetable Tofu)`, []string{
			`(\HasChildren) "/" "Fruit" (CHILDINFO ("SUBSCRIBED"))`,
			`(\Subscribed \HasChildren) "/" "Vegetable" (CHILDINFO ("SUBSCRIBED"))`}},
		// Here what is below is returned itself.
		{`LIST (SUBSCRIBED RECURSIVEMATCH) "" Fruit*`, []string{`(\Subscribed \HasNoChildren) "/" "Fruit/Banana"`,
			`(\Subscribed \NonExistent) "/" "Fruit/Peach"`}},
		{`LIST (SPECIAL-USE) "" *`, []string{`(\HasNoChildren \Archive) "/" "Archive"`, `(\HasNoChildren \Drafts) "/" "Drafts"`,
			`(\HasNoChildren \Junk) "/" "Junk"`, `(\HasNoChildren \Sent) "/" "Sent"`, `(\HasNoChildren \Trash) "/" "Trash"`}},
		{`LIST "" Drafts RETURN (SPECIAL-USE)`, []string{`(\HasNoChildren \Drafts) "/" "Drafts"`}},
		{`LIST "" Nowhere`, nil},
		{`LIST "" &`, nil},
	} {
		var want []string
		for _, line := range f.want {
			want = append(want, "* LIST "+line)
		}
		c.ok(f.command, want...)
	}
	c.append("Tofu", "", sample(1))
	c.ok(`LIST "" T% RETURN (STATUS (MESSAGES UNSEEN))`, `* LIST (\HasNoChildren) "/" "Tofu"`, `* STATUS "Tofu" (MESSAGES 1 UNSEEN 1)`,
		`* LIST (\HasNoChildren \Trash) "/" "Trash"`, `* STATUS "Trash" (MESSAGES 0 UNSEEN 0)`)
	// RFC 5819 3: no status of a mailbox that is listed for what is below it.
	c.ok(`LIST (SUBSCRIBED RECURSIVEMATCH) "" (Fruit Vegetable) RETURN (STATUS (MESSAGES))`,
		`* LIST (\HasChildren) "/" "Fruit" (CHILDINFO ("SUBSCRIBED"))`,
		`* LIST (\Subscribed \HasChildren) "/" "Vegetable" (CHILDINFO ("SUBSCRIBED"))`, `* STATUS "Vegetable" (MESSAGES 0)`)
	c.reply(`LIST (RECURSIVEMATCH) "" *`, "BAD ...")
	c.reply(`LIST (FROB) "" *`, "BAD ...")
	c.reply(`LIST "" * RETURN (STATUS (FROB))`, "BAD ...")

	// A parent that nobody made: below a name that is only subscribed to.
	c.ok("SUBSCRIBE x/y/z")
	c.ok(`LIST (SUBSCRIBED RECURSIVEMATCH) "" %`, anything)
	c.ok(`LIST (SUBSCRIBED RECURSIVEMATCH) "" x`, `* LIST (\NonExistent) "/" "x" (CHILDINFO ("SUBSCRIBED"))`)

	c.ok(`LSUB "" ""`, `* LSUB (\Noselect) "/" ""`)
	c.ok(`LSUB "" %`, `* LSUB (\Noselect) "/" "Fruit"`, `* LSUB () "/" INBOX`, `* LSUB () "/" "Vegetable"`, `* LSUB (\Noselect) "/" "x"`)
	c.ok(`LSUB "" *l*`, `* LSUB () "/" "Vegetable"`, `* LSUB () "/" "Vegetable/Broccoli"`)
	c.ok("ENABLE IMAP4rev2", anything)
	c.reply(`LSUB "" *`, "BAD unknown command")
	c.reply(`STATUS INBOX (RECENT)`, "BAD ...")
}

func TestStatus(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", `(\Seen \Deleted) `, sample(1))
	c.append("INBOX", ``, sample(2))
	c.ok("STATUS INBOX (UIDVALIDITY)", "* STATUS INBOX (UIDVALIDITY ...)")
	c.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN DELETED SIZE APPENDLIMIT)",
		fmt.Sprintf("* STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 DELETED 1 SIZE %d APPENDLIMIT 67108864)", len(sample(1)+sample(2))))
	for _, bad := range []string{"STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX (PERMFLAGS)"} {
		c.reply(bad, "BAD ...")
	}
	c.reply("STATUS Nowhere (MESSAGES)", "NO [NONEXISTENT] ...")
	c.ok("NAMESPACE", `* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))`)
}

func TestSearch(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.append("INBOX", `(\Seen) "10-Jan-2024 12:00:00 +0000" `, "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nFrom: Ann <ann@example.org>\r\n"+
		"To: \"quoted \\\" name\" <b@example.org>, list: c@example.org;\r\nDate: Tue, 9 Jan 2024 10:00:00 +0000\r\n\r\nHello world\r\n")
	c.append("INBOX", `(\Flagged $Work) "11-Jan-2024 12:00:00 +0000" `, "Subject: second\r\nX-Mailer: mutt\r\n\r\n"+strings.Repeat("long ", 1000)+"\r\n")
	c.append("INBOX", `(\Answered) "12-Jan-2024 12:00:00 +0000" `, "From: bob@example.org\r\nCc: ann@example.org\r\n\r\nthird one, world\r\n")
	c.ok("SELECT INBOX", anything)
	for _, f := range []struct{ key, want string }{
		{"ALL", "1 2 3"}, {"SEEN", "1"}, {"NOT SEEN", "2 3"}, {"KEYWORD $work", "2"}, {"OR FLAGGED ANSWERED", "2 3"},
		{"2:*", "2 3"}, {"UID 2:3 UNANSWERED", "2"}, {"LARGER 1000", "2"}, {"SMALLER 1000", "1 3"},
		{"SINCE 11-Jan-2024", "2 3"}, {"BEFORE 11-Jan-2024", "1"}, {"ON 12-Jan-2024", "3"}, {"SENTON 9-Jan-2024", "1"},
		{"SUBJECT second", "2"}, {"SUBJECT SEC", "2"}, {"CHARSET UTF-8 SUBJECT {7+}\r\ngrüße", "1"},
		{"FROM ann", "1"}, {"CC ann", "3"}, {"TO c@example", "1"}, {"HEADER X-Mailer mutt", "2"}, {"HEADER X-Mailer {0+}\r\n", "2"},
		{"BODY world", "1 3"}, {"TEXT ann", "1 3"}, {"TEXT nowhere", ""}, {"(BODY world) NOT FROM bob", "1"}, {"RECENT", "1 2 3"},
	} {
		c.ok("SEARCH "+f.key, strings.TrimSuffix("* SEARCH "+f.want, " "))
	}
	c.ok("UID SEARCH 3", "* SEARCH 3")
	c.reply("SEARCH CHARSET X-KLINGON SUBJECT x", "NO [BADCHARSET] ...")
	for _, bad := range []string{"SEARCH", "SEARCH FROB", "SEARCH OLDER 0", "SEARCH 4", "SEARCH RETURN (RELEVANCY) ALL"} {
		c.reply(bad, "BAD ...")
	}
	c.ok("NOOP")
	// ESEARCH (RFC 4731).
	c.tags = 100
	c.ok("SEARCH RETURN (MIN MAX COUNT) ALL", `* ESEARCH (TAG "t101") MIN 1 MAX 3 COUNT 3`)
	c.ok("UID SEARCH RETURN () UNSEEN", `* ESEARCH (TAG "t102") UID ALL 2:3`)
	c.ok("SEARCH RETURN (MIN COUNT) DRAFT", `* ESEARCH (TAG "t103") COUNT 0`)
	// SEARCHRES (RFC 5182).
	c.ok("SEARCH RETURN (SAVE) UNSEEN")
	c.ok("FETCH $ UID", "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)")
	c.ok("UID SEARCH RETURN (SAVE MIN) $", `* ESEARCH (TAG "t106") UID MIN 2`)
	c.ok("UID FETCH $ FLAGS", `* 2 FETCH (UID 2 FLAGS (\Flagged $Work \Recent))`)
	c.ok("SEARCH RETURN (SAVE MIN MAX) ALL", `* ESEARCH ... MIN 1 MAX 3`)
	c.ok("SEARCH $", "* SEARCH 1 3")
	c.reply("SEARCH RETURN (SAVE) CHARSET X-KLINGON SUBJECT x", "NO [BADCHARSET] ...")
	c.ok("SEARCH $", "* SEARCH")
	c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
	c.ok("SEARCH RETURN (SAVE) ALL")
	c.reply("SEARCH RETURN (SAVE) FROB", "BAD ...")
	c.ok("SEARCH $", "* SEARCH 1 2 3")
	c.ok("EXPUNGE", anything)
	c.ok("SEARCH $", "* SEARCH 1 2")
	c.ok("SELECT INBOX", anything)
	c.ok("FETCH $ UID")
	c.ok("ENABLE IMAP4rev2", anything)
	c.ok("SEARCH ALL", `* ESEARCH (TAG ...) ALL 1:2`)
	c.ok("UID SEARCH CHARSET UTF-8 SEEN", `* ESEARCH (TAG ...) UID ALL 1`)
	c.reply("SEARCH OR SEEN NEW", "BAD ...")
}

// TestSearchFullScan searches more than one chunk by summary and by text.
func TestSearchFullScan(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	n := rowChunk + 2*contentChunk + 3
	c.fill(n)
	c.ok("SELECT INBOX", anything)
	last := fmt.Sprintf("* SEARCH %d", n)
	c.ok(fmt.Sprintf("SEARCH SUBJECT {%d+}\r\nmessage %d", len(fmt.Sprint(n))+8, n), last)
	c.ok(fmt.Sprintf(`SEARCH BODY "message %d."`, n), last)
	c.ok(`SEARCH RETURN (COUNT) BODY "Text of"`, fmt.Sprintf(`* ESEARCH (TAG "t%d") COUNT %d`, c.tags+1, n))
}
