package search

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
)

// folder prepares text for comparison as i;unicode-casemap does (RFC 5051): each
// character in its simple title case, then decomposed, canonically and by
// compatibility. Combining marks are put in canonical order as well, which RFC
// 5051 allows and Vietnamese needs: windows-1258 writes in another order what
// Unicode composes. A byte that is not UTF-8 stays as it is.
//
// For the other collations it does what they say instead: i;ascii-casemap makes
// capitals of the letters of ASCII and leaves the rest, i;octet leaves everything
// (RFC 4790 9.2, 9.3).
//
// It takes text in pieces cut anywhere and gives the same as for the whole.
type folder struct {
	by      mail.Collation
	partial []byte // the beginning of a character whose end is still to come
	marks   []mark // combining marks that wait for their order
	known   [512]folded
}

// mark is a combining mark and its canonical combining class; a class of 0 makes
// it another character.
type mark struct {
	r     rune
	class uint8
}

// folded remembers a character that folds to one that is no combining mark, and
// at most one mark after it. That is most letters of most languages.
type folded struct {
	from, to rune
	mark     mark // r is 0: none
}

// maxMarks is the longest run of combining marks that is put in order; in a
// longer one, which no language has, each stretch of so many is on its own.
const maxMarks = 64

// foldString folds all of s.
func foldString(s string, by mail.Collation) []byte {
	f := folder{by: by}
	return f.flush(f.append(nil, []byte(s)))
}

// append folds the next piece of a text and appends to dst what is certain.
func (f *folder) append(dst, piece []byte) []byte {
	switch f.by {
	case mail.Octet:
		return append(dst, piece...)
	case mail.ASCIICasemap:
		start := len(dst)
		dst = append(dst, piece...)
		capitals(dst[start:])
		return dst
	}
	for len(f.partial) > 0 && len(piece) > 0 {
		f.partial = append(f.partial, piece[0])
		piece = piece[1:]
		if utf8.FullRune(f.partial) {
			var begun [utf8.UTFMax]byte
			n := copy(begun[:], f.partial)
			f.partial = f.partial[:0]
			dst = f.whole(dst, begun[:n]) // keeps the last byte again if the others were wrong
		}
	}
	return f.whole(dst, piece)
}

// capitals makes capitals of the letters of ASCII, eight octets at a time.
func capitals(text []byte) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		w := binary.LittleEndian.Uint64(text)
		low := w &^ high
		// The high bits of octets that are 'a' at least and not above 'z'.
		small := (low + (0x80-'a')*ones) &^ (low + (0x80-'z'-1)*ones) &^ w & high
		binary.LittleEndian.PutUint64(text, w-small>>2) // 0x80 >> 2 is 'a' - 'A'
	}
	for i, c := range text {
		if 'a' <= c && c <= 'z' {
			text[i] = c - ('a' - 'A')
		}
	}
}

// asciiLen is how many octets of ASCII a piece begins with.
func asciiLen(piece []byte) int {
	const high = 0x8080808080808080
	n := 0
	for ; n+8 <= len(piece); n += 8 {
		if w := binary.LittleEndian.Uint64(piece[n:]) & high; w != 0 {
			return n + bits.TrailingZeros64(w)/8
		}
	}
	for n < len(piece) && piece[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// whole folds a piece that begins with a character.
func (f *folder) whole(dst, piece []byte) []byte {
	for i := 0; i < len(piece); {
		if piece[i] < utf8.RuneSelf {
			if len(f.marks) > 0 {
				dst = f.flushMarks(dst)
			}
			n, start := asciiLen(piece[i:]), len(dst)
			dst = append(dst, piece[i:i+n]...)
			capitals(dst[start:])
			i += n
			continue
		}
		r, size := utf8.DecodeRune(piece[i:])
		if r == utf8.RuneError && size == 1 {
			if !utf8.FullRune(piece[i:]) {
				f.partial = append(f.partial[:0], piece[i:]...)
				return dst
			}
			dst = append(f.flushMarks(dst), piece[i])
		} else {
			dst = f.rune(dst, r)
		}
		i += size
	}
	return dst
}

// flush ends the text: what waited is appended, and another text may begin.
func (f *folder) flush(dst []byte) []byte {
	dst = append(f.flushMarks(dst), f.partial...)
	f.partial = f.partial[:0]
	return dst
}

// rune folds one character.
func (f *folder) rune(dst []byte, r rune) []byte {
	known := &f.known[uint32(r)%uint32(len(f.known))]
	if known.from == r {
		dst = utf8.AppendRune(f.flushMarks(dst), known.to)
		if known.mark.r != 0 {
			f.marks = append(f.marks, known.mark)
		}
		return dst
	}
	title := unicode.ToTitle(r)
	if 0xAC00 <= title && title <= 0xD7A3 {
		return appendHangul(f.flushMarks(dst), title)
	}
	var encoded [utf8.UTFMax]byte
	whole := encoded[:utf8.EncodeRune(encoded[:], title)]
	if d := norm.NFKD.Properties(whole).Decomposition(); d != nil {
		whole = d
	}
	var parts [2]mark
	n := 0
	for ; len(whole) > 0; n++ {
		part, size := utf8.DecodeRune(whole)
		m := mark{part, norm.NFKD.Properties(whole).CCC()}
		dst = f.place(dst, m)
		whole = whole[size:]
		if n < len(parts) {
			parts[n] = m
		}
	}
	if parts[0].class == 0 && (n == 1 || n == 2 && parts[1].class != 0) {
		*known = folded{r, parts[0].r, parts[1]}
	}
	return dst
}

// place appends a character, or lets it wait if it is a combining mark.
func (f *folder) place(dst []byte, m mark) []byte {
	if m.class == 0 || len(f.marks) == maxMarks {
		dst = f.flushMarks(dst)
	}
	if m.class == 0 {
		return utf8.AppendRune(dst, m.r)
	}
	f.marks = append(f.marks, m)
	return dst
}

// flushMarks appends the marks that wait in canonical order (Unicode 3.11, D109:
// a stable sort by class).
func (f *folder) flushMarks(dst []byte) []byte {
	if len(f.marks) > 1 {
		slices.SortStableFunc(f.marks, func(a, b mark) int { return int(a.class) - int(b.class) })
	}
	for _, m := range f.marks {
		dst = utf8.AppendRune(dst, m.r)
	}
	f.marks = f.marks[:0]
	return dst
}

// appendHangul decomposes a Hangul syllable into its letters (Unicode 3.12).
func appendHangul(dst []byte, syllable rune) []byte {
	const leads, vowels, trails, nVowels, nTrails = 0x1100, 0x1161, 0x11A7, 21, 28
	i := syllable - 0xAC00
	dst = utf8.AppendRune(dst, leads+i/(nVowels*nTrails))
	dst = utf8.AppendRune(dst, vowels+i/nTrails%nVowels)
	if t := i % nTrails; t != 0 {
		dst = utf8.AppendRune(dst, trails+t)
	}
	return dst
}
