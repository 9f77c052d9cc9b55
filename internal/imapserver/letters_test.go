package imapserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"

	"postern/internal/account"
	"postern/internal/mail"
)

// letter is a message as its sender means it. What is stored is written in whatever
// encodings chance takes; the reference below looks at what is here.
type letter struct {
	from, to, cc person
	base         string // subject, without what replies put around it
	subject      string
	body         string
	note         string // X-Note, "" for none
	sent         time.Time
	arrived      time.Time
	flags        mail.Flags
	size         int

	talk    int // conversation
	id      string
	parent  *letter
	present bool
	seq     int
}

type person struct{ name, local, host string }

func (p person) mailbox() string { return p.local + "@" + p.host }

// display is the value that DISPLAYFROM and DISPLAYTO compare (RFC 5957 3).
func (p person) display() string {
	if p.name == "" && p.local != "" {
		return p.mailbox()
	}
	return p.name
}

// talkWords occur in no name, address or field that is not drawn from them.
var talkWords = []string{"garden", "Köln", "жнец", "Übung", "naïve", "zürich", "Жуковка", "wombat", "日本語", "façade", "Ελλάδα",
	"kumquat", "smørrebrød", "QUAGGA", "żółw", "yurt", "vexillum"}

var people = []person{{"", "ann", "example.org"}, {"Bob Bell", "bob", "example.org"}, {"Jörg Müller", "jm", "example.net"},
	{"Ελένη", "eleni", "example.gr"}, {"Zoë", "zoe", "example.com"}, {"ann", "carl", "example.com"}, {"", "Dora", "example.org"},
	{"Ван Дер Ваальс", "vdw", "example.nl"}}

// letters draws so many letters, in conversations.
func letters(r *rand.Rand, count int) (all []*letter) {
	some := func(n int) string {
		words := make([]string, n)
		for i := range words {
			words[i] = talkWords[r.IntN(len(talkWords))]
			if r.IntN(20) == 0 {
				words[i] = strings.ToUpper(words[i])
			}
		}
		return strings.Join(words, " ")
	}
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	zone := func() *time.Location { return time.FixedZone("", (r.IntN(26)-12)*3600) }
	var last []*letter // of the present conversation
	for len(all) < count {
		l := &letter{from: people[r.IntN(len(people))], to: people[r.IntN(len(people))], body: some(3 + r.IntN(20)), present: r.IntN(10) > 0}
		if len(last) == 0 || r.IntN(5) == 0 {
			last = nil
			l.base = fmt.Sprintf("%s %d", some(1+r.IntN(3)), len(all))
			l.subject = l.base
			l.sent = begin.Add(time.Duration(r.IntN(600*24*3600)) * time.Second)
			l.talk = len(all)
		} else {
			l.parent = last[r.IntN(len(last))]
			l.base, l.talk = l.parent.base, l.parent.talk
			l.subject = []string{"Re: ", "RE: ", "Fwd: ", "Re: [list] ", "re[2]: "}[r.IntN(5)] + l.base
			l.sent = l.parent.sent.Add(time.Duration(1+r.IntN(100_000)) * time.Second)
		}
		l.sent = l.sent.In(zone())
		l.arrived = l.sent.Add(time.Duration(r.IntN(3*24*3600)) * time.Second).In(zone())
		l.id = fmt.Sprintf("%d@x.example", len(all)+len(last)*1_000_000+r.IntN(100)*100_000_000)
		if r.IntN(3) == 0 {
			l.cc = people[r.IntN(len(people))]
		}
		if r.IntN(4) == 0 {
			l.note = some(1)
		}
		var keywords []string
		if r.IntN(3) == 0 {
			keywords = []string{"$Work"}
		}
		l.flags = mail.NewFlags(mail.SystemFlags(r.IntN(int(mail.AllSystem)+1)), keywords...)
		last = append(last, l)
		if l.present {
			all = append(all, l)
		}
	}
	for i, l := range all {
		l.seq = i + 1
	}
	return all
}

