package message

import (
	"net/mail"
	"reflect"
	"strings"
	"testing"
)

func mbox(name, mailbox, host string) Address {
	return Address{Name: name, Mailbox: mailbox, Host: host}
}

func group(name string, members ...Address) []Address {
	list := append([]Address{{Kind: GroupStart, Mailbox: name}}, members...)
	return append(list, Address{Kind: GroupEnd})
}

func TestAddressList(t *testing.T) {
	tests := []struct {
		in   string
		want []Address
	}{
		{"", nil},
		{" , ,", nil},
		{"(only a comment)", nil},
		{"a@b", []Address{mbox("", "a", "b")}},
		{"<a@b>", []Address{mbox("", "a", "b")}},
		{"Ann <a@b>", []Address{mbox("Ann", "a", "b")}},
		{`"Ann \"the\\ \" O." <a@b>`, []Address{mbox(`Ann "the\ " O.`, "a", "b")}},
		{`"two  spaces" and   more <a@b>`, []Address{mbox("two  spaces and more", "a", "b")}},
		{"J. R. Doe <j@d>", []Address{mbox("J. R. Doe", "j", "d")}},
		{"a@b,,c@d,", []Address{mbox("", "a", "b"), mbox("", "c", "d")}},
		{"user@dom (Real Name)", []Address{mbox("Real Name", "user", "dom")}},
		{`(first) user@dom (Real \) (n) Name)`, []Address{mbox("Real ) (n) Name", "user", "dom")}},
		{"John (the) Doe <a@b>", []Address{mbox("John Doe", "a", "b")}},
		{"<a@b> (Name)", []Address{mbox("Name", "a", "b")}},
		{`"a b"@x`, []Address{mbox("", "a b", "x")}},
		{`""@x`, []Address{mbox("", "", "x")}},
		{`a . b (c) @ d . e`, []Address{mbox("c", "a.b", "d.e")}},
		{`<a . b @ d . e>`, []Address{mbox("", "a.b", "d.e")}},
		{"<@r1,@r2:u@d>", []Address{{ADL: "@r1,@r2", Mailbox: "u", Host: "d"}}},
		{"N <@r1:u@d>", []Address{{Name: "N", ADL: "@r1", Mailbox: "u", Host: "d"}}},
		{"a@[127.0.0.1]", []Address{mbox("", "a", "[127.0.0.1]")}},
		{"a@[IPv6:2001:db8::1], b@c", []Address{mbox("", "a", "[IPv6:2001:db8::1]"), mbox("", "b", "c")}},
		{"a@[unclosed, b@c", []Address{mbox("", "a", "[unclosed"), mbox("", "b", "c")}},

		// Groups.
		{"g: a@b, c@d;", group("g", mbox("", "a", "b"), mbox("", "c", "d"))},
		{"undisclosed-recipients:;", group("undisclosed-recipients")},
		{"undisclosed recipients: ;", group("undisclosed recipients")},
		{`"A Group":Ed <e@x>, j@y;, z@w`, append(group("A Group", mbox("Ed", "e", "x"), mbox("", "j", "y")), mbox("", "z", "w"))},
		{"g: a@b", group("g", mbox("", "a", "b"))},
		{"a:b:c@d;;", group("a", mbox("", "c", "d"))},
		{"a:;", group("a")},
		{";", nil},
		{": a@b;", []Address{mbox("", "a", "b")}},

		// No domain, nothing, or too much.
		{"root", []Address{mbox("", "root", "")}},
		{"root (Charlie)", []Address{mbox("Charlie", "root", "")}},
		{"John Doe", []Address{mbox("John Doe", "", "")}},
		{"<>", []Address{mbox("", "", "")}},
		{"Name <>", []Address{mbox("Name", "", "")}},
		{"@", []Address{mbox("", "", "")}},
		{"a@", []Address{mbox("", "a", "")}},
		{"<@b>", []Address{mbox("", "", "b")}},
		{"<a@b", []Address{mbox("", "a", "b")}},
		{"<a@b, c@d", []Address{mbox("", "a", "b"), mbox("", "c", "d")}},
		{"<a@b> c@d, e@f", []Address{mbox("", "a", "b"), mbox("", "e", "f")}},
		{"<a@b> N <c@d>", []Address{mbox("", "a", "b"), mbox("N", "c", "d")}},
		{"<a@b@c>", []Address{mbox("", "a@b", "c")}},
		{"John Doe j.d@x", []Address{mbox("John Doe", "j.d", "x")}},
		{"a@b; c@d", []Address{mbox("", "a", "b"), mbox("", "c", "d")}},
		{`"open a@b, c@d`, []Address{mbox("", "open a@b, c@d", "")}},
		{`x (open \`, []Address{mbox(`open \`, "x", "")}},
		{"=?utf-8?q?J=C3=B6rg?= <j@x>", []Address{mbox("=?utf-8?q?J=C3=B6rg?=", "j", "x")}},
		{"J\xf6rg <j@x>", []Address{mbox("J\xf6rg", "j", "x")}},
	}
	for _, test := range tests {
		if got := ParseAddressList(test.in); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", test.in, got, test.want)
		}
	}
}

// Whoever the standard library says is the sender must be the one shown here:
// two readings of one From are how people are deceived.
func TestAddressesAgreeWithNetMail(t *testing.T) {
	names := []string{"", "Ann ", `"Ann" `, `"a@evil, b" `, `"x\" <y@z>" `, "(c) ", "A. B. ", `Ann (x <y@z>) `, `"(" `}
	locals := []string{"a", "a.b", `"a b"`, `"a\"b"`, `"a@b"`, `"<x>"`, "a+b=c"}
	hosts := []string{"b", "b.example", "[127.0.0.1]"}
	for _, n := range names {
		for _, l := range locals {
			for _, h := range hosts {
				in := n + "<" + l + "@" + h + ">"
				want, err := mail.ParseAddress(in)
				if err != nil {
					continue
				}
				got := ParseAddressList(in)
				if len(got) != 1 || got[0].Mailbox+"@"+got[0].Host != want.Address {
					t.Errorf("%q: %+v, want %q", in, got, want.Address)
				}
			}
		}
	}
}

func TestEnvelope(t *testing.T) {
	sum, _ := parse(t, `DATE :  Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
Subject: one
Subject: two
  lines	here
From: A <a@x>
Sender:
from: b@y
To:
Cc: undisclosed-recipients:;
In-Reply-To:
References: <1@x>
 <2@x>

body
`)
	from := []Address{mbox("A", "a", "x"), mbox("", "b", "y")}
	want := Envelope{
		Date:      Text{"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", true},
		Subject:   Text{"two  lines\there", true},
		From:      from,
		Sender:    from,
		ReplyTo:   from,
		Cc:        group("undisclosed-recipients"),
		InReplyTo: Text{"", true},
	}
	if !reflect.DeepEqual(sum.Envelope, want) {
		t.Errorf("got  %+v\nwant %+v", sum.Envelope, want)
	}
	if want := (Text{"<1@x> <2@x>", true}); sum.References != want {
		t.Errorf("References %+v, want %+v", sum.References, want)
	}
	if got := sum.SentDate.Format("2006-01-02 15:04:05 -0700"); got != "1996-07-17 02:23:25 -0700" {
		t.Errorf("SentDate %s", got)
	}
}

func TestEnvelopeRawBytes(t *testing.T) {
	sum, _ := parse(t, "Subject: =?utf-8?q?x?= \xe4\rb\x00 \n\t\nMessage-ID:\n\n")
	if want := (Text{"=?utf-8?q?x?= \xe4\rb\uFFFD", true}); sum.Envelope.Subject != want {
		t.Errorf("Subject %+q, want %+q", sum.Envelope.Subject.Value, want.Value)
	}
	if want := (Text{"", true}); sum.Envelope.MessageID != want {
		t.Errorf("Message-ID %+v, want present and empty", sum.Envelope.MessageID)
	}
	if sum.Envelope.Date.Present || sum.Envelope.From != nil || sum.Envelope.Sender != nil {
		t.Errorf("absent fields are there: %+v", sum.Envelope)
	}
}

// MIME fields say something of a part, message fields of a message only.
func TestNestedEnvelope(t *testing.T) {
	sum, _ := parse(t, `From: out@x
Content-Type: multipart/mixed; boundary=b

--b
Subject: not a message

--b
Content-Type: message/global

From: in@x
Subject: inner

--b--
`)
	in := sum.Root.Parts[1].Envelope
	if in == nil || in.Subject.Value != "inner" || len(in.Sender) != 1 || in.Sender[0].Mailbox != "in" {
		t.Errorf("inner envelope %+v", in)
	}
	if sum.Envelope.Subject.Present || sum.Root.Parts[0].Envelope != nil {
		t.Errorf("outer envelope %+v", sum.Envelope)
	}
}

func TestAddressLimit(t *testing.T) {
	for _, n := range []int{MaxAddresses - 1, MaxAddresses, MaxAddresses + 1} {
		list, cut := parseAddressList(strings.Repeat("a@b,", n), MaxAddresses)
		if want := min(n, MaxAddresses); len(list) != want || cut != (n > MaxAddresses) {
			t.Errorf("%d addresses: %d kept, cut %v", n, len(list), cut)
		}
	}
	list, _ := parseAddressList("g:"+strings.Repeat("a@b,", MaxAddresses), MaxAddresses)
	if last := list[len(list)-1]; last.Kind != GroupEnd {
		t.Errorf("a group cut short ends with %+v", last)
	}
}

// One element of a million words is kept within maxWords of them.
func TestAddressWords(t *testing.T) {
	list, cut := parseAddressList(strings.Repeat(".", 1<<20)+", a@b", MaxAddresses)
	if len(list) != 2 || len(list[0].Mailbox) != maxWords || list[1] != mbox("", "a", "b") || !cut {
		t.Errorf("%d addresses, cut %v", len(list), cut)
	}
}
