package dialogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// matchLine compares a line of the server, its literals included, with an expectation. On a match, what the captures
// caught is in vars; otherwise vars is unchanged and why says where the two part.
func matchLine(e Expectation, line string, vars variables) (ok bool, why string, err error) {
	if e.Mode == Regexp {
		re, err := regexp.Compile(e.Pattern)
		return err == nil && re.MatchString(line), "the regular expression does not match", err
	}
	trial := &matcher{vars: vars.clone()}
	ok = trial.line(e.Pattern, line)
	if trial.err != nil {
		return false, "", trial.err
	}
	if ok {
		for name, value := range trial.vars {
			vars[name] = value
		}
	}
	return ok, trial.why, nil
}

// checkPattern reports a pattern that could match nothing because it is cut wrongly.
func checkPattern(pattern string) error {
	if tag, _, rest := cutStatus(pattern, true); tag != "" {
		code, _, err := cutCode(rest, true)
		if err == nil && code != "" {
			_, err = cutNodes(code, true)
		}
		return err
	}
	if pattern == "+" || strings.HasPrefix(pattern, "+ ") {
		return nil
	}
	_, err := cutNodes(pattern, true)
	return err
}

type matcher struct {
	vars variables
	why  string // the innermost reason found last
	err  error  // the pattern is at fault
}

func (m *matcher) fail(format string, args ...any) bool {
	if m.why == "" {
		m.why = fmt.Sprintf(format, args...)
	}
	return false
}

// text compares leaves.
func (m *matcher) text(pattern, text string, fold bool) bool {
	ok, err := m.vars.matchText(pattern, text, fold)
	if err != nil && m.err == nil {
		m.err = err
	}
	return ok || m.fail("%q is not %q", text, pattern)
}

// line tells the three forms of lines apart: "+ text", status responses, and data.
func (m *matcher) line(pattern, line string) bool {
	if strings.HasPrefix(pattern, "+") {
		if !strings.HasPrefix(line, "+") {
			return m.fail("it is no continuation request")
		}
		return m.human(strings.TrimPrefix(pattern[1:], " "), strings.TrimPrefix(line[1:], " "))
	}
	wantTag, wantWord, wantRest := cutStatus(pattern, true)
	tag, word, text := cutStatus(line, false)
	if wantTag != "" || tag != "" {
		if wantTag == "" || tag == "" {
			return m.fail("one is a status response (OK, NO, BAD, BYE), the other is not")
		}
		return m.text(wantTag, tag, false) && m.text(wantWord, word, false) && m.status(wantRest, text)
	}
	want, err := cutNodes(pattern, true)
	if err != nil {
		m.err = err
		return false
	}
	got, err := cutNodes(line, false)
	if err != nil {
		return m.fail("the line is no IMAP: %v", err)
	}
	return m.data(want, got)
}

// statusWord is the second word of a status response.
var statusWord = regexp.MustCompile(`^(OK|NO|BAD|BYE|PREAUTH)$`)

// statusPattern is the second word of a pattern of one: such a word, or a capture of several.
var statusPattern = regexp.MustCompile(`^(OK|NO|BAD|BYE|PREAUTH|\{[a-z]*=(OK|NO|BAD|BYE|\||\(|\))+\})$`)

// cutStatus cuts "tag OK rest"; tag is "" where the line is none.
func cutStatus(line string, pattern bool) (tag, word, text string) {
	tag, after, _ := strings.Cut(line, " ")
	word, text, _ = strings.Cut(after, " ")
	form := statusWord
	if pattern {
		form = statusPattern
	}
	if !form.MatchString(word) {
		return "", "", ""
	}
	return tag, word, text
}

