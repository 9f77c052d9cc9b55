package mail

import (
	"strings"
	"testing"
)

// TestEntryNames holds RFC 5464 3.2 and 3.2.1.
func TestEntryNames(t *testing.T) {
	for _, c := range []struct {
		name            string
		valid, settable bool
		private         bool
	}{
		{"/private/comment", true, true, true},
		{"/Shared/Comment", true, true, false},
		{"/shared/a/b/c/d", true, true, false},
		{"/private", true, false, true}, // above entries, with DEPTH
		{"/shared", true, false, false},
		{"/private/vendor", true, false, true},
		{"/private/VENDOR/acme", true, false, true},
		{"/private/vendor/acme/colour", true, true, true},
		{"/private/vendors", true, true, true},
		{"/private/with space", true, true, true},
		{"/privates/x", false, false, false},
		{"/comment", false, false, false},
		{"private/comment", false, false, false},
		{"", false, false, false},
		{"/", false, false, false},
		{"/private/", false, false, true},
		{"/private//x", false, false, true},
		{"/private/x*", false, false, true},
		{"/private/%", false, false, true},
		{"/private/a\tb", false, false, true},
		{"/private/\x1f", false, false, true},
		{"/private/\x7f", false, false, true},
		{"/private/ä", false, false, true},
		{"/private/" + strings.Repeat("x", MaxEntryName-9), true, true, true},
		{"/private/" + strings.Repeat("x", MaxEntryName-8), false, false, true},
	} {
		if got := ValidEntry(c.name); got != c.valid {
			t.Errorf("%q is valid: %v", c.name, got)
		}
		if got := SettableEntry(c.name); got != c.settable {
			t.Errorf("%q is settable: %v", c.name, got)
		}
		if got := PrivateEntry(c.name); got != c.private {
			t.Errorf("%q is private: %v", c.name, got)
		}
	}
	for _, c := range []struct {
		name, above string
		depth       int
		below       bool
	}{
		{"/shared/a", "/Shared/A", 0, true},
		{"/shared/a/b", "/shared/a", 1, true},
		{"/shared/a/b/c", "/shared", 3, true},
		{"/shared/ab", "/shared/a", 0, false},
		{"/shared", "/shared/a", 0, false},
	} {
		if depth, below := EntryDepth(c.name, c.above); depth != c.depth || below != c.below {
			t.Errorf("%s below %s: %d %v", c.name, c.above, depth, below)
		}
	}
}
