package imapwire

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The URLs of RFC 5092 9, RFC 4469 A, RFC 8508 4.2, RFC 4467 and RFC 5550, as far as
// they name messages, and what is between.
func TestParseURL(t *testing.T) {
	token := strings.Repeat("0a", 16)
	for text, want := range map[string]URL{
		"/Drafts;UIDVALIDITY=385759045/;UID=20": {Mailbox: "Drafts", Validity: 385759045, UID: 20},
		"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME": {Mailbox: "Drafts", Validity: 385759045, UID: 20,
			Section: Section{Part: []uint32{1}, Text: SectionMIME}},
		"/Drafts/;UID=3002":         {Mailbox: "Drafts", UID: 3002},
		"/a/b%2Fc/;uid=1":           {Mailbox: "a/b/c", UID: 1},
		"/%C3%A9&%25/;UID=1":        {Mailbox: "é&%", UID: 1},
		"/%2f/;UID=1":               {Mailbox: "/", UID: 1},
		";UID=1":                    {UID: 1},
		";UID=1/;SECTION=TEXT":      {UID: 1, Section: Section{Text: SectionBody}},
		"/x/;UID=1/;PARTIAL=0.1024": {Mailbox: "x", UID: 1, Partial: true, Count: 1024},
		"/x/;UID=1/;PARTIAL=7":      {Mailbox: "x", UID: 1, Partial: true, Offset: 7, Count: math.MaxInt64},
		"/x/;UID=4294967295":        {Mailbox: "x", UID: 1<<32 - 1},
		"/x;uidvalidity=1/;uid=2/;section=HEADER.FIELDS%20(DATE%20%22From%22)/;partial=1.2": {Mailbox: "x", Validity: 1, UID: 2,
			Section: Section{Text: SectionHeaderFields, Fields: []string{"DATE", "From"}}, Partial: true, Offset: 1, Count: 2},
		"imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024": {Absolute: true,
			Host: "minbari.example.org", Mailbox: "gray-council", Validity: 385759045, UID: 20, Partial: true, Count: 1024},
		"imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97/;UID=5": {Absolute: true,
			Host: "psicorp.example.org", Mailbox: "~peter/日本語/台北", UID: 5},
		"imap://;AUTH=GSSAPI@minbari.example.org/x/;uid=20/;section=1.2": {Absolute: true, Auth: "GSSAPI",
			Host: "minbari.example.org", Mailbox: "x", UID: 20, Section: Section{Part: []uint32{1, 2}}},
		"IMAP://ann%40example.org;AUTH=*@[::1]:1143/x/;UID=1": {Absolute: true, User: "ann@example.org", Auth: "*",
			Host: "[::1]:1143", Mailbox: "x", UID: 1},
		"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred": {Absolute: true, User: "joe", Host: "example.com",
			Mailbox: "INBOX", UID: 20, Section: Section{Part: []uint32{1, 2}}, Authorized: &URLAuth{Access: "submit+", User: "fred",
				Rump: "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"}},
		"imap://joe@example.com/INBOX/;uid=20;EXPIRE=2027-01-01T00:00:00z;URLAUTH=AuthUser:INTERNAL:" + token: {Absolute: true,
			User: "joe", Host: "example.com", Mailbox: "INBOX", UID: 20, Authorized: &URLAuth{Access: "authuser",
				Expire: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Mechanism: "INTERNAL", Token: token,
				Rump: "imap://joe@example.com/INBOX/;uid=20;EXPIRE=2027-01-01T00:00:00z;URLAUTH=AuthUser"}},
		"imap://joe@example.com/x/;uid=1/;partial=1.2;urlauth=user+ann%40b:x-y.1:" + token: {Absolute: true,
			User: "joe", Host: "example.com", Mailbox: "x", UID: 1, Partial: true, Offset: 1, Count: 2,
			Authorized: &URLAuth{Access: "user+", User: "ann@b", Mechanism: "x-y.1", Token: token,
				Rump: "imap://joe@example.com/x/;uid=1/;partial=1.2;urlauth=user+ann%40b"}},
	} {
		got, ok := ParseURL(text)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v %+v, want %+v", text, ok, got, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	token := strings.Repeat("0a", 16)
	for _, text := range []string{
		"", "x", "/", "/x", "/x/", "/x/;UID=", "/x/;UID=0", "/x/;UID=4294967296", "/x/;UID=*", "/x/;UID=1:2", "/x;UID=1", "//h/x/;UID=1",
		"/;UID=1", "x/;UID=1", "../x/;UID=1", "/x;UIDVALIDITY=0/;UID=1", "/x;UIDVALIDITY=1;UID=1", "/x;UIDVALIDITY=1", "/x/;UID=1/",
		"/x/;UID=1/;SECTION=", "/x/;UID=1/;SECTION=0", "/x/;UID=1/;SECTION=1.", "/x/;UID=1/;SECTION=MIME", "/x/;UID=1/;SECTION=FOO",
		"/x/;UID=1/;SECTION=1]", "/x/;UID=1/;SECTION=1%5D", "/x/;UID=1/;SECTION=HEADER.FIELDS (A)", "/x/;UID=1/;SECTION=HEADER.FIELDS%20()",
		"/x/;UID=1/;SECTION=1%0D%0A", "/x/;UID=1/;SECTION=HEADER.FIELDS%20(%7B1+%7D%0D%0Aa)",
		"/x/;UID=1/;PARTIAL=", "/x/;UID=1/;PARTIAL=a", "/x/;UID=1/;PARTIAL=1.0", "/x/;UID=1/;PARTIAL=1.", "/x/;UID=1/;PARTIAL=1.2.3",
		"/x/;UID=1/;PARTIAL=1/;SECTION=1", "/x/;UID=1;PARTIAL=1", "/x/;UID=1?SUBJECT", "/x/;UID=1#1", "/x?ALL", "/x y/;UID=1", "/é/;UID=1",
		"/%/;UID=1", "/%4/;UID=1", "/%GG/;UID=1", "/%00/;UID=1", "/%FF/;UID=1", "/x\"/;UID=1", "http://h/x/;UID=1", "imap:/x/;UID=1",
		"imap:///x/;UID=1", "imap://@h/x/;UID=1", "imap://a@/x/;UID=1", "imap://a:b@h/x/;UID=1", "imap://a@b@h/x/;UID=1", "imap://h",
		"imap://h/", "imap://h;UID=1", "imap://a;AUTH=@h/x/;UID=1", "imap://a;x@h/x/;UID=1", "imap://h%41/x/;UID=1",
		"/x/;UID=1;EXPIRE=2027-01-01T00:00:00Z", "/x/;UID=1;EXPIRE=2027;URLAUTH=anonymous", "/x/;UID=1;URLAUTH=", "/x/;UID=1;URLAUTH=all",
		"/x/;UID=1;URLAUTH=submit+", "/x/;UID=1;URLAUTH=user", "/x/;UID=1;URLAUTH=anonymous:", "/x/;UID=1;URLAUTH=anonymous:INTERNAL",
		"/x/;UID=1;URLAUTH=anonymous:INTERNAL:", "/x/;UID=1;URLAUTH=anonymous:INTERNAL:abc", "/x/;UID=1;URLAUTH=anonymous::" + token,
		"/x/;UID=1;URLAUTH=anonymous:a_b:" + token, "/x/;UID=1;URLAUTH=anonymous:INTERNAL:" + token + "g",
		"/" + strings.Repeat("x", MaxURL) + "/;UID=1",
	} {
		if u, ok := ParseURL(text); ok {
			t.Errorf("%.200s is %+v", text, u)
		}
	}
}

// FuzzURL reads anything, and what it takes it takes in other clothes too: with
// every letter of the names escaped, and absolute or relative.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.5.9", ";UID=1/;PARTIAL=1.2", "/a%2Fb/;UID=1/;SECTION=HEADER.FIELDS%20(a)",
		"imap://joe;AUTH=*@example.com:143/INBOX/;uid=20/;section=1.2;expire=2027-01-01T00:00:00Z;urlauth=submit+fred:internal:" + strings.Repeat("0a", 16)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, ok := ParseURL(text)
		if !ok {
			return
		}
		if u.UID == 0 || u.Absolute != (u.Host != "") || u.Absolute && u.Mailbox == "" || u.Offset < 0 || u.Count < 0 {
			t.Fatalf("%q: %+v", text, u)
		}
		if strings.ContainsAny(text, " \"\\\r\n\x00?#") {
			t.Fatalf("%q was taken", text)
		}
		if a := u.Authorized; a != nil {
			if a.Mechanism != "" && text != a.Rump+":"+a.Mechanism+":"+a.Token || a.Mechanism == "" && text != a.Rump {
				t.Fatalf("%q: rump %q", text, a.Rump)
			}
			return
		}
		if !u.Absolute && u.Mailbox != "" {
			v, ok := ParseURL("imap://h" + text)
			v.Absolute, v.Host = false, ""
			if !ok || !reflect.DeepEqual(u, v) {
				t.Fatalf("%q: %+v, absolute %+v", text, u, v)
			}
			v, ok = ParseURL("/" + escapeAll(u.Mailbox) + text[strings.IndexByte(text, ';')-boolInt(u.Validity == 0):])
			if !ok || !reflect.DeepEqual(u, v) {
				t.Fatalf("%q: %+v, escaped %+v", text, u, v)
			}
		}
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func escapeAll(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[text[i]>>4])
		b.WriteByte("0123456789abcdef"[text[i]&15])
	}
	return b.String()
}