// encoded is a header value in one of the ways people's programs write them.
func encoded(r *rand.Rand, text string) string {
	if latin, err := charmap.ISO8859_1.NewEncoder().String(text); err == nil && r.IntN(2) == 0 {
		return mime.QEncoding.Encode("iso-8859-1", latin)
	}
	if r.IntN(2) == 0 {
		return mime.BEncoding.Encode("utf-8", text)
	}
	return mime.QEncoding.Encode("utf-8", text)
}

func (l *letter) write(r *rand.Rand) string {
	var b strings.Builder
	field := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	address := func(name string, p person) {
		switch {
		case p.local == "":
		case p.name == "":
			field(name, p.mailbox())
		case r.IntN(2) == 0 && strings.Trim(p.name, "abcdefghijklmnopqrstuvwxyzB ") == "":
			field(name, `"`+p.name+`" <`+p.mailbox()+">")
		default:
			field(name, encoded(r, p.name)+" <"+p.mailbox()+">")
		}
	}
	field("Date", l.sent.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	address("From", l.from)
	address("To", l.to)
	address("Cc", l.cc)
	field("Subject", encoded(r, l.subject))
	field("Message-ID", "<"+l.id+">")
	var references []string
	for p := l.parent; p != nil; p = p.parent {
		references = append([]string{"<" + p.id + ">"}, references...)
	}
	if len(references) > 0 {
		field("References", strings.Join(references, "\r\n "))
	}
	if l.note != "" {
		field("X-Note", encoded(r, l.note))
	}
	field("MIME-Version", "1.0")
	part := func() {
		charset, text := "utf-8", l.body
		if latin, err := charmap.ISO8859_1.NewEncoder().String(text); err == nil {
			charset, text = "iso-8859-1", latin
		} else if koi8, err := charmap.KOI8R.NewEncoder().String(text); err == nil {
			charset, text = "koi8-r", koi8
		}
		field("Content-Type", "text/plain; charset="+charset)
		switch r.IntN(3) {
		case 0:
			field("Content-Transfer-Encoding", "base64")
			b.WriteString("\r\n" + base64.StdEncoding.EncodeToString([]byte(text)))
		case 1:
			field("Content-Transfer-Encoding", "quoted-printable")
			b.WriteString("\r\n")
			w := quotedprintable.NewWriter(&b)
			_, _ = w.Write([]byte(text)) // into memory
			_ = w.Close()
		default:
			field("Content-Transfer-Encoding", "8bit")
			b.WriteString("\r\n" + text)
		}
	}
	if r.IntN(3) > 0 {
		part()
	} else {
		b.WriteString("Content-Type: multipart/mixed; boundary=1234567\r\n\r\n--1234567\r\n")
		part()
		b.WriteString("\r\n--1234567\r\nContent-Type: image/png\r\n\r\ngarden Köln\r\n--1234567--\r\n") // no text
	}
	l.size = b.Len()
	return b.String()
}

// appendLetters puts them into ada's INBOX.
func (w *world) appendLetters(r *rand.Rand, all []*letter) {
	w.t.Helper()
	ctx := context.Background()
	acc, err := w.pool.Open(ctx, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	defer acc.Release()
	inbox, err := acc.Mailbox(mail.Inbox, mail.RightInsert)
	if err != nil {
		w.t.Fatal(err)
	}
	for chunk := range slices.Chunk(all, 500) {
		var batch []account.NewMessage
		for _, l := range chunk {
			content, err := w.pool.Keep(ctx, strings.NewReader(l.write(r)))
			if err != nil {
				w.t.Fatal(err)
			}
			defer content.Abandon(ctx)
			batch = append(batch, account.NewMessage{Content: content, Flags: l.flags, Date: mail.NewInternalDate(l.arrived)})
		}
		if _, err := inbox.Append(ctx, batch); err != nil {
			w.t.Fatal(err)
		}
	}
}