// cutCode cuts "[CODE args] text".
func cutCode(text string, pattern bool) (code, human string, err error) {
	if !strings.HasPrefix(text, "[") {
		return "", text, nil
	}
	quoted := false
	for i := 1; i < len(text); i++ {
		switch {
		case pattern && isCapture(text[i:]):
			end, err := captureEnd(text[i:])
			if err != nil {
				return "", "", err
			}
			i += end - 1
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ']' && !quoted:
			return text[1:i], strings.TrimPrefix(text[i+1:], " "), nil
		}
	}
	return "", "", fmt.Errorf("a response code without its ]")
}

// status compares what follows OK, NO, BAD, BYE.
func (m *matcher) status(pattern, text string) bool {
	wantCode, wantHuman, err := cutCode(pattern, true)
	if err != nil {
		m.err = err
		return false
	}
	if wantCode == "" {
		return m.human(wantHuman, text)
	}
	code, human, err := cutCode(text, false)
	if err != nil {
		return m.fail("%v", err)
	}
	if code == "" {
		return m.fail("there is no response code")
	}
	want, err := cutNodes(wantCode, true)
	if err != nil {
		m.err = err
		return false
	}
	got, err := cutNodes(code, false)
	if err != nil {
		return m.fail("the response code is no IMAP: %v", err)
	}
	if len(want) == 0 || len(got) == 0 || !m.node(want[0], got[0]) {
		return m.fail("the response code is %q", code)
	}
	switch want[0].text {
	case "CAPABILITY":
		return m.set(want[1:], got[1:], 1) && m.human(wantHuman, human)
	case "PERMANENTFLAGS", "BADCHARSET":
		if len(want) == 2 && len(got) == 2 && want[1].kind == list {
			return m.setList(want[1], got[1]) && m.human(wantHuman, human)
		}
	}
	return m.sequence(want[1:], got[1:]) && m.human(wantHuman, human)
}

// human compares the text meant for people.
func (m *matcher) human(pattern, text string) bool {
	if head, ok := strings.CutSuffix(pattern, rest); ok {
		return strings.HasPrefix(text, head) || m.fail("%q does not begin with %q", text, head)
	}
	return m.text(pattern, text, false)
}

// data compares untagged data, knowing what of it has no order.
func (m *matcher) data(want, got []node) bool {
	word := func(i int) string {
		if i < len(want) && i < len(got) && want[i].kind == atom && want[i].text == got[i].text {
			return want[i].text
		}
		return ""
	}
	switch {
	case (word(2) == "FETCH" || word(2) == "UIDFETCH") && len(want) == 4 && len(got) == 4:
		return m.node(want[0], got[0]) && m.node(want[1], got[1]) && m.pairList(want[3], got[3])
	case word(1) == "FLAGS" && len(want) == 3 && len(got) == 3:
		return m.setList(want[2], got[2])
	case word(1) == "CAPABILITY", word(1) == "ENABLED", word(1) == "SEARCH":
		return m.set(want[2:], got[2:], 1)
	case (word(1) == "LIST" || word(1) == "LSUB" || word(1) == "XLIST") && len(want) >= 5 && len(got) >= 5:
		return m.setList(want[2], got[2]) && m.node(want[3], got[3]) && m.mailbox(want[4], got[4]) && m.extended(want[5:], got[5:])
	case word(1) == "STATUS" && len(want) == 4 && len(got) == 4:
		return m.mailbox(want[2], got[2]) && m.pairList(want[3], got[3])
	case word(1) == "METADATA" && len(want) >= 4 && len(got) >= 4: // values, or names alone (RFC 5464 5)
		if want[3].kind == list && got[3].kind == list && len(want) == 4 && len(got) == 4 {
			return m.mailbox(want[2], got[2]) && m.set(asAtoms(want[3].kids, 2), asAtoms(got[3].kids, 2), 2)
		}
		return m.mailbox(want[2], got[2]) && m.set(asAtoms(want[3:], 1), asAtoms(got[3:], 1), 1)
	case word(1) == "QUOTAROOT" && len(want) >= 3 && len(want) == len(got): // astrings (RFC 9208 7)
		for i := 2; i < len(want); i++ {
			if !m.mailbox(want[i], got[i]) {
				return false
			}
		}
		return m.sequence(want[:2], got[:2])
	case word(1) == "QUOTA" && len(want) == 4 && len(got) == 4 && want[3].kind == list && got[3].kind == list:
		return m.mailbox(want[2], got[2]) && m.node(want[3], got[3])
	case word(1) == "ACL", word(1) == "LISTRIGHTS", word(1) == "MYRIGHTS":
		return m.astrings(want[2:], got[2:])
	case word(1) == "ESEARCH":
		return m.esearch(want[2:], got[2:])
	case word(1) == "ID" && len(want) == 3 && len(got) == 3 && want[2].kind == list && got[2].kind == list:
		return m.set(want[2].kids, got[2].kids, 2)
	}
	return m.sequence(want, got)
}

