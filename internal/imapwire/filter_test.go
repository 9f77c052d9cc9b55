package imapwire

import (
	"strings"
	"testing"

	"postern/internal/mail"
)

// TestParseSearchCriteria: what stands in a filter is what stands in a command, whole.
func TestParseSearchCriteria(t *testing.T) {
	limits := LoggedIn(1000)
	for text, op := range map[string]mail.SearchOp{
		`OR SMALLER 5000 FROM "boss@example.com"`: mail.SearchOr, // RFC 5466 3.1
		`SEEN`:                      mail.SearchFlag,
		`SEEN FLAGGED`:              mail.SearchAnd,
		`(FUZZY TEXT x)`:            mail.SearchFuzzy,
		"FROM {5}\r\nJ\u00f6rg":     mail.SearchHeader,
		"FROM {5+}\r\nJ\u00f6rg":    mail.SearchHeader,
		"FROM {5}\r\nJ\u00f6rg 1:3": mail.SearchAnd,
		`FILTER other`:              mail.SearchFilter,
		``:                          0,
		` SEEN`:                     0,
		`SEEN `:                     0,
		`SEEN)`:                     0,
		`OR SMALLER 5`:              0,
		"SEEN\r\nFLAGGED":           0,
		"SEEN\r\n":                  0,
		"SEEN\n":                    0,
		"FROM {9}\r\nx":             0,
		`RETURN (ALL) SEEN`:         0,
		`CHARSET UTF-8 SEEN`:        0,
		strings.Repeat("(", 100) + "SEEN" + strings.Repeat(")", 100): 0,
		`SUBJECT "` + strings.Repeat("x", 100_000) + `"`:             0,
	} {
		c, _, err := ParseSearchCriteria([]byte(text), limits)
		if (err == nil) != (op != 0) || c.Op != op {
			t.Errorf("%.60q: %d, %v; want %d", text, c.Op, err, op)
		}
	}
}

// FuzzParseSearchCriteria reads any octets as the value of a filter.
func FuzzParseSearchCriteria(f *testing.F) {
	f.Add([]byte("OR SMALLER 5000 FROM \"boss@example.com\""))
	f.Add([]byte("FUZZY (TEXT {3}\r\na\r\nb FILTER x) NOT $ UID 1:*"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, err := ParseSearchCriteria(text, LoggedIn(1000))
		if (err == nil) == (c.Op == 0) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	})
}
