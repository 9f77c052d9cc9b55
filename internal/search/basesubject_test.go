package search

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"postern/internal/message"
)

// Expected values are worked out step by step from RFC 5256 2.1.
func TestBaseSubject(t *testing.T) {
	tests := []struct {
		subject, base string
		isReply       bool
	}{
		{"", "", false},
		{"hello", "hello", false},
		{"Re: hello", "hello", true},
		{"RE:hello", "hello", true},
		{"re : hello", "hello", true},
		{"Re: re: Fw: FWD: hello", "hello", true},
		{"Re[2]: hello", "hello", true},
		{"Re [list] : hello", "hello", true},
		{"Re[a][b]: hello", "Re[a][b]: hello", false}, // subj-refwd has one blob at most
		{"Rex: hello", "Rex: hello", false},
		{"[list] hello", "hello", false},
		{"[list] Re: hello", "hello", true},
		{"Re: [list] hello", "hello", true},
		{"[a] [b][c] Fwd: [d] hello", "hello", true},
		{"[list]", "[list]", false}, // the last blob is subj-base
		{"[a] [b]", "[b]", false},
		{"[a]  Re: [b]", "[b]", true},
		{"Re:", "", true},
		{"Re: (fwd)", "", true},
		{"hello (fwd)", "hello", true},
		{"hello (FWD) \t(fwd) ", "hello", true},
		{"hello(fwd)", "hello", true},
		{"(fwd) hello", "(fwd) hello", false},
		{"[fwd: hello]", "hello", true},
		{"[FWD: Re: hello (fwd)]", "hello", true},
		{"[fwd: [fwd: hello] ] (fwd)", "hello", true},
		{"[fwd: [list] hello]", "hello", true},
		{"[fwd: hello] world", "world", false}, // step 4 takes it for a blob
		{"[fwd:]", "", true},
		{"[fwd hello]", "[fwd hello]", false},
		{"Re: [fwd: Re: hello]", "hello", true},
		{"[unclosed hello", "[unclosed hello", false},
		{"[a[b]] hello", "[a[b]] hello", false}, // brackets are no BLOBCHAR
		{"  a \t b   c ", "a b c", false},
		{"AW: hello", "AW: hello", false}, // not translated: RFC 5256 7
		{"=?utf-8?q?Re:_Caf=C3=A9?=", "Café", true},
		{"=?utf-8?b?UmU6IGhlbGxv?= (fwd)", "hello", true},
	}
	for _, tt := range tests {
		if base, isReply := BaseSubject(tt.subject); base != tt.base || isReply != tt.isReply {
			t.Errorf("%q: %q, %v, want %q, %v", tt.subject, base, isReply, tt.base, tt.isReply)
		}
	}
}

// The productions of RFC 5256 5, as regular expressions over text whose tabs are
// gone.
var (
	subjTrailer = regexp.MustCompile(`(?i)(?:\(fwd\)| )$`)
	subjLeader  = regexp.MustCompile(`(?i)^(?:(?:\[[^\[\]\x00]*\] *)*(?:re|fwd?) *(?:\[[^\[\]\x00]*\] *)?:| )`)
	subjBlob    = regexp.MustCompile(`^\[[^\[\]\x00]*\] *`)
	subjBase    = regexp.MustCompile(`(?s)^[^ ]`)
	subjFwd     = regexp.MustCompile(`(?is)^\[fwd:(.*)\]$`)
)

// plainBaseSubject does what RFC 5256 2.1 says, one step after the other.
func plainBaseSubject(subject string) (base string, isReply bool) {
	s := strings.ReplaceAll(message.DecodeHeader(subject), "\t", " ")
	s = regexp.MustCompile(` +`).ReplaceAllString(s, " ")
	for {
		for subjTrailer.MatchString(s) {
			isReply = isReply || !strings.HasSuffix(s, " ")
			s = subjTrailer.ReplaceAllString(s, "")
		}
		for again := true; again; {
			again = false
			for subjLeader.MatchString(s) {
				isReply = isReply || !strings.HasPrefix(s, " ")
				s, again = subjLeader.ReplaceAllString(s, ""), true
			}
			if rest := subjBlob.ReplaceAllString(s, ""); rest != s && subjBase.MatchString(rest) {
				s, again = rest, true
			}
		}
		m := subjFwd.FindStringSubmatch(s)
		if m == nil {
			return s, isReply
		}
		s, isReply = m[1], true
	}
}

func drawSubject(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		"Re:", "re", "FW", "fwd", ":", "[", "]", "[a]", "[fwd:", "(fwd)", " ", "\t", "x", "é", "[b] ", "fwd: ", "=?utf-8?q?[re:]?=", "\r",
	}), 0, 9).Draw(t, "subject"), "")
}

func TestBaseSubjectAgainstThePlainOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subject := drawSubject(t)
		base, isReply := BaseSubject(subject)
		wantBase, wantReply := plainBaseSubject(subject)
		if base != wantBase || isReply != wantReply {
			t.Fatalf("%q: %q, %v, want %q, %v", subject, base, isReply, wantBase, wantReply)
		}
	})
}

// FuzzBaseSubject compares any subject with the plain procedure; what is left has
// nothing that could be taken off.
func FuzzBaseSubject(f *testing.F) {
	for _, s := range []string{"Re: [x] fwd: y (fwd)", "[fwd: [fwd: [a] re [b]: c]]", "=?utf-8?b?W2Z3ZDo=?= x]", "\x00[\x00]", "\xff\xfe re:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		if len(subject) > 1000 {
			return // the plain procedure takes the square of it
		}
		base, isReply := BaseSubject(subject)
		if wantBase, wantReply := plainBaseSubject(subject); base != wantBase || isReply != wantReply {
			t.Fatalf("%q: %q, %v, want %q, %v", subject, base, isReply, wantBase, wantReply)
		}
		if !utf8.ValidString(base) {
			t.Errorf("%q gives %q, which is not UTF-8", subject, base)
		}
	})
}
