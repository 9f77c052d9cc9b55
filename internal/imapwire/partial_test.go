package imapwire

import (
	"math"
	"testing"

	"postern/internal/mail"
)

// TestPartialRangeOf counts by hand which of the results a range is (RFC 9394
// 3.1): what does not exist is left out.
func TestPartialRangeOf(t *testing.T) {
	for _, test := range []struct {
		first, last uint32
		fromEnd     bool
		count       int
		skip, take  int
	}{
		{1, 500, false, 23764, 0, 500},
		{501, 1000, false, 23764, 500, 500},
		{23500, 24000, false, 23764, 23499, 265},
		{24000, 24500, false, 23764, 0, 0},
		{1, 100, true, 23764, 23664, 100},
		{100, 1, true, 23764, 23664, 100},
		{500, 400, false, 450, 399, 51},
		{2, 3, true, 5, 2, 2},
		{1, 1, true, 1, 0, 1},
		{1, 1, false, 0, 0, 0},
		{1, 1, true, 0, 0, 0},
		{6, 9, true, 5, 0, 0},
		{4, 9, true, 5, 0, 2},
		{1, math.MaxUint32, false, 3, 0, 3},
		{math.MaxUint32, 1, true, 3, 0, 3},
		{math.MaxUint32, math.MaxUint32, true, 3, 0, 0},
	} {
		p := PartialRange{First: test.first, Last: test.last, FromEnd: test.fromEnd}
		if skip, take := p.Of(test.count); skip != test.skip || take != test.take {
			t.Errorf("%+v of %d: skip %d, take %d, want %d, %d", p, test.count, skip, take, test.skip, test.take)
		}
	}
}

func TestFetchPartial(t *testing.T) {
	read := func(args string) (FetchArgs, bool) {
		r := reader("a UID FETCH " + args + "\r\n")
		if _, err := r.Command(); err != nil {
			t.Fatal(err)
		}
		var a FetchArgs
		ok := r.ExpectFetchArgs(&a)
		return a, ok
	}
	for args, want := range map[string]PartialRange{
		"25900:26600 (UID FLAGS) (PARTIAL -1:-3)":                     {First: 1, Last: 3, FromEnd: true},
		"25900:26600 (UID FLAGS) (partial 1:5)":                       {First: 1, Last: 5},
		"25900:26600 (UID FLAGS) (PARTIAL -1:-30 CHANGEDSINCE 98305)": {First: 1, Last: 30, FromEnd: true},
		"1:* FLAGS (CHANGEDSINCE 98305 PARTIAL 500:400)":              {First: 500, Last: 400},
	} {
		if a, ok := read(args); !ok || !a.HasPartial || a.Partial != want || len(a.Other) > 0 {
			t.Errorf("%s: %v, %+v", args, ok, a)
		}
	}
	for _, args := range []string{
		"1 FLAGS (PARTIAL)", "1 FLAGS (PARTIAL 1)", "1 FLAGS (PARTIAL 0:1)", "1 FLAGS (PARTIAL 1:*)", "1 FLAGS (PARTIAL -1:5)",
		"1 FLAGS (PARTIAL 1:-5)", "1 FLAGS (PARTIAL 1:2,4)", "1 FLAGS (PARTIAL (1:2))", "1 FLAGS (PARTIAL 1:4294967296)",
		"1 FLAGS (PARTIAL 1:2 PARTIAL 3:4)", "1 FLAGS PARTIAL 1:2", `1 FLAGS (PARTIAL "1:2")`,
	} {
		if a, ok := read(args); ok {
			t.Errorf("%s is taken as %+v", args, a)
		}
	}
}

func TestSearchPartialOnce(t *testing.T) {
	for _, options := range []string{"PARTIAL 1:2 PARTIAL 3:4", "PARTIAL 1:2 ALL", "ALL PARTIAL 1:2", "PARTIAL", "PARTIAL -0:-1", "PARTIAL 1:*"} {
		if _, ok, a, _ := readSearch("RETURN (" + options + ") ALL"); ok {
			t.Errorf("%s is taken as %+v", options, a)
		}
	}
}

func TestSearchObjectID(t *testing.T) {
	for keys, want := range map[string]mail.Criteria{
		"EMAILID M6d99ac3275bb4e":    {Op: mail.SearchEmailID, Text: "M6d99ac3275bb4e"},
		"threadid T64b478a75b7ea9":   {Op: mail.SearchThreadID, Text: "T64b478a75b7ea9"},
		`EMAILID "M_6-"`:             {Op: mail.SearchEmailID, Text: "M_6-"},
		"THREADID 1":                 {Op: mail.SearchThreadID, Text: "1"},
		"EMAILID {3+}\r\nM12":        {Op: mail.SearchEmailID, Text: "M12"},
		"NOT THREADID nil":           not(mail.Criteria{Op: mail.SearchThreadID, Text: "nil"}),
		"OR EMAILID 1 EMAILID 2":     or(mail.Criteria{Op: mail.SearchEmailID, Text: "1"}, mail.Criteria{Op: mail.SearchEmailID, Text: "2"}),
		"(EMAILID M1-2-3-4) UNSEEN ": {},
	} {
		_, ok, a, err := readSearch(keys)
		if want.Op == 0 {
			if ok {
				t.Errorf("%s is taken", keys)
			}
			continue
		}
		if !ok || a.Uses != UsesObjectID || !sameCriteria(a.Criteria, want) {
			t.Errorf("%s: %+v, %v", keys, a, err)
		}
	}
	for _, keys := range []string{"EMAILID", "EMAILID ", `EMAILID ""`, "EMAILID (M1)", "EMAILID M.1", "THREADID *", `THREADID "a b"`, "EMAILIDS 1"} {
		if _, ok, a, _ := readSearch(keys); ok {
			t.Errorf("%s is taken as %+v", keys, a)
		}
	}
}

func sameCriteria(a, b mail.Criteria) bool {
	same := a.Op == b.Op && a.Text == b.Text && len(a.Children) == len(b.Children)
	for i := range a.Children {
		same = same && sameCriteria(a.Children[i], b.Children[i])
	}
	return same
}
