package auth

import "testing"

func TestAcceptable(t *testing.T) {
	for _, test := range []struct {
		password string
		ok       bool
	}{
		{"correct horse battery staple", true},
		{"äöüäöüäö", true}, // eight characters
		{"kf93nd-x", true},
		{"kf93nd-", false},   // seven
		{"äöüäöüä", false},   // seven characters, though fourteen octets
		{"password", false},  // the commonest
		{"PassWord1", false}, // whatever the case
		{"1234567890", false},
		{"qwertyuiop", false},
		{"adalovelace", false}, // the name
		{"AdaLovelace2026!", false},
		{"example123", false}, // the domain's
		{"ada.lovelace", true},
	} {
		if err := Acceptable(test.password, "adalovelace@example.org"); (err == nil) != test.ok {
			t.Errorf("%q: %v", test.password, err)
		}
	}
}
