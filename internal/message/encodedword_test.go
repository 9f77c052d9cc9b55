package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeHeader(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain  text", "plain  text"},
		// RFC 2047 8.
		{"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"},
		{"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"},
		{"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"},
		{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
			"If you can read this you understand the example."},
		{"=?ISO-8859-1?Q?a?=", "a"},
		{"=?ISO-8859-1?Q?a?= b", "a b"},
		{"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
		{"=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=", "ab"},
		{"=?ISO-8859-1?Q?a_b?=", "a b"},
		{"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
		{"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"},
		// RFC 2231 5.
		{"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"},

		{"=?utf-8?b?w7Y?= x", "ö x"},              // padding missing
		{"=?utf-8?q?=c3=b6?=", "ö"},               // lower-case hex
		{"=?UTF-8?Q?=C3?= =?utf-8?B?tg==?=", "ö"}, // split inside a character
		{"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
		{"x=?utf-8?q?a?=y", "xay"},
		{"=?utf-8?q?two words?=", "two words"},
		{"=?utf-8?q?why?not?=", "why?not"},
		{"=?utf-8?q??=", ""},
		{"=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3F=3D?=", "=?utf-8?q?a?="}, // once only
		{"=?utf-8?q?a=0D=0AX:_y?=", "a X: y"},
		{"=?windows-1252?q?=80?= =?iso-8859-1?q?=93?=", "€“"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?utf-7?q?+AOQ-?=", "ä"},

		// Left as they are.
		{"=?x-unknown?q?a?= =?utf-8?q?b?=", "=?x-unknown?q?a?= b"},
		{"=?utf-8?q?b?= =?x-unknown?q?a?=", "b =?x-unknown?q?a?="},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?a", "=?utf-8?q?a"},
		{"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"},
		{"=?", "=?"}, {"=??=", "=??="}, {"=?a?=", "=?a?="}, {"=??q?a?=", "=??q?a?="},
		{"=?a b?q?c?=", "=?a b?q?c?="},

		// 8-bit without declaration.
		{"f\xc3\xb6", "fö"}, {"f\xf6", "fö"}, {"\xf6 =?utf-8?q?x?=", "ö x"},
		{"=?utf-8?q?=ff?=", "\uFFFD"},
	}
	for _, test := range tests {
		if got := DecodeHeader(test.in); got != test.want {
			t.Errorf("%q: %q, want %q", test.in, got, test.want)
		}
	}
}

// The same bytes are looked at a bounded number of times, whatever they are: a
// quadratic decoder would need hours for these.
func TestDecodeHeaderIsLinear(t *testing.T) {
	const n = 1 << 20
	for _, piece := range []string{"=?", "=?u?q?", "=?utf-8?q?", "=?utf-8?q?=?=", "=?utf-8?q?a?= ", "=?x?q?a?= ", "?=", "=?utf-8?b?", "=?utf-8?q?\xff"} {
		in := strings.Repeat(piece, n/len(piece))
		if out := DecodeHeader(in); !utf8.ValidString(out) || len(out) > 3*len(in) {
			t.Errorf("%q repeated: %d bytes", piece, len(out))
		}
		if out := DecodeHeader(in + "?="); !utf8.ValidString(out) {
			t.Errorf("%q repeated with an end: not UTF-8", piece)
		}
	}
}
