package imapwire

import (
	"reflect"
	"strings"
	"testing"

	"postern/internal/mail"
)

// seqKey and textKey make the criteria tables below shorter to read.
func seqKey(ranges ...mail.NumRange) mail.Criteria {
	return mail.Criteria{Op: mail.SearchSeq, Set: mail.NumSet{Ranges: ranges}}
}

func headerKey(field, text string) mail.Criteria {
	return mail.Criteria{Op: mail.SearchHeader, Field: field, Text: text}
}

func flagCriteria(f mail.SystemFlags, without bool) mail.Criteria {
	return mail.Criteria{Op: mail.SearchFlag, Flags: mail.Flags{System: f}, Without: without}
}

func keywordCriteria(k string, without bool) mail.Criteria {
	return mail.Criteria{Op: mail.SearchFlag, Flags: mail.NewFlags(0, k), Without: without}
}

func and(c ...mail.Criteria) mail.Criteria { return mail.Criteria{Op: mail.SearchAnd, Children: c} }
func or(c ...mail.Criteria) mail.Criteria  { return mail.Criteria{Op: mail.SearchOr, Children: c} }
func not(c mail.Criteria) mail.Criteria {
	return mail.Criteria{Op: mail.SearchNot, Children: []mail.Criteria{c}}
}

func TestSearchKeys(t *testing.T) {
	day := mail.CivilDate{Year: 1994, Month: 2, Day: 1}
	seen, flagged := flagCriteria(mail.Seen, false), flagCriteria(mail.Flagged, false)
	for keys, want := range map[string]mail.Criteria{
		"ALL":        and(),
		"all":        and(),
		"ANSWERED":   flagCriteria(mail.Answered, false),
		"DELETED":    flagCriteria(mail.Deleted, false),
		"DRAFT":      flagCriteria(mail.Draft, false),
		"FLAGGED":    flagged,
		"SEEN":       seen,
		"UNANSWERED": flagCriteria(mail.Answered, true),
		"UNDELETED":  flagCriteria(mail.Deleted, true),
		"UNDRAFT":    flagCriteria(mail.Draft, true),
		"UNFLAGGED":  flagCriteria(mail.Flagged, true),
		"UNSEEN":     flagCriteria(mail.Seen, true),
		"NEW":        {Op: mail.SearchNew}, "OLD": {Op: mail.SearchOld}, "RECENT": {Op: mail.SearchRecent},
		"KEYWORD $Junk": keywordCriteria("$Junk", false), "UNKEYWORD x": keywordCriteria("x", true),
		`BCC "a b"`: headerKey("Bcc", "a b"), "CC a": headerKey("Cc", "a"), "FROM a": headerKey("From", "a"),
		"SUBJECT {3+}\r\na\r\n": headerKey("Subject", "a\r\n"), "TO a]": headerKey("To", "a]"),
		`HEADER X-Y ""`: headerKey("X-Y", ""), "BODY NIL": {Op: mail.SearchBody, Text: "NIL"},
		`TEXT "\\\""`:       {Op: mail.SearchText, Text: `\"`},
		"BEFORE 1-Feb-1994": {Op: mail.SearchBefore, Date: day}, "ON 01-feb-1994": {Op: mail.SearchOn, Date: day},
		`SINCE "1-Feb-1994"`: {Op: mail.SearchSince, Date: day}, "SENTBEFORE 1-Feb-1994": {Op: mail.SearchSentBefore, Date: day},
		"SENTON 1-Feb-1994": {Op: mail.SearchSentOn, Date: day}, "SENTSINCE 1-Feb-1994": {Op: mail.SearchSentSince, Date: day},
		"SAVEDBEFORE 1-Feb-1994": {Op: mail.SearchSaved, Number: 0, Date: day},
		"SAVEDON 1-Feb-1994":     {Op: mail.SearchSaved, Number: 1, Date: day},
		"SAVEDSINCE 1-Feb-1994":  {Op: mail.SearchSaved, Number: 2, Date: day},
		"LARGER 4096":            {Op: mail.SearchLarger, Number: 4096}, "SMALLER 0": {Op: mail.SearchSmaller},
		"OLDER 5": {Op: mail.SearchOlder, Number: 5}, "YOUNGER 259200": {Op: mail.SearchYounger, Number: 259200},
		"MODSEQ 0": {Op: mail.SearchModSeq}, `MODSEQ "/flags/\\seen" priv 7`: {Op: mail.SearchModSeq, Number: 7},
		"2:4,*":                     seqKey(mail.NumRange{From: 2, To: 4}, mail.NumRange{}),
		"$":                         {Op: mail.SearchSeq, Set: mail.NumSet{Saved: true}},
		"UID 7":                     {Op: mail.SearchUID, Set: mail.NumSet{Ranges: []mail.NumRange{{From: 7, To: 7}}}},
		"UID $":                     {Op: mail.SearchUID, Set: mail.NumSet{Saved: true}},
		"SEEN 1":                    and(seen, seqKey(mail.NumRange{From: 1, To: 1})),
		"(SEEN)":                    seen,
		"((SEEN) ALL)":              and(seen, and()),
		"NOT SEEN":                  not(seen),
		"NOT (SEEN FLAGGED)":        not(and(seen, flagged)),
		"NOT NOT SEEN":              not(not(seen)),
		"OR SEEN FLAGGED":           or(seen, flagged),
		"OR SEEN OR FLAGGED TO x":   or(seen, flagged, headerKey("To", "x")),
		"OR OR SEEN FLAGGED TO x":   or(or(seen, flagged), headerKey("To", "x")),
		"OR SEEN 1 FLAGGED":         and(or(seen, seqKey(mail.NumRange{From: 1, To: 1})), flagged),
		"OR (SEEN) (FLAGGED) SEEN":  and(or(seen, flagged), seen),
		"OR NOT SEEN NOT (FLAGGED)": or(not(seen), not(flagged)),
	} {
		_, ok, a, err := readSearch(keys)
		if !ok || !reflect.DeepEqual(a.Criteria, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", keys, a.Criteria, err, want)
		}
	}
}

