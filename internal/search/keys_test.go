package search

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/message"
)

// stored is a Source that counts what it is asked for.
type stored struct {
	raw               string
	summaries, bodies int
	err               error
	thread            mail.ThreadID
}

func (s *stored) Summary(context.Context) (*message.Summary, error) {
	s.summaries++
	if s.err != nil {
		return nil, s.err
	}
	return message.Parse(strings.NewReader(s.raw), int64(len(s.raw)))
}

func (s *stored) Thread(context.Context) (mail.ThreadID, error) { return s.thread, nil }

func (s *stored) Body(context.Context) (io.ReaderAt, error) {
	s.bodies++
	return strings.NewReader(s.raw), s.err
}

// crlf writes a message with line ends as they are in mail.
func crlf(s string) string { return strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n") }

func day(year, month, d int) mail.CivilDate { return mail.CivilDate{Year: year, Month: month, Day: d} }

func at(s string) mail.InternalDate {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return mail.NewInternalDate(t)
}

// The mailbox of the table: UIDs 10, 20, 30 and 40.
var mailbox = []struct {
	row Row
	raw string
}{
	{
		Row{Message: mail.Message{
			UID: 10, ModSeq: 100, Size: 1000, Flags: mail.NewFlags(mail.Seen|mail.Answered, "$Junk", "Work"),
			// 31 January where it arrived, 1 February in UTC.
			Date: at("1994-01-31T23:30:00-05:00"), Saved: 760_147_200, // 1994-02-02T00:00:00Z
		}},
		crlf(`
From: "Smith, John" <john@example.com> (the other one)
To: Ann <ann@example.org>, Bob <bob@example.org>
Cc: team: c1@example.net, c2@example.net;
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?q?_aus_?=
 =?iso-8859-1?q?K=F6ln?=
Date: Wed, 2 Feb 1994 00:30:00 +1200
Message-ID: <one@example.com>
X-Empty:
X-Folded: first
 second

The quick brown fox.
`),
	},
	{
		Row{Message: mail.Message{
			UID: 20, ModSeq: 200, Size: 2000, Flags: mail.NewFlags(mail.Flagged | mail.Deleted),
			Date: at("1994-02-01T12:00:00+00:00"), Saved: 760_147_199,
		}, Recent: true},
		crlf(`
From: Andre Smithson <as@example.com>
To: undisclosed-recipients:;
Bcc: hidden@example.org
Subject: parts
Date: not a date
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

preamble word
--b
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64

79TQ1dPL
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Description: marked up

<p>caf=C3=A9 soft=
ware</p>
--b
Content-Type: application/pdf; name="=?utf-8?q?r=C3=A9sum=C3=A9.pdf?="
Content-Transfer-Encoding: base64

c2VjcmV0IHdvcmQ=
--b
Content-Type: message/rfc822

From: inner@example.net
Subject: nested subject

nested body
--b--
`),
	},
	{
		Row{Message: mail.Message{
			UID: 30, ModSeq: 300, Size: 3000, Flags: mail.NewFlags(mail.Seen|mail.Draft, "work"),
			Date: at("1994-02-02T00:00:00+00:00"), Saved: 760_233_600,
		}, Recent: true},
		crlf(`
Subject:
Bcc:
Content-Type: message/delivery-status

fox
brown
`) + "ende\u0301", // an accent is the last there is
	},
	{
		Row{Message: mail.Message{UID: 40, ModSeq: 400, Size: 4000, Date: at("1994-02-01T00:00:00+14:00")}},
		"Subject: no date, no end\r\nDate: Tue, 1 Feb 94 23:59 EST\r\n",
	},
}

func resolve(set mail.NumSet, byUID bool) (mail.UIDSet, error) {
	if set.Saved {
		return mail.NewUIDSet(20, 40), nil
	}
	var out mail.UIDSet
	for i, m := range mailbox {
		n := uint32(i + 1)
		if byUID {
			n = uint32(m.row.UID)
		}
		for _, r := range set.Ranges {
			if first, last := r.Bounds(40); first <= n && n <= last {
				out = out.Append(m.row.UID)
				break
			}
		}
	}
	if !byUID && slices.ContainsFunc(set.Ranges, func(r mail.NumRange) bool { return r.From > 4 }) {
		return nil, mail.Errorf(mail.Invalid, "no such message")
	}
	return out, nil
}

var env = Env{Resolve: resolve, Now: time.Date(1994, 2, 2, 0, 0, 0, 0, time.UTC)}

type criteria = mail.Criteria

func all(c ...criteria) criteria     { return criteria{Op: mail.SearchAnd, Children: c} }
func either(c ...criteria) criteria  { return criteria{Op: mail.SearchOr, Children: c} }
func not(c criteria) criteria        { return criteria{Op: mail.SearchNot, Children: []criteria{c}} }
func only(op mail.SearchOp) criteria { return criteria{Op: op} }
func text(s string) criteria         { return criteria{Op: mail.SearchText, Text: s} }
func body(s string) criteria         { return criteria{Op: mail.SearchBody, Text: s} }

func flag(f mail.SystemFlags) criteria {
	return criteria{Op: mail.SearchFlag, Flags: mail.Flags{System: f}}
}

func unflag(f mail.SystemFlags) criteria {
	return criteria{Op: mail.SearchFlag, Flags: mail.Flags{System: f}, Without: true}
}

func keyword(k string, without bool) criteria {
	return criteria{Op: mail.SearchFlag, Flags: mail.Flags{Keywords: []string{k}}, Without: without}
}

func header(field, s string) criteria {
	return criteria{Op: mail.SearchHeader, Field: field, Text: s}
}

func dated(op mail.SearchOp, d mail.CivilDate) criteria { return criteria{Op: op, Date: d} }

func counted(op mail.SearchOp, n uint64) criteria { return criteria{Op: op, Number: n} }

func numbered(op mail.SearchOp, ends ...uint32) criteria {
	var s mail.NumSet
	for i := 0; i+1 < len(ends); i += 2 {
		s.Ranges = append(s.Ranges, mail.NumRange{From: ends[i], To: ends[i+1]})
	}
	return criteria{Op: op, Set: s}
}

func saved(how uint64, d mail.CivilDate) criteria {
	return criteria{Op: mail.SearchSaved, Number: how, Date: d}
}

// Each key of RFC 9051 6.4.4 and of RFC 3501 6.4.4, and those of RFC 5032, 7162
// and 8514 that mail.Criteria has. The expected values are read off the messages
// above by what the RFC says of the key.
func TestKeys(t *testing.T) {
	none := []mail.UID{}
	every := []mail.UID{10, 20, 30, 40}
	tests := []struct {
		name string
		c    criteria
		want []mail.UID
	}{
		{"ALL", all(), every},
		{"sequence set", numbered(mail.SearchSeq, 2, 3), []mail.UID{20, 30}},
		{"UID", numbered(mail.SearchUID, 10, 25, 40, mail.Star), []mail.UID{10, 20, 40}},
		{"UID of nobody", numbered(mail.SearchUID, 11, 12), none},
		{"NOT UID of nobody", not(numbered(mail.SearchUID, 11, 12)), every},
		{"$", criteria{Op: mail.SearchUID, Set: mail.NumSet{Saved: true}}, []mail.UID{20, 40}},
		{"ANSWERED", flag(mail.Answered), []mail.UID{10}},
		{"UNANSWERED", unflag(mail.Answered), []mail.UID{20, 30, 40}},
		{"DELETED", flag(mail.Deleted), []mail.UID{20}},
		{"UNDELETED", unflag(mail.Deleted), []mail.UID{10, 30, 40}},
		{"DRAFT", flag(mail.Draft), []mail.UID{30}},
		{"UNDRAFT", unflag(mail.Draft), []mail.UID{10, 20, 40}},
		{"FLAGGED", flag(mail.Flagged), []mail.UID{20}},
		{"UNFLAGGED", unflag(mail.Flagged), []mail.UID{10, 30, 40}},
		{"SEEN", flag(mail.Seen), []mail.UID{10, 30}},
		{"UNSEEN", unflag(mail.Seen), []mail.UID{20, 40}},
		{"KEYWORD", keyword("WORK", false), []mail.UID{10, 30}},
		{"KEYWORD of nobody", keyword("Wor", false), none},
		{"UNKEYWORD", keyword("$junk", true), []mail.UID{20, 30, 40}},
		{"RECENT", only(mail.SearchRecent), []mail.UID{20, 30}},
		{"NEW", only(mail.SearchNew), []mail.UID{20}},
		{"OLD", only(mail.SearchOld), []mail.UID{10, 40}},

		{"BEFORE", dated(mail.SearchBefore, day(1994, 2, 1)), []mail.UID{10}},
		{"ON", dated(mail.SearchOn, day(1994, 2, 1)), []mail.UID{20, 40}},
		{"SINCE", dated(mail.SearchSince, day(1994, 2, 1)), []mail.UID{20, 30, 40}},
		{"BEFORE a day no month has", dated(mail.SearchBefore, day(1994, 1, 32)), []mail.UID{10}},
		{"SENTBEFORE", dated(mail.SearchSentBefore, day(1994, 2, 2)), []mail.UID{40}},
		{"SENTON", dated(mail.SearchSentOn, day(1994, 2, 2)), []mail.UID{10}},
		{"SENTSINCE", dated(mail.SearchSentSince, day(1994, 2, 1)), []mail.UID{10, 40}},
		{"NOT SENTSINCE", not(dated(mail.SearchSentSince, day(1, 1, 1))), []mail.UID{20, 30}},
		{"SAVEDBEFORE", saved(0, day(1994, 2, 2)), []mail.UID{20, 40}},
		{"SAVEDON", saved(1, day(1994, 2, 2)), []mail.UID{10}},
		{"SAVEDSINCE", saved(2, day(1994, 2, 2)), []mail.UID{10, 30}},
		// The target time of both is 1994-02-01T12:00:00Z, when UID 20 arrived.
		{"OLDER", counted(mail.SearchOlder, 12*3600), []mail.UID{10, 20, 40}},
		{"YOUNGER", counted(mail.SearchYounger, 12*3600), []mail.UID{20, 30}},
		{"YOUNGER than anything", counted(mail.SearchYounger, 1<<64-1), every},
		{"OLDER than anything", counted(mail.SearchOlder, 1<<64-1), none},
		{"LARGER", counted(mail.SearchLarger, 2000), []mail.UID{30, 40}},
		{"SMALLER", counted(mail.SearchSmaller, 2000), []mail.UID{10}},
		{"LARGER than 4 GiB", counted(mail.SearchLarger, 1<<40), none},
		{"MODSEQ", counted(mail.SearchModSeq, 300), []mail.UID{30, 40}},

		{"FROM a name", header("From", "smith"), []mail.UID{10, 20}},
		{"FROM as written", header("From", `"Smith, John" <john`), []mail.UID{10}},
		{"FROM an address", header("FROM", "JOHN@EXAMPLE"), []mail.UID{10}},
		{"FROM of a comment", header("from", "(the other"), []mail.UID{10}},
		{"FROM across name and address", header("from", "Smithson as@"), none},
		{"FROM nested message", header("From", "inner@"), none},
		{"TO", header("To", "bob@example.org"), []mail.UID{10}},
		{"TO a group", header("To", "undisclosed"), []mail.UID{20}},
		{"CC in a group", header("Cc", "c2@example.net"), []mail.UID{10}},
		{"CC as written", header("Cc", "team: c1"), []mail.UID{10}},
		{"BCC", header("Bcc", "HIDDEN"), []mail.UID{20}},
		{"SUBJECT over encoded words", header("Subject", "GRÜßE aus KÖLN"), []mail.UID{10}},
		{"SUBJECT is not searched undecoded", header("Subject", "utf-8"), none},
		{"SUBJECT", header("Subject", "date"), []mail.UID{40}},
		{"SUBJECT empty", header("Subject", ""), every},
		{"HEADER empty: there", header("x-empty", ""), []mail.UID{10}},
		{"HEADER empty: there and not empty", header("Message-ID", ""), []mail.UID{10}},
		{"HEADER empty: addresses", header("To", ""), []mail.UID{10, 20}},
		{"HEADER empty: addresses, none in the field", header("Bcc", ""), []mail.UID{20, 30}},
		{"HEADER empty: absent", header("X-None", ""), none},
		{"HEADER unfolded", header("X-Folded", "first second"), []mail.UID{10}},
		{"HEADER of a MIME part", header("Content-Description", "marked"), none},
		{"HEADER name is not a prefix", header("X-Fold", ""), none},
		{"HEADER Date", header("Date", "not a"), []mail.UID{20}},
		{"HEADER Message-ID", header("Message-Id", "<ONE@"), []mail.UID{10}},
		{"HEADER Content-Type", header("Content-Type", "mixed"), []mail.UID{20}},

		{"BODY", body("QUICK BROWN"), []mail.UID{10}},
		{"BODY across a line end", body("fox\r\nbrown"), []mail.UID{30}},
		{"BODY in koi8-r and base64", body("ОТПУСК"), []mail.UID{20}},
		{"BODY in quoted-printable", body("cafe\u0301 software"), []mail.UID{20}},
		{"BODY is not searched encoded", body("79TQ"), none},
		{"BODY: not in an attachment", body("secret word"), none},
		{"BODY: in a nested message", body("nested body"), []mail.UID{20}},
		{"BODY: no header fields", body("nested subject"), none},
		{"BODY: no field names", body("Subject"), none},
		{"BODY: not across parts", body("отпуск<p>"), none},
		{"BODY to its end", body("NDÉ"), []mail.UID{30}},
		{"BODY of another message type", body("brown\r\nende"), []mail.UID{30}},
		{"BODY empty", body(""), every},
		{"TEXT in the header", text("köln"), []mail.UID{10}},
		{"TEXT in a field's name", text("x-empty:"), []mail.UID{10}},
		{"TEXT in a MIME header", text("marked up"), []mail.UID{20}},
		{"TEXT in a MIME parameter", text("résumé.pdf"), []mail.UID{20}},
		{"TEXT in a nested header", text("nested subject"), []mail.UID{20}},
		{"TEXT in the body", text("fox"), []mail.UID{10, 30}},
		{"TEXT: not across fields", text("second\r\n"), none},
		{"TEXT of nobody", text("string not in mailbox"), none},

		{"AND", all(flag(mail.Seen), only(mail.SearchRecent)), []mail.UID{30}},
		{"OR", either(flag(mail.Answered), flag(mail.Deleted)), []mail.UID{10, 20}},
		{"OR of three", either(flag(mail.Answered), flag(mail.Deleted), flag(mail.Draft)), []mail.UID{10, 20, 30}},
		{"NOT", not(flag(mail.Seen)), []mail.UID{20, 40}},
		{"NOT NOT", not(not(flag(mail.Seen))), []mail.UID{10, 30}},
		{"NOT of a parenthesised list", not(all(flag(mail.Seen), flag(mail.Draft))), []mail.UID{10, 20, 40}},
		{"DELETED FROM Smith SINCE 1-Feb-1994", // the RFC's example
			all(flag(mail.Deleted), header("From", "SMITH"), dated(mail.SearchSince, day(1994, 2, 1))), []mail.UID{20}},
		{"FLAGGED SINCE 1-Feb-1994 NOT FROM Smith", // and its other one
			all(unflag(mail.Flagged), dated(mail.SearchSince, day(1994, 2, 1)), not(header("From", "Smith"))), []mail.UID{30, 40}},
		{"two texts, one message", all(text("fox"), text("köln"), not(body("köln"))), []mail.UID{10}},
		{"OR of texts", either(body("nested"), text("no end")), []mail.UID{20, 40}},
		{"NOT of a text", not(text("fox")), []mail.UID{20, 40}},
		{"a key that cannot match beside one that costs", all(numbered(mail.SearchUID, 11, 12), text("fox")), none},
		{"a key that always matches beside one that costs", either(all(), text("fox")), every},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile(tt.c, env)
			if err != nil {
				t.Fatal(err)
			}
			e := p.Evaluator()
			got, bound := []mail.UID{}, p.Bound(mail.NewUIDSet(10, 20, 30, 40))
			for i := range mailbox {
				m := &mailbox[i]
				ok, err := e.Match(t.Context(), &m.row, &stored{raw: m.raw})
				if err != nil {
					t.Fatal(err)
				}
				if a := p.MatchRow(&m.row); a != Unknown && (a == Yes) != ok {
					t.Errorf("UID %d: MatchRow says %d, Match %t", m.row.UID, a, ok)
				} else if a == Unknown && p.Needs() == (Needs{}) {
					t.Errorf("UID %d: MatchRow does not know, though nothing else is needed", m.row.UID)
				}
				if ok {
					got = append(got, m.row.UID)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if left := mail.NewUIDSet(got...).Subtract(bound); !left.Empty() {
				t.Errorf("Bound %s leaves out %s", bound, left)
			}
		})
	}
}
