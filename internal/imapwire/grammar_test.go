package imapwire

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
)

// Commands of RFC 9051, RFC 3501, RFC 7162, RFC 5258, RFC 6154 and RFC 8970 as they
// stand in the examples there. Every one must be read.
func TestCommandsOfTheRFCs(t *testing.T) {
	for _, line := range []string{
		`a004 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=`, `A003 CREATE owatagusiam/`, `A143 SELECT Drafts`,
		`A682 LIST "" *`, `A86 LIST "" %`, `A101 LIST "" ""`, `A102 LIST #news.comp.mail.misc ""`,
		`A103 LIST /usr/staff/jones ""`, `A202 LIST ~/Mail/ %`, `A03 LIST () "" "%" RETURN (CHILDREN)`,
		`A05 LIST (REMOTE SUBSCRIBED) "" "*"`, `A06 LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)`,
		`D03 LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"`, `a1 LIST "" ("foo")`,
		`BBB LIST "" ("INBOX" "Drafts" "Sent/%")`, `A002 LIST (SPECIAL-USE) "" "*"`,
		`A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))`, `a LSUB "#news." "comp.mail.*"`,
		`A042 STATUS blurdybloop (UIDNEXT MESSAGES)`, `k2 status "/archive/projects/experiment-iv" (messages)`,
		`A005 UID COPY 305:310 meeting`, `E283 COPY $ "Other Messages"`, `a UID MOVE 42:69 foo`,
		`n1 uid copy 1:* oldmail`, `l create "///////"`, `A683 RENAME blurdybloop sarasoop`,
		`A003 FETCH 4 ALL`, `a003 fetch 12 full`, `a004 fetch 12 body[header]`, `A FETCH 1 FAST`,
		`A283 FETCH $ (UID INTERNALDATE FLAGS BODY.PEEK[HEADER])`,
		`A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])`, `A999 UID FETCH 4827313:4828442 FLAGS`,
		`s100 UID FETCH 1:* (FLAGS MODSEQ) (CHANGEDSINCE 12345)`,
		`s101 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)`, `1 FETCH 1 (BINARY.PEEK[3.1]<0.65536>)`,
		`2 FETCH 1 BINARY.SIZE[3]`, `3 FETCH 1 (RFC822.HEADER RFC822.TEXT RFC822 RFC822.PEEK)`,
		`A1 FETCH 1 (PREVIEW (LAZY))`, `A1 FETCH 1:5 (UID PREVIEW SAVEDATE EMAILID THREADID)`, `A FETCH 1 PREVIEW`,
		`a05 store 12 +flags \deleted`, `m STORE 42 FLAGS f1 f2 f3 f4 f5`, `F284 STORE $ +FLAGS.Silent (\Deleted)`,
		`d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\Deleted)`, `a STORE 1 -FLAGS ()`,
		`A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"`,
		`A283 SEARCH RETURN () FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"`, `A285 UID SEARCH RETURN (MIN MAX) 1:5000`,
		`A301 UID SEARCH UID $ SMALLER 4096`, `h search from maria@example.com`,
		`a SEARCH MODSEQ "/flags/\\draft" all 620162338`, `a SEARCH OR NOT MODSEQ 720162338 LARGER 50000`,
		`A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED`, `A SEARCH RETURN (PARTIAL 500:1 COUNT) ALL`,
		`a1 SEARCH UNSEEN YOUNGER 259200`, `a SEARCH HEADER Message-ID <B27397-0100000@cac.washington.edu>`,
		`a SEARCH UNKEYWORD $Junk KEYWORD x NEW OLD RECENT SENTON "1-Jan-2000" SAVEDSINCE 28-Dec-2018`,
		`a02 SELECT INBOX (CONDSTORE)`, `03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))`,
		`04 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3 41,43)))`,
		`06 SELECT INBOX (QRESYNC (67890007 90060115194045000 (1,3 41,43)))`,
		`t2 CREATE MySpecial (USE (\Drafts \Sent))`, `t2 ENABLE CONDSTORE X-GOOD-IDEA`,
		`a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")`, `a ID NIL`,
		`A003 UID EXPUNGE 3000:3002`,
		// RFC 5464 4.2, 4.3, with the options where its grammar and where its examples have them.
		`a GETMETADATA "" /shared/comment`, `a GETMETADATA "INBOX" (/shared/comment /private/comment)`,
		`a GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)`, `a GETMETADATA (MAXSIZE 0) INBOX /private`,
		`a GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)`, `a GETMETADATA (depth INFINITY maxsize 4294967295) x ("/shared/a b" /private)`,
		`a GETMETADATA INBOX (DEPTH 0) /private/comment`, `a SETMETADATA INBOX (/private/comment NIL)`,
		`a SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")`,
		`a SETMETADATA "" ("/shared/comment" nil /private/vendor/a/b "")`,
		`G0001 GETQUOTA "!partition/sda4"`, `G GETQUOTA ""`, `G0002 GETQUOTAROOT INBOX`, `S0003 STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)`, // RFC 9208 4.1
		`A LIST "" % RETURN (METADATA (/shared/comment "/private/comment"))`, // RFC 9590
		`A LIST (SPECIAL-USE) "" "*" RETURN (STATUS (MESSAGES) METADATA (/shared/comment) CHILDREN)`,
		`A001 COMPARATOR "cz;*" i;basic`, `a COMPARATOR`, // RFC 5255 4.7
		`a SEARCH UID 300:900 FILTER on-the-road SINCE "3-Dec-2002"`, `a SORT (DATE) UTF-8 NOT FILTER x`, // RFC 5466 3.1
		`B1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"`, `C1 SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"`, // RFC 6203
		`C2 SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT "Helo"`, `a SEARCH FUZZY (FROM "Dave" SINCE 21-Jan-2009 BEFORE 24-Jan-2009)`,
		`tag1 ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen`, `a ESEARCH unseen`, `a ESEARCH 1:100 FROM "frobozz"`,
		`tag2 ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"`, `a ESEARCH RETURN (COUNT) CHARSET UTF-8 ALL`,
		`a esearch in (Selected inboxes personal subscribed mailboxes (a b)) return (all) all`,
		// RFC 5465, with the parentheses and the MessageExpunge its grammar has and its examples lack.
		`b notify set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) (subtree Lists (MessageNew MessageExpunge))`,
		`a notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))`,
		// RFC 5267 4, RFC 5465 7.
		`A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk`, `B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk`,
		`B02 UID SORT RETURN (UPDATE COUNT) (ARRIVAL) UTF-8 KEYWORD $Junk`, `B04 CANCELUPDATE "B01"`, `B04 CANCELUPDATE "B01" "B02"`,
		`A02 UID SORT RETURN (PARTIAL 23500:24000) (DATE) UTF-8 UNDELETED UNKEYWORD $Junk`,
		`a00 SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (TO FROM SUBJECT)])) FROM "boss"`,
		`a00 SEARCH RETURN (UPDATE (UID) MIN) FROM "boss"`,
		`a NOTIFY NONE`, `a NOTIFY SET (SELECTED-DELAYED NONE)`, `a NOTIFY SET (inboxes (X-Event)) (subscribed (ServerMetadataChange))`,
		`A001 SeTacl INBOX/Drafts David lrswida`, `A002 SETACL INBOX/Drafts Chris +cda`, `B002 DeleteAcl INBOX Fred`,
		`a001 LISTRIGHTS ~/Mail/saved smith`, `a005 listrights archive/imap anyone`, `A003 MYRIGHTS INBOX`, `A002 GETACL INBOX`,
		`A01 LIST "" % RETURN (MYRIGHTS)`, `A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (MYRIGHTS)`,
	} {
		r := reader(line + "\r\n")
		cmd, err := r.Command()
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if cmd.Name == "UID EXPUNGE" {
			var set mail.NumSet
			r.ExpectNumSetArgs(&set)
		} else {
			readArgs(r, cmd.Name)
		}
		if r.Err() != nil {
			t.Errorf("%s: %v", line, r.Err())
		}
	}
}