func readSearch(keys string) (r *Reader, ok bool, a SearchArgs, err error) {
	r = reader("a SEARCH " + keys + "\r\n")
	if _, err := r.Command(); err != nil {
		return r, false, a, err
	}
	ok = r.ExpectSearchArgs(&a)
	return r, ok, a, r.Err()
}

func TestSearchUses(t *testing.T) {
	for keys, want := range map[string]SearchUses{
		"SEEN": 0, "NOT OLDER 1": UsesWithin, "OR SEEN YOUNGER 1": UsesWithin, "(MODSEQ 1)": UsesModSeq,
		"SAVEDATESUPPORTED": UsesSaveDate, "SAVEDON 1-Jan-2000 OLDER 2": UsesSaveDate | UsesWithin,
	} {
		if _, ok, a, err := readSearch(keys); !ok || a.Uses != want {
			t.Errorf("%s: %v, %v", keys, a.Uses, err)
		}
	}
}

func TestSearchReturn(t *testing.T) {
	for options, want := range map[string]SearchArgs{
		"":                {Return: ReturnAll},
		"MIN MAX":         {Return: ReturnMin | ReturnMax},
		"count all save":  {Return: ReturnCount | ReturnAll | ReturnSave},
		"SAVE":            {Return: ReturnSave},
		"PARTIAL 500:400": {Return: ReturnPartial, Partial: PartialRange{First: 500, Last: 400}},
		"PARTIAL -1:-100": {Return: ReturnPartial, Partial: PartialRange{First: 1, Last: 100, FromEnd: true}},
		"MIN PARTIAL 1:1": {Return: ReturnMin | ReturnPartial, Partial: PartialRange{First: 1, Last: 1}},
		"SCORES (1 2) MIN": {Return: ReturnMin, Other: []Param{{Name: "SCORES",
			Value: &Value{IsList: true, List: []Value{{Text: "1"}, {Text: "2"}}}}}},
	} {
		want.HasReturn, want.Criteria = true, and()
		if _, ok, a, err := readSearch("RETURN (" + options + ") ALL"); !ok || !reflect.DeepEqual(a, want) {
			t.Errorf("%s: %+v, %v, want %+v", options, a, err, want)
		}
	}
}

