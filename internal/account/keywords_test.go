package account

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
)

// words gives the keywords numbered from first on.
func words(first, n int) mail.Flags {
	var f mail.Flags
	for i := range n {
		f.Keywords = append(f.Keywords, fmt.Sprintf("w%04d", first+i))
	}
	return f
}

// TestMailboxKeywords fills a mailbox with keywords to its limit, which is
// security.md's L-FLAGS: 1,024.
func TestMailboxKeywords(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	m := box(t, a, mail.Inbox)
	for i := range 3 {
		w.add(m, i, words(256*i, 256))
	}
	w.add(m, 3, words(768, 255)) // 1,023
	if err := m.AdmitKeywords(t.Context(), words(1023, 1)); err != nil {
		t.Errorf("the 1,024th of a mailbox that is not loaded: %v", err)
	}
	wantKind(t, m.AdmitKeywords(t.Context(), words(1023, 2)), mail.Limit)
	s := sel(t, m)
	if !s.MoreKeywords() {
		t.Error("no room for the 1,024th")
	}
	store := func(uid mail.UID, op mail.FlagOp, f mail.Flags) {
		t.Helper()
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(uid), Op: op, Flags: f}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []mail.Flags{{}, {System: mail.Seen}, words(0, 256), words(1023, 1)} {
		if err := s.AdmitKeywords(t.Context(), f); err != nil {
			t.Errorf("%v: %v", f, err)
		}
	}
	store(4, mail.AddFlags, words(1023, 1)) // 1,024
	if s.MoreKeywords() {
		t.Error("room for the 1,025th")
	}
	if err := s.AdmitKeywords(t.Context(), mail.Flags{Keywords: []string{"W1023"}}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	wantKind(t, s.AdmitKeywords(t.Context(), words(1024, 1)), mail.Limit)
	// One that comes out of use makes room for another.
	store(4, mail.RemoveFlags, words(1023, 1))
	if err := s.AdmitKeywords(t.Context(), words(1024, 1)); err != nil {
		t.Errorf("after one came out of use: %v", err)
	}
	if got := len(s.Keywords()); got != 1023 {
		t.Errorf("%d keywords are listed, want 1,023", got)
	}
}

// TestKeywordsComeAndGo lets a client use ever new keywords, few at a time: what
// SELECT names must not grow for ever.
func TestKeywordsComeAndGo(t *testing.T) {
	w := newWorld(t)
	m := box(t, w.open(), mail.Inbox)
	uid := w.add(m, 1, mail.Flags{})
	s := sel(t, m)
	for i := range 40 {
		f := words(100*i, 100)
		if err := s.AdmitKeywords(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StoreFlags(t.Context(), StoreRequest{UIDs: set(uid), Op: mail.SetFlags, Flags: f}); err != nil {
			t.Fatal(err)
		}
		if got := len(s.Keywords()); got > 1024 {
			t.Fatalf("%d keywords are listed after %d were used", got, 100*(i+1))
		}
	}
}

// TestFlagSetsAreBounded uses ever new sets of keywords, which are remembered.
func TestFlagSetsAreBounded(t *testing.T) {
	w := newWorld(t)
	a := w.open()
	m := box(t, a, mail.Inbox)
	w.add(m, 1, mail.Flags{})
	s := sel(t, m)
	tail := strings.Repeat("x", 200)
	var err error
	for i := 0; err == nil; i++ {
		f := words(0, 200)
		for k := range f.Keywords {
			f.Keywords[k] += tail
		}
		f.Keywords[0] = fmt.Sprintf("set%d", i)
		if err = s.AdmitKeywords(t.Context(), f); err == nil {
			a.flags.intern(f)
		}
		if got := a.flags.octets.Load(); got > maxFlagOctets+1<<20 {
			t.Fatalf("%d octets of flag sets are remembered", got)
		}
	}
	wantKind(t, err, mail.Limit)
	if err := s.AdmitKeywords(t.Context(), mail.Flags{System: mail.Seen}); err != nil {
		t.Errorf("\\Seen: %v", err)
	}
}
