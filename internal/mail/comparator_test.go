package mail

import (
	"fmt"
	"strings"
	"testing"
)

func TestMatchComparators(t *testing.T) {
	for order, want := range map[string]string{
		"i;unicode-casemap":      "[i;unicode-casemap] true",
		"I;ASCII-CaseMap":        "[i;ascii-casemap] true",
		"default":                "[i;unicode-casemap] true",
		"*":                      "[i;unicode-casemap i;ascii-casemap i;octet] true",
		"i;*-casemap":            "[i;unicode-casemap i;ascii-casemap] true",
		"*;o*t*t":                "[i;octet] true",
		"-i;octet":               "[-i;octet] true",
		"+i;octet":               "[i;octet] true",
		"-*":                     "[-i;unicode-casemap -i;ascii-casemap -i;octet] true",
		"i;octet*":               "[i;octet] true",
		"i;octet*t":              "[] true",
		"cz;*":                   "[] true",
		"i;basic":                "[] true",
		"i;basic;a=1.2":          "[] true",
		"":                       "[] false",
		"-":                      "[] false",
		"--i;octet":              "[] false",
		"**":                     "[] false",
		";octet":                 "[] false",
		"i octet":                "[] false",
		"i;öctet":                "[] false",
		strings.Repeat("i", 256): "[] false",
	} {
		matching, ok := MatchComparators(order)
		if got := fmt.Sprint(matching, ok); got != want {
			t.Errorf("%q: %s, want %s", order, got, want)
		}
	}
}