// Texts come in the charset the program names. The octets are those of the
// charsets' own tables.
func TestSearchCharset(t *testing.T) {
	for program, want := range map[string]string{
		"CHARSET UTF-8 TEXT {4+}\r\n\xd0\xba\xd0\xbb":        "кл",
		"CHARSET \"utf-8\" TEXT \"\xd0\xba\xd0\xbb\"":        "кл",
		"TEXT {4+}\r\n\xd0\xba\xd0\xbb":                      "кл",
		"CHARSET KOI8-R TEXT {4+}\r\n\xcb\xcc\xc6\xdf":       "клфъ",
		"RETURN (SAVE) CHARSET iso-8859-1 TEXT {1+}\r\n\xe9": "é",
		"CHARSET ISO-2022-JP TEXT \"\x1b$BF|K\\\x1b(B\"":     "", // the backslash needs another
		"CHARSET ISO-2022-JP TEXT \"\x1b$BF|K\\\\\x1b(B\"":   "日本",
		"CHARSET ISO-2022-JP TEXT {8+}\r\n\x1b$BF|\x1b(B":    "日",
		"CHARSET GB18030 TEXT {4+}\r\n\xc4\xe3\xba\xc3":      "你好",
		"CHARSET US-ASCII TEXT abc":                          "abc",
		"CHARSET UTF-16BE TEXT {2+}\r\n\x4e\x2d":             "中",
	} {
		_, ok, a, err := readSearch(program)
		if ok != (want != "") || a.Criteria.Text != want && ok {
			t.Errorf("%q: %q, %v, want %q", program, a.Criteria.Text, err, want)
		}
	}
	for _, name := range []string{"x-nothing", "\"\"", strings.Repeat("x", 1000)} {
		r, ok, _, err := readSearch("CHARSET " + name + " TEXT {3+}\r\nabc\r\nb NOOP")
		if name == "\"\"" {
			continue // the empty name is that of no charset: message.KnownCharset decides
		}
		if ok || mail.KindOf(err) != mail.BadCharset {
			t.Errorf("%s: %v", name, err)
		}
		if cmd, err := r.Command(); err != nil || cmd.Tag != "b" {
			t.Errorf("%s: then %+v %v", name, cmd, err)
		}
	}
}

