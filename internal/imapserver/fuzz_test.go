package imapserver

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/deflate"
)

// stages are what a client has said before the fuzzed text: each is a state.
var stages = []string{
	"",
	"p LOGIN ada@example.org secret\r\n",
	"p LOGIN ada@example.org secret\r\nq SELECT INBOX\r\n",
	"p LOGIN ada@example.org secret\r\nq ENABLE IMAP4rev2 UTF8=ACCEPT\r\nr EXAMINE INBOX\r\n",
	"p LOGIN ada@example.org secret\r\nq SELECT \"Other Users/bob@example.org/Open\"\r\n",
}

// compressedStage is one more: what follows it is compressed, each way.
const compressedStage = "p LOGIN ada@example.org secret\r\nq SELECT INBOX\r\nr COMPRESS DEFLATE\r\n"

// holdCompressed is hold of a text that is compressed, or that is taken for it.
func (w *world) holdCompressed(t *testing.T, text string, packed bool) string {
	octets := []byte(text)
	if packed {
		octets = deflate.Append(nil, octets)
	}
	// In single octets: nothing may come in together with the command.
	got := w.hold(compressedStage+string(octets), 1)
	const answer = "r OK DEFLATE is active from now on\r\n"
	before, rest, ok := strings.Cut(got, answer)
	if !ok {
		t.Fatalf("not compressed: %q", got)
	}
	plain, err := io.ReadAll(flate.NewReader(strings.NewReader(rest)))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return before + answer + string(plain)
}