// asAtoms makes atoms of every step-th node that is a string: an astring may be either.
func asAtoms(nodes []node, step int) []node {
	out := slices.Clone(nodes)
	for i := 0; i < len(out); i += step {
		if out[i].kind != list {
			out[i].kind = atom
		}
	}
	return out
}

// esearch compares [(TAG "x")] [UID] pairs.
func (m *matcher) esearch(want, got []node) bool {
	for len(want) > 0 && (want[0].kind == list || want[0].text == "UID") {
		if len(got) == 0 || !m.node(want[0], got[0]) {
			return m.fail("%q is missing", want[0].raw)
		}
		want, got = want[1:], got[1:]
	}
	return m.set(want, got, 2)
}

// sequence compares nodes in their order.
func (m *matcher) sequence(want, got []node) bool {
	for i, w := range want {
		if w.kind == atom && w.text == rest {
			return true
		}
		if i >= len(got) {
			return m.fail("%q is missing", w.raw)
		}
		if !m.node(w, got[i]) {
			return false
		}
	}
	if len(got) > len(want) {
		return m.fail("%q is too much", got[len(want)].raw)
	}
	return true
}

// node compares two nodes.
func (m *matcher) node(want, got node) bool {
	if want.glued != got.glued {
		return m.fail("a space before %q too many or too few", got.raw)
	}
	if want.kind == atom && isCapture(want.text) {
		if end, err := captureEnd(want.text); err == nil && end == len(want.text) {
			return m.text(want.text, got.raw, false)
		}
	}
	if want.kind != got.kind {
		return m.fail("%q is not %q", got.raw, want.raw)
	}
	if want.kind == list {
		return m.sequence(want.kids, got.kids)
	}
	return m.text(want.text, got.text, want.kind == atom && strings.HasPrefix(want.text, `\`))
}

// extended compares what may follow the name in a LIST response: a list of tags with values. A tag is an astring (RFC 5258
// 6, mbox-list-extended-item-tag), so "CHILDINFO" and CHILDINFO are one.
func (m *matcher) extended(want, got []node) bool {
	if len(want) != 1 || len(got) != 1 || want[0].kind != list || got[0].kind != list {
		return m.sequence(want, got)
	}
	plain := func(n node) []node {
		kids := slices.Clone(n.kids)
		for i := 0; i < len(kids); i += 2 {
			if kids[i].kind == str {
				kids[i].kind = atom
			}
		}
		return kids
	}
	return m.set(plain(want[0]), plain(got[0]), 2)
}

// mailbox compares names by their value: an atom and a string of the same octets are the same mailbox.
func (m *matcher) mailbox(want, got node) bool {
	if want.kind == list || got.kind == list {
		return m.fail("a mailbox name is no list")
	}
	if strings.EqualFold(want.text, inbox) && strings.EqualFold(got.text, inbox) {
		return true
	}
	return m.text(want.text, got.text, false)
}

// inbox is the one name without case (RFC 3501 5.1).
const inbox = "INBOX"

// setList compares two lists whose elements have no order.
func (m *matcher) setList(want, got node) bool {
	if want.kind != list || got.kind != list {
		return m.node(want, got)
	}
	return m.set(want.kids, got.kids, 1)
}

// pairList compares two lists of names with values that have no order: FETCH, STATUS.
func (m *matcher) pairList(want, got node) bool {
	if want.kind != list || got.kind != list {
		return m.node(want, got)
	}
	return m.set(want.kids, got.kids, 2)
}

// set compares groups of size nodes (flags: 1, names with values: 2) in any order. A group of the pattern whose name
// ends in "?" may be missing; "..." lets anything more be there.
func (m *matcher) set(want, got []node, size int) bool {
	open := false
	if n := len(want); n > 0 && want[n-1].kind == atom && want[n-1].text == rest {
		want, open = want[:n-1], true
	}
	if len(want)%size != 0 || len(got)%size != 0 {
		return m.fail("a name without a value")
	}
	left := slices.Collect(slices.Chunk(got, size))
	for group := range slices.Chunk(want, size) {
		wanted := slices.Clone(group)
		if name, isForbidden := strings.CutPrefix(wanted[0].text, forbiddenMark); isForbidden && wanted[0].kind == atom {
			wanted[0].text, wanted[0].raw = name, name
			if slices.ContainsFunc(left, func(candidate []node) bool { return m.group(wanted[:1], candidate[:1]) }) {
				return m.fail("%q must not be there", name)
			}
			continue
		}
		name, mayMiss := strings.CutSuffix(wanted[0].text, optionalMark)
		mayMiss = mayMiss && wanted[0].kind == atom && name != "" && !isCapture(wanted[0].text)
		if mayMiss {
			wanted[0].text, wanted[0].raw = name, name
		}
		at := slices.IndexFunc(left, func(candidate []node) bool { return m.group(wanted, candidate) })
		switch {
		case at >= 0:
			left = slices.Delete(left, at, at+1)
		case !mayMiss:
			return m.fail("%q is missing", wanted[0].raw)
		}
	}
	if len(left) > 0 && !open {
		return m.fail("%q is too much", left[0][0].raw)
	}
	return true
}

// group compares one flag, or one name and its value. A value that differs leaves its reason.
func (m *matcher) group(want, got []node) bool {
	trial := &matcher{vars: m.vars.clone()}
	want, got = slices.Clone(want), slices.Clone(got)
	want[0].glued, got[0].glued = false, false
	if !trial.node(want[0], got[0]) {
		if trial.err != nil {
			m.err = trial.err
		}
		return false
	}
	if len(want) == 2 {
		ok := false
		switch want[0].text {
		case "FLAGS":
			ok = trial.setList(want[1], got[1])
		case "BODY", "BODYSTRUCTURE":
			ok = trial.foldedNode(want[1], got[1])
		default:
			ok = trial.node(want[1], got[1])
		}
		if !ok {
			if trial.err != nil {
				m.err = trial.err
			}
			return m.fail("%s: %s", got[0].raw, trial.why)
		}
	}
	m.vars = trial.vars
	return true
}

// foldedNode compares body structures, whose words have no case (RFC 2045 5.1), though they are strings.
func (m *matcher) foldedNode(want, got node) bool {
	if want.glued != got.glued {
		return m.fail("a space before %q too many or too few", got.raw)
	}
	if want.kind == list && got.kind == list {
		if len(want.kids) != len(got.kids) && (len(want.kids) == 0 || want.kids[len(want.kids)-1].text != rest) {
			return m.fail("%q is not %q", got.raw, want.raw)
		}
		for i, w := range want.kids {
			if w.kind == atom && w.text == rest {
				return true
			}
			if i >= len(got.kids) || !m.foldedNode(w, got.kids[i]) {
				return m.fail("%q is not %q", got.raw, want.raw)
			}
		}
		return true
	}
	if want.kind == str && got.kind == str {
		return m.text(want.text, got.text, true)
	}
	return m.node(want, got)
}