// writeCriteria writes a program as a client would; it is the reader's inverse for
// what the reader gives.
func writeCriteria(dst []byte, c *mail.Criteria) []byte {
	list := func(word string, children []mail.Criteria) {
		dst = append(dst, word...)
		for i := range children {
			if i > 0 || word != "(" {
				dst = append(dst, ' ')
			}
			dst = writeCriteria(dst, &children[i])
		}
	}
	text := func(word, s string) { dst = AppendString(append(append(dst, word...), ' '), s, false) }
	number := func(word string) { dst = appendUint(append(append(dst, word...), ' '), c.Number) }
	date := func(word string) {
		dst = append(append(dst, word...), ' ')
		dst = append(append2(dst, c.Date.Day), '-')
		dst = append(dst, months[c.Date.Month*3-3:c.Date.Month*3]...)
		dst = append2(append2(append(dst, '-'), c.Date.Year/100), c.Date.Year%100)
	}
	switch c.Op {
	case mail.SearchAnd:
		if len(c.Children) == 0 {
			return append(dst, "ALL"...)
		}
		list("(", c.Children)
		return append(dst, ')')
	case mail.SearchOr:
		for _, child := range c.Children[:len(c.Children)-1] {
			dst = writeCriteria(append(dst, "OR "...), &child)
			dst = append(dst, ' ')
		}
		return writeCriteria(dst, &c.Children[len(c.Children)-1])
	case mail.SearchNot:
		list("NOT", c.Children)
	case mail.SearchSeq:
		return writeNumSet(dst, c.Set)
	case mail.SearchUID:
		return writeNumSet(append(dst, "UID "...), c.Set)
	case mail.SearchFlag:
		if c.Without {
			dst = append(dst, "UN"...)
		}
		if c.Flags.System != 0 {
			name := c.Flags.String()
			return append(dst, name[2:len(name)-1]...)
		}
		return append(append(dst, "KEYWORD "...), c.Flags.Keywords[0]...)
	case mail.SearchHeader:
		text("HEADER", c.Field)
		dst = AppendString(append(dst, ' '), c.Text, false)
	case mail.SearchBody:
		text("BODY", c.Text)
	case mail.SearchText:
		text("TEXT", c.Text)
	case mail.SearchNew:
		dst = append(dst, "NEW"...)
	case mail.SearchOld:
		dst = append(dst, "OLD"...)
	case mail.SearchRecent:
		dst = append(dst, "RECENT"...)
	case mail.SearchLarger:
		number("LARGER")
	case mail.SearchSmaller:
		number("SMALLER")
	case mail.SearchOlder:
		number("OLDER")
	case mail.SearchYounger:
		number("YOUNGER")
	case mail.SearchModSeq:
		number("MODSEQ")
	case mail.SearchBefore:
		date("BEFORE")
	case mail.SearchOn:
		date("ON")
	case mail.SearchSince:
		date("SINCE")
	case mail.SearchSentBefore:
		date("SENTBEFORE")
	case mail.SearchSentOn:
		date("SENTON")
	case mail.SearchSentSince:
		date("SENTSINCE")
	case mail.SearchSaved:
		date([]string{"SAVEDBEFORE", "SAVEDON", "SAVEDSINCE"}[c.Number])
	}
	return dst
}

func writeNumSet(dst []byte, set mail.NumSet) []byte {
	number := func(n uint32) {
		if n == mail.Star {
			dst = append(dst, '*')
		} else {
			dst = appendUint(dst, uint64(n))
		}
	}
	if set.Saved {
		return append(dst, '$')
	}
	for i, r := range set.Ranges {
		if i > 0 {
			dst = append(dst, ',')
		}
		number(r.From)
		dst = append(dst, ':')
		number(r.To)
	}
	return dst
}

// Whatever is read can be written, and read again it is the same.
func FuzzSearchKey(f *testing.F) {
	for _, s := range []string{"ALL", "OR SEEN OR 1:*,$ UID 3", "NOT (FROM \"a\\\\\" HEADER x {1+}\r\n\xff)", "$",
		"CHARSET KOI8-R TEXT {1+}\r\n\xcb", "RETURN (PARTIAL -1:-2 SAVE) SAVEDON 1-Jan-2000", "MODSEQ \"a\" all 5",
		"((((SEEN))))", "SENTSINCE \"29-Feb-2000\" KEYWORD a UNKEYWORD b UNSEEN LARGER 9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, program string) {
		_, ok, a, _ := readSearch(program)
		if !ok {
			return
		}
		if hasNUL(&a.Criteria) {
			return // a charset of more than one octet can say what no string can
		}
		text := string(writeCriteria([]byte("CHARSET UTF-8 "), &a.Criteria))
		// What is written in parentheses is a level deeper than it need be.
		r := reader("a SEARCH " + strings.ReplaceAll(strings.ReplaceAll(text, "}\r\n", "+}\r\n"), "++}", "+}") + "\r\n")
		r.Limits.Depth *= 3
		r.Limits.Line *= 8
		var b SearchArgs
		if _, err := r.Command(); err != nil || !r.ExpectSearchArgs(&b) {
			t.Fatalf("%q: %q: %v", program, text, r.Err())
		}
		if !reflect.DeepEqual(a.Criteria, b.Criteria) {
			t.Fatalf("%q: %+v\n%q: %+v", program, a.Criteria, text, b.Criteria)
		}
	})
}

func hasNUL(c *mail.Criteria) bool {
	found := strings.ContainsAny(c.Text+c.Field, "\x00") || strings.Contains(c.Text+c.Field, "}\r\n")
	for i := range c.Children {
		found = found || hasNUL(&c.Children[i])
	}
	return found
}
