package message

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParams(t *testing.T) {
	plain := func(nameValue ...string) (list []Param) {
		for i := 0; i < len(nameValue); i += 2 {
			list = append(list, Param{Name: nameValue[i], Value: nameValue[i+1]})
		}
		return list
	}
	tests := []struct {
		in   string
		want []Param
	}{
		{"", nil},
		{";", nil},
		{"; charset=us-ascii (Plain text)", plain("CHARSET", "us-ascii")}, // RFC 2045 5.1
		{`; charset="us-ascii"`, plain("CHARSET", "us-ascii")},
		{`;a=1;B="x;y\"z" ; c = 3 ;;`, plain("A", "1", "B", `x;y"z`, "C", "3")},
		{"; a=1; a=2", plain("A", "1")},
		{"; a=", plain("A", "")},
		{"; name=my file (1).txt; x=y", plain("NAME", "my file", "X", "y")},
		{"; name=file(1).txt", plain("NAME", "file(1).txt")},
		{"; boundary=a=b/c?d", plain("BOUNDARY", "a=b/c?d")},
		{`; a="open; b=1`, plain("A", "open; b=1")},
		{`; a="x\`, plain("A", `x\`)},
		{"; junk; =x; b=1", plain("B", "1")},
		{"; n=\"=?utf-8?B?w7Y=?=\"; m=\xf6", plain("N", "=?utf-8?B?w7Y=?=", "M", "\xf6")},

		// The examples of RFC 2231 3, 4 and 4.1.
		{`; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"`,
			plain("ACCESS-TYPE", "URL", "URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")},
		{"; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
			[]Param{{"TITLE", "This is ***fun***", "us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"}}},
		{`; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn't it!"`,
			[]Param{{"TITLE", "This is even more ***fun*** isn't it!", "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"}}},

		{"; t*1=b; t*0=a; t*2=c", plain("T", "abc")},
		{"; t*0=a; t*2=c", plain("T", "a")}, // a gap ends it
		{"; t*1=b; t*2=c", plain("T*1", "b", "T*2", "c")},
		{"; t*0=a; t*0=x; t*1=b", plain("T", "ab")},
		{"; t*00=a; t*01=b", plain("T*00", "a", "T*01", "b")}, // no leading zeros: these are names
		{"; f=old; f*=utf-8''%C3%B6", []Param{{"F", "ö", "utf-8''%C3%B6"}}},
		{"; f=old; f*0*=utf-8''%C3; f*1*=%B6", []Param{{"F", "ö", "utf-8''%C3%B6"}}},
		{"; f=whole; f*0=a; f*1=b", plain("F", "whole")},
		{"; f*=iso-8859-1''%F6", []Param{{"F", "ö", "iso-8859-1''%F6"}}},
		{"; f*=x-none''%C3%B6", []Param{{"F", "ö", "x-none''%C3%B6"}}},
		{"; f*=''a%0Db", []Param{{"F", "a\rb", "us-ascii''a%0Db"}}},
		{"; f*=100%; g*=utf-8''%zz%4", []Param{{"F", "100%", "us-ascii''100%25"}, {"G", "%zz%4", "utf-8''%25zz%254"}}},
		{"; f*=a%20b''%F6", []Param{{"F", "ö", "us-ascii''%F6"}}}, // no charset has such a name
		{"; f*=utf-8'a%20b'%C3%B6", []Param{{"F", "ö", "utf-8''%C3%B6"}}},
		{"; f*=utf-8''%00", []Param{{"F", "\uFFFD", "utf-8''%00"}}},
	}
	for _, test := range tests {
		if got := ParseParams(test.in); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", test.in, got, test.want)
		}
	}
}

func TestParamLimits(t *testing.T) {
	for _, n := range []int{MaxParams - 1, MaxParams, MaxParams + 1, 20_000} {
		var plain, segments strings.Builder
		for i := range n {
			fmt.Fprintf(&plain, ";a%d=x", i)
			fmt.Fprintf(&segments, ";a*%d=x", i)
		}
		list, cut := parseParams(plain.String(), MaxParams)
		if want := min(n, MaxParams); len(list) != want || cut != (n > MaxParams) {
			t.Errorf("%d parameters: %d kept, cut %v", n, len(list), cut)
		}
		list, _ = parseParams(segments.String(), MaxParams)
		if want := min(n, MaxParams); len(list) != 1 || len(list[0].Value) != want {
			t.Errorf("%d segments: %d parameters of %d bytes", n, len(list), len(list[0].Value))
		}
	}
}

func TestLanguageTags(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "en": {"en"}, "mi, en": {"mi", "en"}, "de (German), fr ,": {"de", "fr"},
	} {
		if got := languageTags(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParseContentType(t *testing.T) {
	typ, subtype, params, ok := ParseContentType(" (a) Text / (b) X-Odd (c) ; Charset=\"UTF-8\"")
	if typ != "TEXT" || subtype != "X-ODD" || !ok || !reflect.DeepEqual(params, []Param{{Name: "CHARSET", Value: "UTF-8"}}) {
		t.Errorf("%s/%s %+v, %v", typ, subtype, params, ok)
	}
	for _, bad := range []string{"", "text", "text/", "/plain", "t\xe9xt/plain", "(text/plain", "text plain"} {
		if typ, subtype, params, ok := ParseContentType(bad); ok || typ != "" || subtype != "" || params != nil {
			t.Errorf("%q: %s/%s %v", bad, typ, subtype, params)
		}
	}
}
