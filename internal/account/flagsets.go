package account

import (
	"slices"
	"strings"
	"sync/atomic"

	"postern/internal/mail"
)

// flagTable interns the sets of flags that an account's messages bear, so that a
// row holds four octets however many keywords there are. A keyword is spelled as
// it was first seen, by whatever message, so two sets are the same if and only
// if their IDs are. The committer alone adds to it; everybody reads it without a
// lock. It shrinks when the account is loaded again.
type flagTable struct {
	sets     atomic.Pointer[[]flagSet]
	ids      map[string]FlagsID // by text; the committer's own
	spelling map[string]string  // keyword in lower case to the spelling first seen
	octets   atomic.Int64       // of the sets' texts
}

// maxFlagOctets bounds the texts of an account's flag sets, which are remembered
// as long as anybody has the account open. Beyond it clients can set no keywords
// but by copying. Ten thousand sets of ten keywords have a tenth of it.
const maxFlagOctets = 16 << 20

type flagSet struct {
	flags mail.Flags
	text  []byte
}

func newFlagTable() *flagTable {
	t := &flagTable{ids: map[string]FlagsID{}, spelling: map[string]string{}}
	t.sets.Store(&[]flagSet{})
	t.intern(mail.Flags{}) // so that the zero FlagsID names the empty set
	return t
}

// intern gives the ID of a set.
func (t *flagTable) intern(f mail.Flags) FlagsID {
	f = t.spelled(f)
	text := f.Append(nil, false)
	if id, ok := t.ids[string(text)]; ok {
		return id
	}
	sets := append(*t.sets.Load(), flagSet{f, text})
	id := FlagsID(len(sets) - 1)
	// Readers index below the length they were published with, so writing
	// behind it in the same array disturbs none.
	t.sets.Store(&sets)
	t.ids[string(text)] = id
	t.octets.Add(int64(len(text)))
	return id
}

// spelled gives the set with every keyword as it was first spelled.
func (t *flagTable) spelled(f mail.Flags) mail.Flags {
	cloned := false
	for i, k := range f.Keywords {
		lower := lowerASCII(k)
		first, ok := t.spelling[lower]
		if !ok {
			t.spelling[strings.Clone(lower)] = strings.Clone(k)
			continue
		}
		if first != k {
			if !cloned {
				f.Keywords, cloned = slices.Clone(f.Keywords), true
			}
			f.Keywords[i] = first
		}
	}
	return f
}

// lowerASCII folds case as keywords are compared (mail.CompareKeywords).
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func (t *flagTable) get(id FlagsID) flagSet { return (*t.sets.Load())[id] }

func (t *flagTable) system(id FlagsID) mail.SystemFlags { return t.get(id).flags.System }

// bears reports whether a set has any of the keywords of f.
func (t *flagTable) bears(id FlagsID, f mail.Flags) bool {
	return slices.ContainsFunc(f.Keywords, t.get(id).flags.HasKeyword)
}

// applier gives what a set becomes by an operation, working out each set once.
type applier struct {
	t     *flagTable
	op    mail.FlagOp
	flags mail.Flags
	done  []FlagsID // by the set before; noFlags: not worked out
}

const noFlags = ^FlagsID(0)

func (t *flagTable) applier(op mail.FlagOp, flags mail.Flags) *applier {
	return &applier{t: t, op: op, flags: flags}
}

func (a *applier) apply(id FlagsID) FlagsID {
	for int(id) >= len(a.done) {
		a.done = append(a.done, noFlags)
	}
	if a.done[id] == noFlags {
		a.done[id] = a.t.intern(a.op.Apply(a.t.get(id).flags, a.flags))
	}
	return a.done[id]
}