// FuzzSession sends anything in each state: not authenticated, authenticated,
// selected, selected under IMAP4rev2, and with somebody else's mailbox selected. Whatever comes, the session ends when
// its input does, every line the server writes is a response, and the store is
// sound.
func FuzzSession(f *testing.F) {
	for stage := range len(stages) + 2 {
		f.Add(uint8(stage), uint8(0), everything)
		f.Add(uint8(stage), uint8(3), "a FETCH 1:* (FLAGS BODY[1.MIME]<2.5> BINARY[1] BODYSTRUCTURE)\r\nb STORE * FLAGS (\\Seen x)\r\n")
		f.Add(uint8(stage), uint8(1), "a SEARCH RETURN (SAVE MIN) OR (NOT 1) HEADER subject {3+}\r\none BODY x\r\nb UID MOVE $ Trash\r\n")
		f.Add(uint8(stage), uint8(2), "a SORT RETURN (MIN SAVE) (REVERSE DATE SUBJECT) UTF-8 ALL\r\nb UID THREAD REFERENCES US-ASCII NOT OLDER 5\r\nc THREAD REFS UTF-8 $\r\n")
		f.Add(uint8(stage), uint8(2), "a ENABLE METADATA\r\nb SETMETADATA INBOX (/private/comment {3+}\r\na\r\n /shared/x ~{1+}\r\n\x00 /private/specialuse NIL)\r\nc GETMETADATA (DEPTH infinity MAXSIZE 2) INBOX (/private /shared)\r\nd LIST \"\" * RETURN (METADATA (/shared/x))\r\n")
		f.Add(uint8(stage), uint8(0), "a SEARCH RETURN (RELEVANCY PARTIAL 1:2) FUZZY TEXT msseage\r\nb UID SORT RETURN (RELEVANCY ALL SAVE) (REVERSE RELEVANCY) UTF-8 FUZZY OR SEEN BODY tex\r\n")
		f.Add(uint8(stage), uint8(0), "a COMPARATOR \"-i;*\" i;octet\r\nb SORT (SUBJECT) UTF-8 TEXT x\r\nc COMPARATOR \"\"\r\nd COMPARATOR\r\n")
		f.Add(uint8(stage), uint8(0), "a SETMETADATA \"\" (/private/filters/values/f \"OR FILTER g SEEN\" /private/filters/values/g {8+}\r\nTEXT {1}\r\nx)\r\nb SEARCH RETURN (SAVE) FILTER f\r\nc ESEARCH RETURN (SAVE) CHARSET X FILTER g\r\n")
		f.Add(uint8(stage), uint8(2), "a ESEARCH IN (personal mailboxes (INBOX x) subtree x) RETURN (MIN COUNT SAVE) 1:7 UNSEEN\r\nb ESEARCH TEXT x\r\n")
		f.Add(uint8(stage), uint8(0), "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (%/% *) RETURN (CHILDREN STATUS (SIZE))\r\nb LSUB \"\" %\r\n")
		f.Add(uint8(stage), uint8(0), "a NOTIFY SET STATUS (SELECTED (MessageNew (UID BODY[]) MessageExpunge FlagChange)) (SUBTREE (x INBOX) (MailboxName SubscriptionChange))\r\nb CREATE x/y\r\nc APPEND INBOX {5+}\r\nhello\r\nd NOTIFY NONE\r\n")
		f.Add(uint8(stage), uint8(0), "a SEARCH RETURN (UPDATE (UID BODY[]) COUNT) NOT OLDER 5\r\nb UID SORT RETURN (UPDATE PARTIAL 1:2 CONTEXT) (REVERSE SUBJECT) UTF-8 $\r\nc STORE * FLAGS (x)\r\nd UID EXPUNGE 1:*\r\ne APPEND INBOX {5+}\r\nhello\r\nf CANCELUPDATE \"a\" {1+}\r\nb\r\n")
		f.Add(uint8(stage), uint8(1), "a SETACL INBOX bob@example.org +lrc\r\nb GETACL INBOX\r\nc LISTRIGHTS INBOX -anyone\r\nd DELETEACL INBOX bob@example.org\r\ne MYRIGHTS {5+}\r\nINBOX\r\n")
		f.Add(uint8(stage), uint8(0), "a SELECT \"Other Users/bob@example.org/Open\"\r\nb STORE 1 FLAGS (\\Seen x)\r\nc LIST \"\" (* %/%) RETURN (MYRIGHTS STATUS (MESSAGES))\r\nd COPY * INBOX\r\n")
		f.Add(uint8(stage), uint8(0), "a IDLE\r\nDONE\r\nb RENAME INBOX x\r\nc DELETE x\r\nd UID EXPUNGE 1:*\r\n")
		f.Add(uint8(stage), uint8(0), "a APPEND INBOX (\\Draft) \"17-Jul-1996 02:44:25 -0700\" {10+}\r\nX: y\r\n\r\nz\r\n")
		f.Add(uint8(stage), uint8(2), "a APPEND INBOX {1+}\r\nx (\\Seen) {2+}\r\nyz \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\n\x00\r\nb APPEND INBOX {1}\r\nx {0}\r\n")
		f.Add(uint8(stage), uint8(1), "a APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {2+}\r\nxy URL ;UID=2/;SECTION=HEADER.FIELDS%20(Subject)/;PARTIAL=0.5)\r\n")
		f.Add(uint8(stage), uint8(0), "a GENURLAUTH \"imap://ada%40example.org@mail.example.org/INBOX/;UID=1;URLAUTH=anonymous\" INTERNAL\r\n"+
			"b URLFETCH \"imap://ada%40example.org@mail.example.org/INBOX/;UID=1;URLAUTH=anonymous:internal:0123456789abcdef0123456789abcdef\" x\r\nc RESETKEY INBOX\r\nd RESETKEY\r\n")
		f.Add(uint8(stage), uint8(3), "a REPLACE 1 INBOX {2+}\r\nxy\r\nb UID REPLACE * Sent (\\Seen) CATENATE (TEXT {1+}\r\nx URL /INBOX/;UID=1)\r\n")
		f.Add(uint8(stage), uint8(0), "a STARTTLS\r\nb AUTHENTICATE PLAIN =\r\nc AUTHENTICATE LOGIN\r\n*\r\n\x00{5+}\r\n")
	}
	f.Fuzz(func(t *testing.T, stage, chunk uint8, text string) {
		if len(text) > 4096 {
			return
		}
		w := newServer(t, func(o *Options) { o.Limits.Message = 10_000 })
		seedText := "p LOGIN ada@example.org secret\r\nq APPEND INBOX (\\Flagged) {" + strconv.Itoa(len(sample(1))) + "+}\r\n" + sample(1) +
			"\r\nr APPEND INBOX (\\Deleted) {5+}\r\nhello\r\n"
		w.hold(seedText, 0)
		w.hold("p LOGIN bob@example.org secret\r\nq CREATE Open\r\nr SETACL Open ada@example.org lrswipkxtea\r\ns APPEND Open {5+}\r\nhello\r\n", 0)
		watchdog := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("stage %d chunk %d: %q", stage, chunk, text)) })
		defer watchdog.Stop()
		var got string
		if n := int(stage) % (len(stages) + 2); n < len(stages) {
			got = w.hold(stages[n]+text, int(chunk))
		} else {
			got = w.holdCompressed(t, text, n == len(stages))
		}
		checkResponses(t, got)
		if w.server.Sessions() != 0 || len(w.server.census.open) != 0 {
			t.Error("the session is still counted")
		}
		if log := w.log.String(); strings.Contains(log, "SERVERBUG") || strings.Contains(log, "level=ERROR") {
			t.Errorf("a fault of the server:\n%s", log)
		}
		w.closeStore(t.Context())
	})
}

var responseLine = regexp.MustCompile(`^(\* |\+ |[!#$&',\-./0-9:;<=>?@A-Z\[\]^_` + "`" + `a-z|}~]+ (OK|NO|BAD) )`)

// checkResponses reads what a server said as a client would.
func checkResponses(t *testing.T, text string) {
	for len(text) > 0 {
		line, rest, ok := strings.Cut(text, "\r\n")
		if !ok {
			t.Fatalf("half a line at the end: %q", text)
		}
		if !responseLine.MatchString(line) {
			t.Fatalf("no response: %q", line)
		}
		for {
			m := literalEnd.FindStringSubmatch(line + "\r\n")
			if m == nil || line[0] == '+' {
				break
			}
			n := 0
			for _, d := range m[1] {
				n = n*10 + int(d-'0')
			}
			if n > len(rest) {
				t.Fatalf("a literal of %d octets has %d: %q", n, len(rest), line)
			}
			if line, rest, ok = strings.Cut(rest[n:], "\r\n"); !ok {
				t.Fatal("nothing behind a literal")
			}
		}
		text = rest
	}
}
