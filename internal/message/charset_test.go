package message

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestDecodeCharset(t *testing.T) {
	tests := []struct{ charset, in, want string }{
		{"", "abc \xc3\xb6 \xf6", "abc ö ö"},
		{"US-ASCII", "\x93x\x94", "“x”"},
		{"utf-8", "\xc3\xb6\xff\xc3", "ö\uFFFD\uFFFD"},
		{" \"UTF8\" ", "\xc3\xb6", "ö"},
		{"ISO-8859-1", "\xf6\x80", "ö€"},
		{"iso-8859-15", "\xa4", "€"},
		{"windows-1251", "\xcf\xf0", "Пр"},
		{"koi8-r", "\xf0\xd2", "Пр"},
		{"cp850", "\x94", "ö"},
		{"Shift_JIS", "\x93\xfa", "日"},
		{"iso-2022-jp", "\x1b$BF|\x1b(B", "日"},
		{"gb2312", "\xc8\xd5", "日"},
		{"big5", "\xa4\xe9", "日"},
		{"euc-kr", "\xc0\xcf", "일"},
		{"ks_c_5601-1987", "\xc0\xcf", "일"},
		{"hz-gb-2312", "~{HU~}", "日"},
		{"utf-16", "\x00a\x20\xac", "a€"}, // RFC 2781 4.3: big-endian without BOM
		{"utf-16", "\xff\xfea\x00", "a"},  // and as its BOM says with one
		{"utf-16le", "a\x00\xac\x20", "a€"},
		{"utf-32", "\x00\x00\x20\xac", "€"},

		// RFC 2152.
		{"utf-7", "A+ImIDkQ.", "A≢Α."},
		{"utf-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"},
		{"utf-7", "+ZeVnLIqe-", "日本語"},
		{"utf-7", "Item 3 is +AKM-1.", "Item 3 is £1."},
		{"utf-7", "1 +- 1", "1 + 1"},
		{"utf-7", "+2D3eAA-", "\U0001F600"},
		{"utf-7", "+2D0-x", "\uFFFDx"}, // half a pair
		{"utf-7", "+3gA", "\uFFFD"},    //
		{"utf-7", "+2D0AYQ-", "\uFFFDa"},
		{"utf-7", "+AGE\xff", "a\uFFFD"},
		{"utf-7", "a+", "a"},
	}
	for _, test := range tests {
		got, ok := DecodeCharset(test.charset, []byte(test.in))
		if !ok || got != test.want {
			t.Errorf("%s %q: %q, %v, want %q", test.charset, test.in, got, ok, test.want)
		}
		slow, err := io.ReadAll(charsetReader(test.charset, iotest.OneByteReader(strings.NewReader(test.in))))
		if err != nil || string(slow) != test.want {
			t.Errorf("%s %q byte by byte: %q, %v, want %q", test.charset, test.in, slow, err, test.want)
		}
	}
	for _, name := range []string{"x-unknown", "unknown-8bit", "utf-9", strings.Repeat("a", 1000)} {
		if KnownCharset(name) {
			t.Errorf("%.20s is known", name)
		}
	}
}

// What is cut off in the middle, or in another charset than declared, gives
// replacement characters and an end, for every charset.
func TestDecodeBrokenText(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i), byte(255-i), 0x1b)
	}
	for _, name := range []string{"utf-8", "utf-16", "utf-16le", "utf-32", "utf-7", "iso-2022-jp", "gb18030", "hz-gb-2312", "shift_jis", "euc-kr", "big5", "iso-8859-1", ""} {
		for n := range 32 {
			in := all[:len(all)-n]
			got, ok := DecodeCharset(name, in)
			if !ok || !utf8.ValidString(got) || len(got) > 4*len(in)+8 {
				t.Errorf("%s: %d bytes from %d, ok %v", name, len(got), len(in), ok)
			}
		}
	}
}
