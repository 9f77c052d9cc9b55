package search

import (
	"bytes"
	"slices"

	"postern/internal/message"
)

// BaseSubject gives the base subject of a Subject field's raw value (RFC 5256
// 2.1), in UTF-8, and whether what was taken off makes the message a reply or a
// forward: a subj-refwd, a "(fwd)" or "[fwd: ... ]" (RFC 5256 3, THREAD).
func BaseSubject(subject string) (base string, isReply bool) {
	b, isReply := appendBase(nil, subject)
	return string(b), isReply
}

// appendBase appends the base subject to dst.
func appendBase(dst []byte, subject string) (base []byte, isReply bool) {
	start := len(dst)
	dst = appendSpaced(dst, message.DecodeHeader(subject))
	text, isReply := stripSubject(dst[start:])
	return append(dst[:start], text...), isReply
}

// appendSpaced is step 1 of RFC 5256 2.1 after decoding: tabs become spaces, and
// several spaces one.
func appendSpaced(dst []byte, text string) []byte {
	start := len(dst)
	for i := range len(text) {
		c := text[i]
		if c == '\t' {
			c = ' '
		}
		if c != ' ' || len(dst) == start || dst[len(dst)-1] != ' ' {
			dst = append(dst, c)
		}
	}
	return dst
}

// stripSubject is steps 2 to 6. Every step takes something off or is the last, and
// looks at what it leaves no more than once, so time is linear.
func stripSubject(s []byte) (base []byte, isReply bool) {
	for {
		var trailed, led bool
		s, trailed = cutTrailers(s)
		s, led = cutLeaders(s)
		isReply = isReply || trailed || led
		inner, ok := cutForward(s)
		if !ok {
			return s, isReply
		}
		s, isReply = inner, true
	}
}

// cutTrailers is step 2: every subj-trailer goes.
func cutTrailers(s []byte) (rest []byte, isReply bool) {
	for {
		switch {
		case len(s) > 0 && isWSP(s[len(s)-1]):
			s = s[:len(s)-1]
		case len(s) >= len("(fwd)") && equalASCII(s[len(s)-len("(fwd)"):], "(fwd)"):
			s, isReply = s[:len(s)-len("(fwd)")], true
		default:
			return s, isReply
		}
	}
}

// cutLeaders is steps 3 to 5. Blobs are read once: if no subj-refwd follows them,
// step 4 takes them off one by one, and none of the attempts at step 3 between
// could find one either.
func cutLeaders(s []byte) (rest []byte, isReply bool) {
	for {
		for len(s) > 0 && isWSP(s[0]) {
			s = s[1:]
		}
		after, last := cutBlobs(s)
		if next, ok := cutRefwd(after); ok {
			s, isReply = next, true
			continue
		}
		if len(after) == 0 {
			return last, isReply // the last blob is subj-base if nothing else is
		}
		return after, isReply
	}
}

// cutBlobs gives what follows any number of subj-blobs, and that with the last of
// them still before it.
func cutBlobs(s []byte) (rest, last []byte) {
	rest, last = s, s
	for {
		next, ok := cutBlob(rest)
		if !ok {
			return rest, last
		}
		rest, last = next, rest
	}
}

// cutBlob takes off one subj-blob: "[", anything but brackets, "]", white space.
func cutBlob(s []byte) (rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '[' {
		return s, false
	}
	end := bytes.IndexAny(s[1:], "[]\x00")
	if end < 0 || s[1+end] != ']' {
		return s, false
	}
	return trimWSP(s[1+end+1:]), true
}

// cutRefwd takes off a subj-refwd: re, fw or fwd, then perhaps a blob, and a colon.
func cutRefwd(s []byte) (rest []byte, ok bool) {
	switch {
	case len(s) >= 3 && equalASCII(s[:3], "fwd"):
		s = s[3:]
	case len(s) >= 2 && (equalASCII(s[:2], "re") || equalASCII(s[:2], "fw")):
		s = s[2:]
	default:
		return s, false
	}
	s = trimWSP(s)
	s, _ = cutBlob(s)
	if len(s) == 0 || s[0] != ':' {
		return s, false
	}
	return s[1:], true
}

// cutForward is step 6: what stands in "[fwd:" and "]".
func cutForward(s []byte) (inner []byte, ok bool) {
	const head = "[fwd:"
	if len(s) <= len(head) || !equalASCII(s[:len(head)], head) || s[len(s)-1] != ']' {
		return s, false
	}
	return s[len(head) : len(s)-1], true
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func trimWSP(s []byte) []byte {
	i := slices.IndexFunc(s, func(c byte) bool { return !isWSP(c) })
	if i < 0 {
		return s[len(s):]
	}
	return s[i:]
}

// equalASCII compares without regard to the case of ASCII letters; want is in lower
// case.
func equalASCII(s []byte, want string) bool {
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