// What the grammar does not have must not be read.
func TestNotTheGrammar(t *testing.T) {
	for _, args := range []string{
		`CANCELUPDATE`, `CANCELUPDATE B01`, `CANCELUPDATE "B01" `, `CANCELUPDATE ("B01")`,
		`SEARCH RETURN (UPDATE 1) ALL`, `SEARCH RETURN (UPDATE ()) ALL`, `SEARCH RETURN (UPDATE (ALL)) ALL`, `SEARCH RETURN (UPDATE (UID)(UID)) ALL`,
		`SEARCH RETURN (CONTEXT (UID)) ALL`, `SORT RETURN (PARTIAL 1:2 ALL) (DATE) UTF-8 ALL`,
		`NOTIFY`, `NOTIFY SET`, `NOTIFY NONE x`, `NOTIFY SET STATUS`, `NOTIFY SET NONE`, `NOTIFY SET (PERSONAL)`, `NOTIFY SET (PERSONAL ())`,
		`NOTIFY SET (PERSONAL NONE) `, `NOTIFY SET (SUBTREE (MailboxName))`, `NOTIFY SET (MAILBOXES () (MailboxName))`,
		`NOTIFY SET (PERSONAL (MessageNew MessageExpunge) NONE)`, `NOTIFY SET (SELECTED (MessageNew () MessageExpunge))`,
		`NOTIFY SET (SELECTED (MessageNew (FULL) MessageExpunge))`, `NOTIFY SET (SELECTED (MessageExpunge (UID) MessageNew))`,
		`SETACL INBOX/Drafts John lrQswicda`, `SETACL INBOX/Drafts John lrqswicda`, `SETACL a b`, `SETACL a b lr x`, `SETACL a b l r`,
		`SETACL a b ++l`, `SETACL a b l+r`, `DELETEACL a`, `DELETEACL a b c`, `GETACL`, `GETACL a b`, `LISTRIGHTS a`, `MYRIGHTS a b`,
		`LIST "" % RETURN (MYRIGHTS (l))`,
		`FETCH 0 FLAGS`, `FETCH 01 FLAGS`, `FETCH 4294967296 FLAGS`, `FETCH 1,,2 FLAGS`, `FETCH 1: FLAGS`,
		`FETCH 1:2:3 FLAGS`, `FETCH 1,$ FLAGS`, `FETCH $,1 FLAGS`, `FETCH $$ FLAGS`, `FETCH -1 FLAGS`, `FETCH 1, FLAGS`,
		`FETCH 1 ()`, `FETCH 1 (FLAGS`, `FETCH 1 (FLAGS )`, `FETCH 1 (FLAGS  UID)`, `FETCH 1 FLAGS UID`,
		`FETCH 1 (ALL)`, `FETCH 1 BODY[`, `FETCH 1 BODY[1`, `FETCH 1 BODY[1.]`, `FETCH 1 BODY[0]`, `FETCH 1 BODY[01]`,
		`FETCH 1 BODY[MIME]`, `FETCH 1 BODY[1MIME]`, `FETCH 1 BODY[.TEXT]`, `FETCH 1 BODY[TEXT.1]`,
		`FETCH 1 BODY[HEADER.FIELDS]`, `FETCH 1 BODY[HEADER.FIELDS ()]`, `FETCH 1 BODY[HEADER.FIELDS (A) ]`,
		`FETCH 1 BODY[HEADER (A)]`, `FETCH 1 BODY[]<0>`, `FETCH 1 BODY[]<0.0>`, `FETCH 1 BODY[]<.1>`,
		`FETCH 1 BODY[]<9223372036854775808.1>`, `FETCH 1 BODY.PEEK`, `FETCH 1 BINARY`, `FETCH 1 BINARY[TEXT]`,
		`FETCH 1 BINARY[1.]`, `FETCH 1 BINARY.SIZE[1]<0.1>`, `FETCH 1 BODYSTRUCTURE[]`, `FETCH 1 FLAGS (CHANGEDSINCE x)`,
		`FETCH 1 FLAGS ()`, `FETCH 1 (PREVIEW (EAGER))`, `FETCH 1 (PREVIEW (LAZY 1))`, `FETCH 1 (PREVIEW ())`, `FETCH 1 PREVIEW ()`, `FETCH 1 NOTHING`,
		`STORE 1 FLAGS`, `STORE 1 *FLAGS ()`, `STORE 1 FLAGS.LOUD ()`, `STORE 1 FLAGS (\*)`, `STORE 1 FLAGS (\Foo)`,
		`STORE 1 FLAGS (NIL)`, `STORE 1 FLAGS (a]b)`, `STORE 1 FLAGS (a{3})`, `STORE 1 FLAGS ("a")`, `STORE 1 FLAGS a `,
		`STORE 1 FLAGS (*)`, `STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()`, `STORE 1 (UNCHANGEDSINCE -1) FLAGS ()`,
		`SEARCH`, `SEARCH `, `SEARCH NOT`, `SEARCH OR SEEN`, `SEARCH ()`, `SEARCH (SEEN`, `SEARCH SEEN)`, `SEARCH UNALL`,
		`SEARCH BEFORE 30-Feb-2000`, `SEARCH BEFORE 29-Feb-2001`, `SEARCH BEFORE 0-Jan-2001`, `SEARCH BEFORE 1-Jan-01`,
		`SEARCH BEFORE "1-Jan-2001`, `SEARCH BEFORE 1-Foo-2001`, `SEARCH LARGER -1`, `SEARCH LARGER 9223372036854775808`,
		`SEARCH OLDER 0`, `SEARCH KEYWORD \Seen`, `SEARCH RETURN SEEN`, `SEARCH RETURN (MIN 1) SEEN`, `SEARCH RETURN (MIN)`,
		`SEARCH RETURN (PARTIAL) SEEN`, `SEARCH RETURN (PARTIAL 1) SEEN`, `SEARCH RETURN (PARTIAL 1:-2) SEEN`,
		`SEARCH RETURN (PARTIAL 1:*) SEEN`, `SEARCH RETURN (PARTIAL 1:2,3) SEEN`, `SEARCH RETURN (ALL PARTIAL 1:2) SEEN`,
		`SEARCH CHARSET UTF-8`, `SEARCH UID`, `SEARCH UID x`, `SEARCH SEEN  SEEN`, `SEARCH HEADER x`, `SEARCH 1:`,
		`LIST ""`, `LIST "" (`, `LIST "" ()`, `LIST (BOGUS) "" *`, `LIST "" * RETURN`, `LIST "" * RETURN (BOGUS)`,
		`LIST "" * RETURN (STATUS)`, `LIST "" * RETURN (STATUS ())`, `LIST "" * (CHILDREN)`, `LIST "" a(`,
		`STATUS x`, `STATUS x ()`, `STATUS x MESSAGES`, `STATUS x (PERMFLAGS)`,
		`SELECT`, `SELECT *`, `SELECT x y`, `SELECT x ()`, `SELECT x (CONDSTORE 1)`, `SELECT x (QRESYNC)`, `SELECT x (QRESYNC 1)`,
		`SELECT x (QRESYNC (1 1) QRESYNC (1 1))`, `UID FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)`,
		`UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED 1)`, `SEARCH MODSEQ "/flags/x" some 1`, `SEARCH MODSEQ "/flags/x" 1`,
		`SELECT x (QRESYNC (1))`, `SELECT x (QRESYNC (0 1))`, `SELECT x (QRESYNC (1 1 1:*))`, `SELECT x (QRESYNC (1 1 $))`,
		`SELECT x (QRESYNC (1 1 1 (1)))`, `SELECT x (QRESYNC (1 1 1 (1 2) 3))`, `SELECT x (QRESYNC (4294967296 1))`,
		`GETMETADATA`, `GETMETADATA x`, `GETMETADATA x ()`, `GETMETADATA x (MAXSIZE 1)`, `GETMETADATA x (MAXSIZE 1) ()`,
		`GETMETADATA () x /shared/a`, `GETMETADATA (MAXSIZE) x /shared/a`, `GETMETADATA (MAXSIZE -1) x /shared/a`,
		`GETMETADATA (MAXSIZE 4294967296) x /shared/a`, `GETMETADATA (DEPTH 2) x /shared/a`, `GETMETADATA (DEPTH) x /shared/a`,
		`GETMETADATA (DEPTH "1") x /shared/a`, `GETMETADATA (DEPTH 1 DEPTH 1) x /shared/a`, `GETMETADATA (MAXSIZE 1 MAXSIZE 1) x /shared/a`,
		`GETMETADATA (FOO) x /shared/a`, `GETMETADATA (DEPTH 1) x (MAXSIZE 1) /shared/a`, `GETMETADATA x /shared/a /shared/b`,
		`GETMETADATA x (/shared/a`, `GETMETADATA x (/shared/a )`, `GETMETADATA x /comment`, `GETMETADATA x /shared/`, `GETMETADATA x "/shared/a%"`,
		`GETMETADATA x "/shared/*"`, `GETMETADATA x /shared//a`, `GETMETADATA x "/shared/ä"`, `GETMETADATA x "/shared/a	b"`, `GETMETADATA x NIL`,
		`SETMETADATA`, `SETMETADATA x`, `SETMETADATA x ()`, `SETMETADATA x /shared/a "b"`, `SETMETADATA x (/shared/a)`,
		`SETMETADATA x (/shared/a b)`, `SETMETADATA x (/shared/a "b"`, `SETMETADATA x (/shared/a "b" /SHARED/A NIL)`, `SETMETADATA x (/shared "b")`,
		`SETMETADATA x (/shared/vendor/a "b")`, `SETMETADATA x (/comment "b")`, `SETMETADATA x (/shared/a NIL) y`, `SETMETADATA x (/shared/a NILS)`,
		`LIST "" * RETURN (METADATA)`, `LIST "" * RETURN (METADATA ())`, `LIST "" * RETURN (METADATA (x))`, `LIST "" * RETURN (METADATA /shared/a)`,
		`GETQUOTA`, `GETQUOTA `, `GETQUOTA (x)`, `GETQUOTA x y`, `GETQUOTAROOT`, `GETQUOTAROOT x y`, `GETQUOTAROOT *`,
		`CREATE x (USE)`, `CREATE x (USE \Sent)`, `CREATE x (USE ("\Sent"))`, `RENAME x`, `ENABLE`, `ENABLE x `,
		`ID`, `ID (x y)`, `ID ("x")`, `ID ("x" y)`, `LOGIN x`, `LOGIN "x" "y`, `AUTHENTICATE`, `AUTHENTICATE PLAIN !`,
		`APPEND x`, `APPEND x ()`, `APPEND x (\Seen) "17-Jul-1996" {1+}`, `APPEND x "x"`,
		`APPEND x "32-Jul-1996 02:44:25 -0700" {1+}`, `APPEND x "17-Jul-1996 24:44:25 -0700" {1+}`,
		`APPEND x "17-Jul-1996 02:44:25 -2400" {1+}`, `APPEND x "17-Jul-1996 02:44:25 0700" {1+}`, `NOOP x`,
		`APPEND x CATENATE`, `APPEND x CATENATE (`, `APPEND x CATENATE ()`, `APPEND x CATENATE (URL)`, `APPEND x CATENATE (URL x`,
		`APPEND x CATENATE (URL x )`, `APPEND x CATENATE (URL x URL)`, `APPEND x CATENATE (TEXT x)`, `APPEND x CATENATE (x y)`,
		`APPEND x CATENATE (UTF8 {1+})`, `APPEND x CATENATE TEXT {1+}`, `APPEND x CATENATE (URL x) y`, `APPEND x CATENATE (URL x) URL`,
		`APPEND x CATENATE (URL x) (\Seen`, `REPLACE`, `REPLACE 1`, `REPLACE 1 x`, `REPLACE 1,2 x {1+}`, `REPLACE 1:2 x {1+}`,
		`COMPARATOR `, `COMPARATOR (i;octet)`, `COMPARATOR i;octet *`, `COMPARATOR  i;octet`,
		`SEARCH FILTER`, `SEARCH FILTER `, `SEARCH FILTER a/b`, `SEARCH FILTER "a"`, `SEARCH FILTER (a)`, `SEARCH FILTER %`,
		`SEARCH FUZZY`, `SEARCH FUZZY `, `SEARCH NOT FUZZY`, `SEARCH FUZZY ()`, `SEARCH RETURN (RELEVANCY 1) FUZZY ALL`, `SORT (FUZZY) UTF-8 ALL`,
		`ESEARCH`, `ESEARCH IN`, `ESEARCH IN (`, `ESEARCH IN () ALL`, `ESEARCH IN (personal)`, `ESEARCH IN personal ALL`, `ESEARCH IN (everywhere) ALL`,
		`ESEARCH IN (selected-delayed) ALL`, `ESEARCH IN (subtree) ALL`, `ESEARCH IN (subtree ()) ALL`, `ESEARCH IN (mailboxes a b) ALL`,
		`ESEARCH IN (personal (x)) ALL`, `ESEARCH IN (personal ()) ALL`, `ESEARCH RETURN (ALL) IN (personal) ALL`, `ESEARCH IN (personal) IN (personal) ALL`,
		`ESEARCH IN (personal a) ALL`, `ESEARCH IN (mailboxes (a b) ALL`, `ESEARCH IN (personal) RETURN (PARTIAL 1:2 ALL) ALL`,
		`RESETKEY `, `RESETKEY x `, `RESETKEY x a_b`, `GENURLAUTH`, `GENURLAUTH x`, `GENURLAUTH x `, `GENURLAUTH x INTERNAL y`,
		`GENURLAUTH x "INTERNAL"`, `URLFETCH`, `URLFETCH (x)`, `URLFETCH x `,
		`REPLACE $ x {1+}`, `REPLACE 0 x {1+}`, `UID REPLACE 1: x {1+}`, `REPLACE 1 x ()`,
	} {
		_, _, _, err := readOne("a "+args+"\r\n", LoggedIn(1000))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestFetchArgs(t *testing.T) {
	simple := func(kinds ...FetchKind) (items []FetchItem) {
		for _, k := range kinds {
			items = append(items, FetchItem{Kind: k})
		}
		return items
	}
	section := func(s Section) []FetchItem { return []FetchItem{{Kind: FetchSection, Section: s}} }
	for args, want := range map[string][]FetchItem{
		"ALL":                   simple(FetchFlags, FetchInternalDate, FetchSize, FetchEnvelope),
		"FAST":                  simple(FetchFlags, FetchInternalDate, FetchSize),
		"full":                  simple(FetchFlags, FetchInternalDate, FetchSize, FetchEnvelope, FetchBody),
		"(UID FLAGS UID flags)": simple(FetchUID, FetchFlags),
		"(BODY BODYSTRUCTURE)":  simple(FetchBody, FetchBodyStructure),
		"BODY[]":                section(Section{}),
		"BODY[TEXT]":            section(Section{Text: SectionBody}),
		"BODY[4.2.2.1]":         section(Section{Part: []uint32{4, 2, 2, 1}}),
		"BODY[4.1.MIME]":        section(Section{Part: []uint32{4, 1}, Text: SectionMIME}),
		"BODY[3.header]":        section(Section{Part: []uint32{3}, Text: SectionHeader}),
		"BODY[HEADER.FIELDS.NOT (a \"b c\")]": section(Section{
			Text: SectionHeaderFieldsNot, Fields: []string{"a", "b c"}}),
		"BODY[]<4294967295.4294967295>":      {{Kind: FetchSection, Partial: true, Offset: 1<<32 - 1, Count: 1<<32 - 1}},
		"BODY.PEEK[]<0.9223372036854775807>": {{Kind: FetchSection, Peek: true, Partial: true, Count: math.MaxInt64}},
		"(BODY.PEEK[] BODY[] BODY.PEEK[])":   {{Kind: FetchSection}},
		"(BODY[]<0.1> BODY[]<0.2>)": {
			{Kind: FetchSection, Partial: true, Count: 1}, {Kind: FetchSection, Partial: true, Count: 2}},
		"(RFC822.PEEK RFC822)": simple(FetchRFC822),
		"BINARY.PEEK[]":        {{Kind: FetchBinary, Peek: true}},
		"(BINARY.SIZE[2.1])":   {{Kind: FetchBinarySize, Section: Section{Part: []uint32{2, 1}}}},
		"(PREVIEW (LAZY) UID)": {{Kind: FetchPreview, Lazy: true}, {Kind: FetchUID}},
		// RFC 8970 6: preview-mod *(SP preview-mod), also behind a fetch-att that stands alone.
		"(UID PREVIEW (LAZY lazy))":       {{Kind: FetchUID}, {Kind: FetchPreview, Lazy: true}},
		"PREVIEW (LAZY)":                  {{Kind: FetchPreview, Lazy: true}},
		"PREVIEW (LAZY LAZY)":             {{Kind: FetchPreview, Lazy: true}},
		"PREVIEW (LAZY) (CHANGEDSINCE 5)": {{Kind: FetchPreview, Lazy: true}},
		"PREVIEW (CHANGEDSINCE 5)":        {{Kind: FetchPreview}},
		"(PREVIEW (LAZY) PREVIEW)":        {{Kind: FetchPreview}},
	} {
		r := reader("a FETCH 7 " + args + "\r\n")
		cmd, _ := r.Command()
		got, ok := readArgs(r, cmd.Name)
		if !ok || !reflect.DeepEqual(got.(*FetchArgs).Items, want) {
			t.Errorf("%s: %+v, %v, want %+v", args, got, r.Err(), want)
		}
	}
}

func TestFetchNames(t *testing.T) {
	for item, want := range map[string]string{ // answers of RFC 9051 7.5.2 and RFC 3516 4.3
		"BODY[]<5.10>":                            "BODY[]<5>",
		"body.peek[1.2.mime]":                     "BODY[1.2.MIME]",
		`BODY[HEADER.FIELDS (Date "From")]`:       "BODY[HEADER.FIELDS (Date From)]",
		`BODY[1.HEADER.FIELDS.NOT ("a b" NIL x)]`: `BODY[1.HEADER.FIELDS.NOT ("a b" "NIL" x)]`,
		"BINARY.PEEK[1]<3.4>":                     "BINARY[1]<3>",
		"BINARY.SIZE[1.2]":                        "BINARY.SIZE[1.2]",
		"RFC822.HEADER":                           "RFC822.HEADER",
	} {
		r := reader("a FETCH 1 " + item + "\r\n")
		cmd, _ := r.Command()
		args, ok := readArgs(r, cmd.Name)
		if !ok {
			t.Errorf("%s: %v", item, r.Err())
			continue
		}
		if got := string(args.(*FetchArgs).Items[0].AppendName(nil)); got != want {
			t.Errorf("%s is answered as %s, want %s", item, got, want)
		}
	}
}

func TestStoreArgs(t *testing.T) {
	for args, want := range map[string]StoreArgs{
		`+FLAGS (\Deleted \recent $B $a $b)`: {Op: mail.AddFlags, Flags: mail.NewFlags(mail.Deleted, "$a", "$B")},
		`FLAGS \Seen x`:                      {Op: mail.SetFlags, Flags: mail.NewFlags(mail.Seen, "x")},
		`-flags.silent ()`:                   {Op: mail.RemoveFlags, Silent: true},
		`(UNCHANGEDSINCE 0 FOO (a (b "c"))) FLAGS ()`: {Op: mail.SetFlags, HasUnchangedSince: true, Other: []Param{{
			Name: "FOO", Value: &Value{IsList: true, List: []Value{{Text: "a"},
				{IsList: true, List: []Value{{Text: "b"}, {Text: "c", Quoted: true}}}}}}}},
	} {
		r := reader("a STORE 1 " + args + "\r\n")
		cmd, _ := r.Command()
		got, ok := readArgs(r, cmd.Name)
		want.Set = mail.NumSet{Ranges: []mail.NumRange{{From: 1, To: 1}}}
		if !ok || !reflect.DeepEqual(got, &want) {
			t.Errorf("%s: %+v, %v, want %+v", args, got, r.Err(), want)
		}
	}
}

// Too many and too long flags are beyond a limit, not beyond the grammar.
func TestFlagLimits(t *testing.T) {
	for flags, fine := range map[string]bool{
		strings.Repeat("x", MaxKeyword):                                     true,
		strings.Repeat("x", MaxKeyword+1):                                   false,
		"(" + strings.Repeat("x ", MaxFlagsInList-1) + `\Seen)`:             true,
		"(" + strings.Repeat("x ", MaxFlagsInList) + `\Seen)`:               false,
		"(" + strings.Repeat(`\Seen `, MaxFlagsInList) + `\Flagged \Draft)`: false,
	} {
		_, _, r, err := readOne("a STORE 1 FLAGS "+flags+"\r\nb NOOP\r\n", LoggedIn(1000))
		if fine && err != nil || !fine && mail.KindOf(err) != mail.Limit {
			t.Errorf("%.40s: %v", flags, err)
		}
		if cmd, err := r.Command(); err != nil || cmd.Tag != "b" {
			t.Errorf("%.40s: then %+v %v", flags, cmd, err)
		}
	}
}

func TestDateTime(t *testing.T) {
	pdt := time.FixedZone("", -7*3600)
	for text, want := range map[string]time.Time{
		"17-Jul-1996 02:44:25 -0700": time.Date(1996, 7, 17, 2, 44, 25, 0, pdt),
		" 1-Feb-2000 00:00:00 +0000": time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC),
		"29-Feb-2000 23:59:59 +1345": time.Date(2000, 2, 29, 23, 59, 59, 0, time.FixedZone("", 13*3600+45*60)),
		"31-Dec-9999 23:59:59 +0000": time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		" 1-Jan-0000 00:00:00 +0000": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		d, ok := ParseDateTime([]byte(text))
		if !ok || !d.Time().Equal(want) {
			t.Errorf("%s: %v, %v", text, d.Time(), ok)
		}
		if got := string(AppendDateTime(nil, d)); got != `"`+text+`"` {
			t.Errorf("%s is written %s", text, got)
		}
	}
	if d, ok := ParseDateTime([]byte("1-feb-2000 00:00:00 -0000")); !ok || d.Unix() != 949363200 {
		t.Errorf("a day of one digit: %v %v", d, ok)
	}
	// Years the grammar cannot say are shown as the nearest it can.
	for year, want := range map[int]string{
		10000: `"31-Dec-9999 23:59:59 +0000"`, 1 << 20: `"31-Dec-9999 23:59:59 +0000"`, -1: `" 1-Jan-0000 00:00:00 +0000"`,
	} {
		d := mail.NewInternalDate(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		if got := string(AppendDateTime(nil, d)); got != want {
			t.Errorf("year %d is written %s", year, got)
		}
	}
}

func TestNumSet(t *testing.T) {
	for text, want := range map[string][]mail.NumRange{
		"1":                              {{From: 1, To: 1}},
		"*":                              {{From: mail.Star, To: mail.Star}},
		"4:2":                            {{From: 2, To: 4}},
		"*:4":                            {{From: mail.Star, To: 4}},
		"3291:*":                         {{From: 3291, To: mail.Star}},
		"2,4:7,9,12:*":                   {{From: 2, To: 2}, {From: 4, To: 7}, {From: 9, To: 9}, {From: 12, To: mail.Star}},
		"1,2,3,2:5,5":                    {{From: 1, To: 5}},
		"1:4294967295,4294967295":        {{From: 1, To: 1<<32 - 1}},
		"5,1":                            {{From: 5, To: 5}, {From: 1, To: 1}},
		strings.Repeat("1,", 1000) + "1": {{From: 1, To: 1}},
	} {
		set, ok := ParseNumSet([]byte(text))
		if !ok || set.Saved || !reflect.DeepEqual(set.Ranges, want) {
			t.Errorf("%.40s: %v, %v", text, set.Ranges, ok)
		}
	}
	if set, ok := ParseNumSet([]byte("$")); !ok || !set.Saved {
		t.Error("$ is not the saved result")
	}
}

// FuzzSeqSet compares a set with one that is read number by number.
func FuzzSeqSet(f *testing.F) {
	for _, s := range []string{"1", "2,4:7,9,12:*", "*:4,5:7", "4294967295:*", "$", "7:3,*,1,1,1", "0", "1:"} {
		f.Add(s, byte(10))
	}
	f.Fuzz(func(t *testing.T, text string, highest byte) {
		set, ok := ParseNumSet([]byte(text))
		if !ok || set.Saved || highest == 0 {
			return
		}
		want := map[uint32]bool{}
		for element := range strings.SplitSeq(text, ",") {
			from, to, isRange := strings.Cut(element, ":")
			if !isRange {
				to = from
			}
			ends := [2]uint64{}
			for i, s := range []string{from, to} {
				if ends[i] = uint64(highest); s != "*" {
					n, err := strconv.ParseUint(s, 10, 32)
					if err != nil {
						t.Fatalf("%q: %v", text, err)
					}
					ends[i] = n
				}
			}
			for n := min(ends[0], ends[1]); n <= max(ends[0], ends[1]) && n < 300; n++ {
				want[uint32(n)] = true
			}
		}
		for n := range uint32(300) {
			in := false
			for _, r := range set.Ranges {
				first, last := r.Bounds(uint32(highest))
				in = in || first <= n && n <= last
			}
			if in != want[n] {
				t.Fatalf("%q with %d messages: %d is in it: %v", text, highest, n, in)
			}
		}
		if len(set.Ranges) > strings.Count(text, ",")+1 {
			t.Fatalf("%q: %d ranges", text, len(set.Ranges))
		}
	})
}

func FuzzFetchAtt(f *testing.F) {
	for _, s := range []string{"ALL", "(UID BODY.PEEK[1.HEADER.FIELDS (a \"b\")]<0.5>)", "BINARY[1]<2.3>", "(PREVIEW (LAZY))",
		"(BODY BODY[] BODYSTRUCTURE BINARY.SIZE[2])", "BODY[1.2.3.MIME]", "BODY[HEADER.FIELDS.NOT (NIL \"\\\\\")]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := reader("a FETCH 1 " + text + "\r\n")
		if cmd, err := r.Command(); err != nil || cmd.Name != "FETCH" {
			return
		}
		var a FetchArgs
		if !r.ExpectFetchArgs(&a) {
			return
		}
		// The items written as a client writes them are read as the same items.
		again := []byte("a FETCH 1 (")
		names := map[string]bool{}
		for i, item := range a.Items {
			if i > 0 {
				again = append(again, ' ')
			}
			name := string(item.AppendName(nil))
			count := ""
			if item.Partial {
				var ok bool
				name, ok = strings.CutSuffix(name, ">")
				count = "." + string(appendUint(nil, uint64(item.Count))) + ">"
				if !ok {
					t.Fatalf("%q has no offset", name)
				}
			}
			if names[name+count] {
				t.Fatalf("%s is asked for twice in %q", name, text)
			}
			names[name+count] = true
			if item.Peek && item.Kind != FetchRFC822Header {
				end := strings.IndexByte(name+"[", '[')
				name = name[:end] + ".PEEK" + name[end:]
			}
			if again = append(again, name+count...); item.Lazy {
				again = append(again, " (LAZY)"...)
			}
		}
		r = reader(string(again) + ")\r\n")
		var b FetchArgs
		if _, err := r.Command(); err != nil || !r.ExpectFetchArgs(&b) {
			t.Fatalf("%q: %q: %v", text, again, r.Err())
		}
		if !reflect.DeepEqual(a.Items, b.Items) {
			t.Fatalf("%q: %+v\n%q: %+v", text, a.Items, again, b.Items)
		}
	})
}

func FuzzAppendArgs(f *testing.F) {
	for _, s := range []string{"x {3+}\r\nabc\r\n", "x (\\Seen a) \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\n\x00\r\n",
		"x UTF8 (~{1+}\r\na)\r\n", "x CATENATE (URL /x/;uid=1 TEXT {1+}\r\na UTF8 (~{1+}\r\nb)) {1+}\r\nc\r\n", "INBOX ANNOTATION (/c (value.priv x)) {0+}\r\n {1+}\r\na\r\n", "{1+}\r\nx {2+}\r\nab\r\n"} {
		f.Add(s, byte(1))
	}
	f.Fuzz(func(t *testing.T, args string, size byte) {
		args = " " + args
		asked := false
		r := NewReader(newBuffered("a APPEND"+args, size), LoggedIn(100), func() error { asked = true; return nil })
		if cmd, err := r.Command(); err != nil || cmd.Name != "APPEND" {
			return
		}
		text, ok := readAppend(r)
		if !ok {
			return
		}
		// Read without looking at the messages, the command ends at the same place.
		q := NewReader(newBuffered("a APPEND"+args, 255), LoggedIn(100), nil)
		if _, err := q.Command(); err != nil {
			t.Fatal(err)
		}
		var name string
		var m AppendMessage
		if !q.ExpectAppendMailbox(&name) || !q.ExpectAppendMessage(&m) {
			t.Fatalf("%q: %v, but first %v", args, q.Err(), text)
		}
		var p Part
		if m.Catenate && !q.ExpectPart(&p) {
			t.Fatalf("%q: %v, but first %v", args, q.Err(), text)
		}
		m.Literal.Size += p.Literal.Size
		if m.Literal.Size > 100 {
			t.Fatalf("%q: a message of %d octets", args, m.Literal.Size)
		}
		if asked {
			return // a client that waits is told not to send
		}
		if err := q.End(); err != nil {
			t.Fatal(err)
		}
		a, errA := r.Command()
		b, errB := q.Command()
		if a != b || (errA == nil) != (errB == nil) {
			t.Fatalf("%q: then %v %v or %v %v", args, a, errA, b, errB)
		}
	})
}
