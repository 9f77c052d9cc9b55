package imapwire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/internal/mail"
)

// chunks gives its octets a few at a time, as a network does.
type chunks struct {
	data  []byte
	sizes []byte // how many each Read gives, round and round; none: all
	at    int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := len(c.data)
	if len(c.sizes) > 0 {
		n = int(c.sizes[c.at%len(c.sizes)])%7 + 1
		c.at++
	}
	n = copy(p, c.data[:min(n, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

// reader makes a Reader of a text. Continuation requests are counted.
func reader(text string) *Reader {
	return NewReader(bufio.NewReader(strings.NewReader(text)), LoggedIn(1<<20), nil)
}

// readArgs reads any command's arguments and gives them as text.
func readArgs(r *Reader, name string) (any, bool) {
	var (
		fetch  FetchArgs
		store  StoreArgs
		search SearchArgs
		multi  MultiSearchArgs
		sort   SortArgs
		thread ThreadArgs
		list   ListArgs
		status StatusArgs
		getm   GetMetadataArgs
		setm   SetMetadataArgs
		sel    SelectArgs
		create CreateArgs
		rename RenameArgs
		cp     CopyArgs
		login  LoginArgs
		auth   AuthenticateArgs
		id     []IDField
		caps   []string
		notify NotifyArgs
		box    string
	)
	switch name {
	case "FETCH", "UID FETCH":
		return &fetch, r.ExpectFetchArgs(&fetch)
	case "STORE", "UID STORE":
		return &store, r.ExpectStoreArgs(&store)
	case "SEARCH", "UID SEARCH":
		return &search, r.ExpectSearchArgs(&search)
	case "COMPARATOR":
		return &caps, r.ExpectComparatorArgs(&caps)
	case "ESEARCH":
		return &multi, r.ExpectMultiSearchArgs(&multi)
	case "SORT", "UID SORT":
		return &sort, r.ExpectSortArgs(&sort)
	case "THREAD", "UID THREAD":
		return &thread, r.ExpectThreadArgs(&thread)
	case "LIST":
		ok := r.ExpectListArgs(&list)
		return listText(&list), ok
	case "LSUB":
		ok := r.ExpectLsubArgs(&list)
		return listText(&list), ok
	case "STATUS":
		return &status, r.ExpectStatusArgs(&status)
	case "GETMETADATA":
		return &getm, r.ExpectGetMetadataArgs(&getm)
	case "SETMETADATA":
		return &setm, r.ExpectSetMetadataArgs(&setm, 500)
	case "SELECT", "EXAMINE":
		return &sel, r.ExpectSelectArgs(&sel)
	case "CREATE":
		return &create, r.ExpectCreateArgs(&create)
	case "RENAME":
		return &rename, r.ExpectRenameArgs(&rename)
	case "COPY", "MOVE", "UID COPY", "UID MOVE":
		return &cp, r.ExpectCopyArgs(&cp)
	case "LOGIN":
		return &login, r.ExpectLoginArgs(&login)
	case "AUTHENTICATE":
		return &auth, r.ExpectAuthenticateArgs(&auth)
	case "ID":
		return &id, r.ExpectIDArgs(&id)
	case "ENABLE":
		return &caps, r.ExpectEnableArgs(&caps)
	case "CANCELUPDATE":
		return &caps, r.ExpectCancelUpdateArgs(&caps)
	case "NOTIFY":
		return &notify, r.ExpectNotifyArgs(&notify)
	case "GETQUOTA":
		return &box, r.ExpectQuotaRoot(&box)
	case "SETACL":
		var a SetACLArgs
		return &a, r.ExpectSetACLArgs(&a)
	case "DELETEACL", "LISTRIGHTS":
		var a ACLArgs
		return &a, r.ExpectACLArgs(&a)
	case "DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "GETQUOTAROOT", "GETACL", "MYRIGHTS":
		return &box, r.ExpectMailboxArgs(&box)
	case "APPEND":
		return readAppend(r)
	case "RESETKEY":
		var reset ResetKeyArgs
		return &reset, r.ExpectResetKeyArgs(&reset)
	case "GENURLAUTH":
		var rumps []Rump
		return &rumps, r.ExpectGenURLAuthArgs(&rumps)
	case "URLFETCH":
		var urls []string
		return &urls, r.ExpectURLFetchArgs(&urls)
	case "REPLACE", "UID REPLACE":
		return readReplace(r)
	}
	return nil, r.ExpectCRLF()
}

// listText is what there is to compare in arguments of LIST.
func listText(a *ListArgs) string {
	text := fmt.Sprintf("%d %d %d %v %s", a.Select, a.Return, a.Status, a.Extended, a.Reference)
	for _, p := range a.Patterns {
		text += fmt.Sprintf(" %q %v", p.Text, p.invalid)
	}
	for _, name := range a.Metadata {
		text += " " + name
	}
	return text
}

func readAppend(r *Reader) (any, bool) {
	var name string
	if !r.ExpectAppendMailbox(&name) {
		return nil, false
	}
	text := fmt.Sprintf("%q:", name)
	for {
		if !readMessage(r, &text) {
			return nil, false
		}
		if !r.MoreMessages() {
			return text, r.ExpectCRLF()
		}
	}
}

func readReplace(r *Reader) (any, bool) {
	var a CopyArgs
	if !r.ExpectReplaceArgs(&a) {
		return nil, false
	}
	text := fmt.Sprintf("%v %q:", a.Set, a.Mailbox)
	return &text, readMessage(r, &text) && r.ExpectCRLF()
}

// readMessage reads one message of APPEND, also one in parts.
func readMessage(r *Reader, text *string) bool {
	var m AppendMessage
	if !r.ExpectAppendMessage(&m) {
		return false
	}
	*text += inJSON(m)
	if !m.Catenate {
		return readLiteral(r, text) && r.ExpectAppendEnd(&m)
	}
	for {
		var p Part
		if !r.ExpectPart(&p) {
			return false
		}
		*text += " " + inJSON(p)
		if !p.IsURL && !readLiteral(r, text) || !r.ExpectPartEnd(&p) {
			return false
		}
		if !r.MoreParts() {
			return r.ExpectAppendEnd(&m)
		}
	}
}

func readLiteral(r *Reader, text *string) bool {
	body, err := r.AcceptLiteral()
	if err != nil {
		return false
	}
	data, err := io.ReadAll(body)
	*text += fmt.Sprintf(" %q;", data)
	return err == nil
}

func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// transcript reads commands as a conversation does until nothing can be read any
// more, and gives a line for each.
func transcript(src io.Reader, limits Limits, bufSize int) (lines []string, fatal error) {
	asked := 0
	r := NewReader(bufio.NewReaderSize(src, bufSize), limits, func() error { asked++; return nil })
	for {
		cmd, err := r.Command()
		if r.Broken() {
			return lines, err
		}
		line := fmt.Sprintf("%q %q", cmd.Tag, cmd.Name)
		if err == nil {
			args, ok := readArgs(r, cmd.Name)
			if r.Broken() {
				return append(lines, line+" broken"), r.Err()
			}
			if ok != (r.Err() == nil) {
				panic(fmt.Sprintf("%s: ok %v, error %v", line, ok, r.Err()))
			}
			if ok {
				text, err := json.Marshal(args)
				if err != nil {
					panic(err)
				}
				line += " " + string(text)
			}
			err = r.Err()
		}
		line += fmt.Sprintf(" asked %d error %v", asked, err)
		lines = append(lines, line)
		if fatal := r.End(); fatal != nil {
			return lines, fatal
		}
		if kind := mail.KindOf(err); err != nil && kind == mail.Internal {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				panic(fmt.Sprintf("%s: %T", line, err))
			}
		}
	}
}

// dialogue is what a client may say in a session: commands of all kinds, right and
// wrong.
var dialogue = []string{
	"a1 LOGIN fred \"blur\\\"dy\\\\bloop\"\r\n",
	"a1 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n", // RFC 7888 3
	"a2 UID FETCH 40:45,9,* (FLAGS MODSEQ ENVELOPE BODY.PEEK[1.2.HEADER.FIELDS (DATE FROM \"X\")]<0.100>)\r\n",
	"a3 FETCH 2,4:7,9,12:* FULL (CHANGEDSINCE 12345 VANISHED)\r\n",
	"A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"\r\n", // RFC 9051 6.4.4
	"A285 SEARCH CHARSET UTF-8 OR TEXT {8+}\r\n\xd0\xba\xd0\xbb\xd1\x84\xd1\x8a (UNSEEN 1:3) UID $\r\n",
	"C2 SORT RETURN (RELEVANCY ALL) (REVERSE RELEVANCY) UTF-8 FUZZY OR FUZZY TEXT \"Helo\" NOT FUZZY 1\r\n",          // RFC 6203 6
	"A001 COMPARATOR \"cz;*\" {7+}\r\ni;octet i;basic\r\n",                                                           // RFC 5255 4.7
	"tag2 ESEARCH IN (mailboxes \"folder1\" subtree-one (\"folder2\" {3+}\r\na/b) personal) RETURN (MIN) unseen\r\n", // RFC 7377 3
	"A003 STORE 2:4 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Deleted $Forwarded)\r\n",
	"A003 APPEND saved-messages (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {10+}\r\n12345\r\n890\r\n",
	"A003 APPEND x ~{3+}\r\na\x00b {2+}\r\nyz\r\n",
	"A LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX Drafts \"Sent/%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))\r\n",
	"A SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))\r\n", // RFC 7162 3.2.5
	"A CREATE MySpecial (USE (\\Drafts \\Sent))\r\n",                              // RFC 6154 5.3
	"a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" NIL)\r\n",
	"a ENABLE CONDSTORE imap4rev2\r\n",
	"a NOTIFY SET STATUS (selected-delayed (MessageNew (UID BODY.PEEK[1.HEADER.FIELDS (TO)]) MessageExpunge)) (subtree (x \"y z\") (MailboxName)) (personal NONE)\r\n",
	"a NOTIFY NONE\r\n",
	"a UID SORT RETURN (PARTIAL 1:5 UPDATE (UID BODY[HEADER.FIELDS (TO)]) CONTEXT) (DATE) UTF-8 ALL\r\n",
	"a CANCELUPDATE \"B01\" {3+}\r\nB02\r\n",
	"a AUTHENTICATE PLAIN AGZyZWQAc2VjcmV0\r\n",
	"x STATUS blurdybloop (UIDNEXT MESSAGES)\r\n",
	"a GETMETADATA (MAXSIZE 1024 DEPTH infinity) \"INBOX\" (/shared/comment {16+}\r\n/private/comment)\r\n",
	"a SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines. /shared/x ~{3+}\r\na\x00b /shared/y NIL)\r\n",
	"a LIST \"\" % RETURN (METADATA (/private/comment \"/shared/x\") STATUS (MESSAGES))\r\n",
	"a GETQUOTA {5+}\r\n!part\r\n", "a GETQUOTAROOT INBOX\r\n",
	"x RENAME \"&Jjo-!\" \"&-\"\n",
	"x NOOP\r\n", "x\r\n", "\r\n", "+ NOOP\r\n", "a b{5}\r\n", "a STORE 1 FLAGS {3+}\r\nabc)\r\n",
	"a FETCH ((((({5+}\r\na b\nc {1}\r\n", "a LOGIN \"{3+}\r\nabc\r\n", "a LOGIN {99999999999+}\r\n", "a UID\r\n",
	"A003 APPEND Drafts (\\Draft) CATENATE (URL \"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\" TEXT {3+}\r\nabc" +
		" URL /x/;uid=1 UTF8 (~{1+}\r\nx) TEXT ~{1+}\r\n\x00) () {1+}\r\ny\r\n",
	"A003 UID REPLACE * Drafts CATENATE (TEXT {3}\r\nabc URL /Drafts/;UID=3)\r\n",
	"A005 RESETKEY\r\n", "A006 resetkey \"Box\" internal x-y.1\r\n",
	"A007 GENURLAUTH \"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred\" INTERNAL {3}\r\nx y X-Z\r\n",
	"A008 URLFETCH imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous:internal:91354a473744909de610943775f92038 \"a\"\r\n",
	"A004 REPLACE 4 Sent (\\Seen) {1+}\r\nx\r\n",
}

func TestChunkingDoesNotMatter(t *testing.T) {
	whole := strings.Join(dialogue, "")
	want, wantErr := transcript(strings.NewReader(whole), LoggedIn(1000), 4096)
	if len(want) < 20 {
		t.Fatalf("only %d commands: %v", len(want), wantErr)
	}
	for _, sizes := range [][]byte{{0}, {1}, {2, 0, 4}, {6, 5}} {
		got, err := transcript(&chunks{data: []byte(whole), sizes: sizes}, LoggedIn(1000), 16)
		if fmt.Sprint(got, err) != fmt.Sprint(want, wantErr) {
			t.Errorf("chunks %v:\n%s\n%v\nwhole:\n%s\n%v", sizes,
				strings.Join(got, "\n"), err, strings.Join(want, "\n"), wantErr)
		}
	}
}

// splitCommands is the rule of RFC 7888 3 written down once more: how a server
// finds the commands of a stream in which no client waits. It stops where a
// synchronizing literal's header ends a line, for then the reader decides.
func splitCommands(data []byte) (commands [][]byte, certain bool) {
	for len(data) > 0 {
		n := 0
		for {
			eol := bytes.IndexByte(data[n:], '\n')
			if eol < 0 {
				return commands, true
			}
			line := bytes.TrimSuffix(data[n:n+eol], []byte{'\r'})
			n += eol + 1
			open := bytes.LastIndexByte(line, '{')
			if open < 0 || line[len(line)-1] != '}' {
				break
			}
			digits := bytes.TrimSuffix(line[open+1:len(line)-1], []byte{'+'})
			size, ok := parseNumber(digits, 1<<60)
			if !ok && len(digits) > 0 && len(bytes.Trim(digits, "0123456789")) == 0 {
				return commands, false
			}
			if !ok {
				break
			}
			if line[len(line)-2] != '+' || len(digits) > maxLengthDigits || size > uint64(len(data)-n) {
				return commands, false
			}
			n += int(size)
		}
		commands, data = append(commands, data[:n]), data[n:]
	}
	return commands, true
}

func FuzzCommandLine(f *testing.F) {
	for _, d := range dialogue {
		f.Add([]byte(d), []byte{0})
		f.Add([]byte(d+"z NOOP\r\n"), []byte{1, 4})
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		limits := LoggedIn(1000)
		limits.Line, limits.Drain = 2000, 5000
		want, wantErr := transcript(bytes.NewReader(data), limits, 4096)
		got, err := transcript(&chunks{data: data, sizes: sizes}, limits, 16)
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("chunks:\n%q\n%v\nwhole:\n%q\n%v", got, err, want, wantErr)
		}
		var fatal *FatalError
		commands, certain := splitCommands(data)
		if errors.As(wantErr, &fatal) || !certain {
			return
		}
		if errors.Is(wantErr, io.ErrUnexpectedEOF) && len(want) == len(commands)+1 {
			want = want[:len(commands)] // the connection ended in the middle of the last one
		}
		if len(want) != len(commands) {
			t.Fatalf("%d commands instead of %d: %q", len(want), len(commands), want)
		}
		for i, c := range commands {
			tag := c[:len(c)-len(bytes.TrimLeftFunc(c, func(c rune) bool {
				return c < 0x80 && classes[byte(c)]&tagChar != 0
			}))]
			if len(tag) <= limits.Tag && !strings.HasPrefix(want[i], fmt.Sprintf("%q ", tag)) {
				t.Fatalf("command %d is %q, not %s", i, want[i], tag)
			}
		}
	})
}

func newBuffered(text string, size byte) *bufio.Reader {
	return bufio.NewReaderSize(&chunks{data: []byte(text), sizes: []byte{size}}, 16)
}
