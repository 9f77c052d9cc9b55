package auth

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"postern/internal/mail"
)

func TestParseAddress(t *testing.T) {
	rules := Rules{DefaultDomain: "Example.ORG", Separator: '+'}
	for _, test := range []struct{ in, local, domain, user, detail string }{
		{"ada@example.org", "ada", "example.org", "ada", ""},
		{"Ada.L@EXAMPLE.Org", "ada.l", "example.org", "ada.l", ""},
		{"ada@example.org.", "ada", "example.org", "ada", ""}, // final dot
		{"ada", "ada", "example.org", "ada", ""},              // default domain
		{"ada+Lists@example.org", "ada+lists", "example.org", "ada", "Lists"},
		{"Ada+A+B@example.org", "ada+a+b", "example.org", "ada", "A+B"},
		{"ada+@example.org", "ada+", "example.org", "ada", ""},
		{"+ada@example.org", "+ada", "example.org", "+ada", ""},
		{"o'brien/x=y@a.example", "o'brien/x=y", "a.example", "o'brien/x=y", ""},
		{"a..b.@example.org", "a..b.", "example.org", "a..b.", ""},
		{`"ada.l"@example.org`, "ada.l", "example.org", "ada.l", ""}, // RFC 5321 4.1.2: the quotes are not part of it
		{`"a\d\a"@example.org`, "ada", "example.org", "ada", ""},
		{"ＡＤＡ@example.org", "ada", "example.org", "ada", ""},               // full width (RFC 8265 3.3.2)
		{"ada＋Box@example.org", "ada+box", "example.org", "ada", "box"},    // the separator, too
		{"a\u0308da@example.org", "äda", "example.org", "äda", ""},         // NFD
		{"ÄDA@example.org", "äda", "example.org", "äda", ""},               // NFC
		{"żółw@żółw.example", "żółw", "xn--w-uga1v8h.example", "żółw", ""}, // punycode as `python3 -c 'print("żółw".encode("idna"))'` gives it
		{"ada@BÜCHER.example", "ada", "xn--bcher-kva.example", "ada", ""},  // RFC 3492's kind of example: bücher is xn--bcher-kva
		{"ada@XN--BCHER-KVA.example", "ada", "xn--bcher-kva.example", "ada", ""},
		{"ada@bücher。example", "ada", "xn--bcher-kva.example", "ada", ""}, // ideographic full stop (UTS 46)
		{"ada@faß.example", "ada", "xn--fa-hia.example", "ada", ""},       // nontransitional: not fass
		{"ada@localhost", "ada", "localhost", "ada", ""},
		{"ada@r3---sn-x.example", "ada", "r3---sn-x.example", "ada", ""},
	} {
		got, err := rules.Parse(test.in)
		want := Address{test.local, test.domain, test.user, test.detail}
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", test.in, got, err, want)
		}
	}
	a, err := rules.Parse("Ada+Lists@Example.org")
	if err != nil || a.String() != "ada+lists@example.org" || a.UserAddress() != "ada@example.org" || a.CatchAll() != "@example.org" {
		t.Errorf("%v %v %v %v", a.String(), a.UserAddress(), a.CatchAll(), err)
	}
	if a, err := (Rules{}).Parse("ada+x@example.org"); err != nil || a.User != "ada+x" || a.Detail != "" {
		t.Errorf("without a separator: %+v %v", a, err)
	}
}

func TestParseAddressRefuses(t *testing.T) {
	rules := Rules{Separator: '+'}
	for _, in := range []string{
		"", "ada", "ada@", "@", "ada@example..org", "ada@-example.org", "ada@exa mple.org", "ada@exa_mple.org", "ada@[192.0.2.1]",
		"ada@..", "ada@example.org..", "ada@example.org\x00", "ada@" + strings.Repeat("a", 64) + ".org",
		"ada@" + strings.Repeat("abcdefg.", 33) + "org", "\xff@example.org", "ada@\xff", strings.Repeat("a", 1013) + "@example.org",
		"ada@xn--a.example", // no valid punycode
	} {
		if a, err := rules.Parse(in); mail.KindOf(err) != mail.Invalid || a != (Address{}) {
			t.Errorf("%.40q: %+v, %v", in, a, err)
		}
	}
	// The local part alone is at fault: the domain is told, for its catch-all.
	for _, in := range []string{
		"@example.org", "a b@example.org", "ada\n@example.org", "ada\x00@example.org", "a,b@example.org", "<ada@example.org",
		`"a b"@example.org`, `"a@b"@example.org`, `"a"b"@example.org`, `"ada@example.org`, `"a\"@example.org`, `""@example.org`,
		"a\u200bda@example.org", "\u202eada@example.org", "😀@example.org", "ada＠home@example.org",
		"a\u05d0@example.org", // left to right and Hebrew in one label (RFC 5893)
	} {
		a, err := rules.Parse(in)
		if mail.KindOf(err) != mail.Invalid || a != (Address{Domain: "example.org"}) {
			t.Errorf("%q: %+v, %v", in, a, err)
		}
	}
	if _, err := rules.Parse(strings.Repeat("a", 1012) + "@example.org"); err != nil {
		t.Errorf("1,024 octets: %v", err)
	}
	if d, err := Domain("Bücher.Example."); err != nil || d != "xn--bcher-kva.example" {
		t.Errorf("Domain: %q %v", d, err)
	}
	if _, err := Domain(strings.Repeat("a.", 600)); mail.KindOf(err) != mail.Invalid {
		t.Errorf("long domain: %v", err)
	}
}

// FuzzAddress: a canonical address is its own canonical form, is bounded, and
// has nothing in it that could break out of a line or a header.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"ada@example.org", `"a\b"@x`, "ＡＤＡ＋x@BÜCHER。example.", "a\u0308@x", "@x", "ada@xn--bcher-kva", "ß@ß", "İ@x", "ΑΣ@x", "ﬁ@x", "a+B+c@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rules := Rules{DefaultDomain: "example.org", Separator: '+'}
		a, err := rules.Parse(s)
		if err != nil {
			if mail.KindOf(err) != mail.Invalid || a.Local != "" || a.User != "" || a.Detail != "" {
				t.Fatalf("%q: %v %+v", s, err, a)
			}
			return
		}
		name := a.String()
		if len(name) > MaxAddress || !utf8.ValidString(name) || !utf8.ValidString(a.Detail) || strings.Count(name, "@") != 1 {
			t.Fatalf("%q became %q", s, name)
		}
		for _, r := range name + a.Detail {
			if unicode.IsControl(r) || unicode.IsSpace(r) {
				t.Fatalf("%q became %q (%q)", s, name, a.Detail)
			}
		}
		again, err := rules.Parse(name)
		if err != nil || again.String() != name || again.User != a.User {
			t.Fatalf("%q became %+v, and that %+v (%v)", s, a, again, err)
		}
		if !strings.HasPrefix(a.Local, a.User) || a.User == "" {
			t.Fatalf("user %q of %q", a.User, a.Local)
		}
	})
}
