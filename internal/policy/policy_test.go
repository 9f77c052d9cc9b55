package policy

import (
	"maps"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// TestFor takes the later of two rules, setting by setting, and says where each comes from.
func TestFor(t *testing.T) {
	rules := Rules{
		{Name: "all", Says: Policy{Sessions: 10, EmptyTrash: time.Hour}, About: []Setting{Sessions, EmptyTrash}},
		{Name: "staff", Accounts: []string{"@example.org"}, Says: Policy{AppPasswordsOnly: true, Sessions: 20}, About: []Setting{AppPasswordsOnly, Sessions}},
		{Name: "court", Accounts: []string{"ada@example.org"}, Says: Policy{LegalHold: true}, About: []Setting{LegalHold}},
		{Name: "ada", Accounts: []string{"ada@example.org"}, Says: Policy{}, About: []Setting{EmptyTrash, LegalHold}},
	}
	for address, want := range map[string]struct {
		Policy
		from map[Setting]string
	}{
		"eve@other.example": {Policy{Sessions: 10, EmptyTrash: time.Hour}, map[Setting]string{Sessions: "all", EmptyTrash: "all"}},
		"bob@example.org":   {Policy{Sessions: 20, EmptyTrash: time.Hour, AppPasswordsOnly: true}, map[Setting]string{Sessions: "staff", EmptyTrash: "all", AppPasswordsOnly: "staff"}},
		// A later rule lifts what an earlier one says, but no legal hold.
		"ada@example.org":     {Policy{Sessions: 20, AppPasswordsOnly: true, LegalHold: true}, map[Setting]string{Sessions: "staff", EmptyTrash: "ada", AppPasswordsOnly: "staff", LegalHold: "court"}},
		"bob@sub.example.org": {Policy{Sessions: 10, EmptyTrash: time.Hour}, map[Setting]string{Sessions: "all", EmptyTrash: "all"}},
	} {
		p, from := rules.For(address)
		if !reflect.DeepEqual(p, want.Policy) || !maps.Equal(from, want.from) {
			t.Errorf("%s: %+v from %v, want %+v from %v", address, p, from, want.Policy, want.from)
		}
	}
	if rules.Concern(Networks, KeepDeleted) || !rules.Concern(Networks, LegalHold) {
		t.Error("Concern")
	}
}

// TestEverySettingIsCopied changes each field of a Policy by its setting and no other.
func TestEverySettingIsCopied(t *testing.T) {
	full := Policy{Mechanisms: []string{"PLAIN"}, Networks: prefixes("192.0.2.0/24"), AppPasswordsOnly: true, Sessions: 1, ShareWith: ShareNobody,
		EmptyTrash: 1, EmptyJunk: 1, KeepDeleted: 1, LegalHold: true}
	fields := reflect.TypeFor[Policy]().NumField()
	if len(Settings) != fields {
		t.Fatalf("%d settings for %d fields", len(Settings), fields)
	}
	for i, s := range Settings {
		var got Policy
		copySetting(&got, &full, s)
		for f := range fields {
			if zero := reflect.ValueOf(got).Field(f).IsZero(); zero == (f == i) {
				t.Errorf("%s: field %s is zero: %v", s, reflect.TypeFor[Policy]().Field(f).Name, zero)
			}
		}
	}
}

func TestMaySignIn(t *testing.T) {
	lan, wan, socket := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1"), netip.Addr{}
	mapped := netip.MustParseAddr("::ffff:192.0.2.7")
	for _, c := range []struct {
		p         Policy
		mechanism string
		from      netip.Addr
		strong    bool
		want      bool
	}{
		{Policy{}, "PLAIN", wan, false, true},
		{Policy{AppPasswordsOnly: true}, "PLAIN", wan, false, false},
		{Policy{AppPasswordsOnly: true}, "PLAIN", wan, true, true},
		{Policy{Mechanisms: []string{"PLAIN"}}, "PLAIN", wan, false, true},
		{Policy{Mechanisms: []string{"PLAIN"}}, "LOGIN", wan, true, false},
		{Policy{Mechanisms: []string{}}, "PLAIN", wan, true, false},
		{Policy{Networks: prefixes("192.0.2.0/24")}, "PLAIN", lan, false, true},
		{Policy{Networks: prefixes("192.0.2.0/24")}, "PLAIN", mapped, false, true},
		{Policy{Networks: prefixes("192.0.2.0/24")}, "PLAIN", wan, true, false},
		{Policy{Networks: prefixes("192.0.2.0/24")}, "PLAIN", socket, false, true},
		{Policy{Networks: prefixes("2001:db8::/32")}, "PLAIN", netip.MustParseAddr("2001:db8::1%eth0"), false, true},
	} {
		if got := c.p.MaySignIn(c.mechanism, c.from, c.strong); got != c.want {
			t.Errorf("%+v: %s from %s, strong %v: %v", c.p, c.mechanism, c.from, c.strong, got)
		}
	}
}

func TestMayShare(t *testing.T) {
	for _, c := range []struct {
		with  Sharing
		other string
		want  bool
	}{
		{"", "eve@other.example", true}, {"", "", true}, {ShareAll, "", true},
		{ShareDomain, "bob@example.org", true}, {ShareDomain, "eve@other.example", false}, {ShareDomain, "", false},
		{ShareDomain, "eve@sub.example.org", false}, {ShareNobody, "bob@example.org", false}, {ShareNobody, "", false},
	} {
		p := Policy{ShareWith: c.with}
		if got := p.MayShare("ada@example.org", c.other); got != c.want {
			t.Errorf("%q with %q: %v", c.with, c.other, got)
		}
	}
}
