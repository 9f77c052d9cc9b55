package mail

import (
	"math"
	"strings"
	"testing"
)

// TestObjectIDs holds identifiers to RFC 8474 7 and 8.1: the characters, the
// length, a letter at the beginning, no NIL, and none that only case tells apart.
func TestObjectIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{
		MailboxObject{1, 2, 3}.String(), MailboxObject{2, 1, 3}.String(), MailboxObject{1, 2, 4}.String(),
		MailboxObject{0x12, 3, 4}.String(), MailboxObject{1, 0x23, 4}.String(),
		MailboxObject{math.MaxUint64, math.MaxUint64, math.MaxUint32}.String(),
		EmailObject{1, 2, 3, 4}.String(), EmailObject{1, 2, 3, 5}.String(), EmailObject{1, 2, -3, 4}.String(),
		EmailObject{1, 2, 4, 3}.String(), EmailObject{1, 3, 3, 4}.String(), EmailObject{2, 2, 3, 4}.String(),
		EmailObject{math.MaxUint64, math.MaxUint64, math.MinInt64, math.MaxUint32}.String(),
		ThreadID(1).String(), ThreadID(0xabcdef).String(), ThreadID(math.MaxUint64).String(),
	} {
		lower := strings.ToLower(id)
		if !IsObjectID(id) || strings.Contains(lower, "nil") || seen[lower] || id[0] < 'A' || id[0] > 'Z' {
			t.Errorf("%q", id)
		}
		seen[lower] = true
	}
}

func TestParseEmailObject(t *testing.T) {
	for _, o := range []EmailObject{
		{1, 2, 3, 4}, {1, 2, -1, 0}, {math.MaxUint64, math.MaxUint64, math.MinInt64, math.MaxUint32},
	} {
		if got, ok := ParseEmailObject(o.String()); !ok || got != o {
			t.Errorf("%s is read as %+v, %v", o, got, ok)
		}
	}
	for _, text := range []string{
		"", "M", "1-2-3-4", "F1-2-3-4", "m1-2-3-4", "M1-2-3", "M1-2-3-4-5", "M01-2-3-4", "M1-2-3-", "M1-2-3-4 ",
		"MA-2-3-4", "Ma-2-3-4x", "M+1-2-3-4", "M1--2-3-4", "M1-2-3-100000000", "M10000000000000000-2-3-4", "M1_2_3_4",
		"M" + strings.Repeat("1", 300),
	} {
		if o, ok := ParseEmailObject(text); ok {
			t.Errorf("%q is read as %+v", text, o)
		}
	}
}

func TestParseThreadID(t *testing.T) {
	for _, id := range []ThreadID{0, 1, 1 << 63, math.MaxUint64} {
		if got, ok := ParseThreadID(id.String()); !ok || got != id || !IsObjectID(id.String()) {
			t.Errorf("%s is read as %s, %v", id, got, ok)
		}
	}
	for _, text := range []string{"", "T", "1", "t1", "T01", "T-1", "T+1", "TA", "T1 ", "T10000000000000000", "M1-2-3-4"} {
		if id, ok := ParseThreadID(text); ok {
			t.Errorf("%q is read as %s", text, id)
		}
	}
}

func TestIsObjectID(t *testing.T) {
	for text, want := range map[string]bool{
		"M6d99ac3275bb4e": true, "F2212ea87-6097-4256-9d51-71338625": true, "_": true, strings.Repeat("x", 255): true,
		"": false, "a b": false, "a.b": false, "ä": false, "a\x00": false, `a"`: false, strings.Repeat("x", 256): false,
	} {
		if IsObjectID(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
