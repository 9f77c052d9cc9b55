package search

import (
	"testing"

	"postern/internal/mail"
)

// TestObjectID searches among messages of which any two share a part of what makes
// their EMAILID: exactly one of them has it, and in its own account only.
func TestObjectID(t *testing.T) {
	const account = 7
	wanted := mail.Message{UID: 1, ID: 5, Date: at("1996-07-17T02:44:25-07:00"), Size: 100}
	others := []mail.Message{
		{UID: 2, ID: 6, Date: wanted.Date, Size: 100},
		{UID: 3, ID: 5, Date: at("1996-07-17T02:44:26-07:00"), Size: 100},
		{UID: 4, ID: 5, Date: wanted.Date, Size: 101},
	}
	id := mail.EmailOf(account, &wanted).String()
	matches := func(c mail.Criteria, in mail.AccountID, m mail.Message) bool {
		p, err := Compile(c, Env{Account: in})
		if err != nil {
			t.Fatal(err)
		}
		if needs := p.Needs(); needs != (Needs{}) {
			t.Errorf("%+v needs %+v", c, needs)
		}
		return p.MatchRow(&Row{Message: m}) == Yes
	}
	email := mail.Criteria{Op: mail.SearchEmailID, Text: id}
	if !matches(email, account, wanted) || matches(email, account+1, wanted) {
		t.Errorf("%s is not found, or in another account", id)
	}
	for _, m := range others {
		if matches(email, account, m) {
			t.Errorf("%s is %+v", id, m)
		}
	}
	// "ObjectID values are case sensitive" (RFC 8474 7).
	if id[0] != 'M' || matches(mail.Criteria{Op: mail.SearchEmailID, Text: "m" + id[1:]}, account, wanted) {
		t.Errorf("%s is found in small letters", id)
	}
	for _, c := range []mail.Criteria{
		{Op: mail.SearchEmailID, Text: "M1"}, {Op: mail.SearchThreadID, Text: id}, {Op: mail.SearchThreadID, Text: "T01"},
	} {
		if matches(c, account, wanted) || !matches(mail.Criteria{Op: mail.SearchNot, Children: []mail.Criteria{c}}, account, wanted) {
			t.Errorf("%+v matches", c)
		}
	}
}
