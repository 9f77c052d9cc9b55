package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// PreviewChars is the length of a preview in characters (RFC 8970 3.3: it
	// should not exceed 200).
	PreviewChars = 200

	// previewSource is how much of a part is read in search of them.
	previewSource = 64 << 10

	// previewTries is how many parts are read in search of one that says anything.
	previewTries = 4
)

// previewParts finds the parts a preview can be made of, in the order in which
// they are tried, at most previewTries of them: text/plain and text/html parts that
// have content and are not attachments. In multipart/alternative plain text goes
// first, wherever it stands. Encapsulated messages are not looked into, and nothing
// within multipart/encrypted is.
func previewParts(found []*Part, part *Part) []*Part {
	if part.Size() == 0 || part.Disposition.Type == "ATTACHMENT" || len(found) >= previewTries {
		return found
	}
	if part.IsText() && (part.Subtype == "PLAIN" || part.Subtype == "HTML") {
		return append(found, part)
	}
	if !part.IsMultipart() || part.Subtype == "ENCRYPTED" {
		return found
	}
	first := len(found)
	for _, child := range part.Parts {
		found = previewParts(found, child)
	}
	if part.Subtype == "ALTERNATIVE" {
		slices.SortStableFunc(found[first:], func(a, b *Part) int {
			return strings.Compare(b.Subtype, a.Subtype) // PLAIN before HTML
		})
	}
	return found
}

// Preview returns the first PreviewChars characters of readable text, white
// space and control characters made single spaces, quoted lines left out, HTML
// without its markup. It is of the first part that has any, and empty if the
// message has none or is encrypted (RFC 8970 3.2). Its errors are those of r.
func (s *Summary) Preview(r io.ReaderAt) (string, error) {
	for _, part := range previewParts(nil, s.Root) {
		text := io.LimitReader(part.Text(r), previewSource)
		w := previewWriter{left: PreviewChars}
		preview := previewPlain
		if part.Subtype == "HTML" {
			preview = previewHTML
		}
		if err := preview(&w, text); err != nil {
			return "", fmt.Errorf("message: reading for a preview: %w", err)
		}
		if w.b.Len() > 0 {
			return w.b.String(), nil
		}
	}
	return "", nil
}

// previewWriter collects characters until it has enough.
type previewWriter struct {
	b     strings.Builder
	left  int
	space bool // white space is due before the next character
}

func (w *previewWriter) full() bool { return w.left <= 0 }

func (w *previewWriter) write(r rune) {
	switch {
	case unicode.IsSpace(r) || unicode.IsControl(r):
		w.space = w.b.Len() > 0
		return
	case unicode.Is(unicode.Cf, r) && r != '\u200d':
		return // invisible padding, bidirectional controls; not emoji joiners
	case w.full():
		return
	}
	if w.space {
		w.space = false
		if w.left == 1 {
			w.left = 0 // a space at the very end says nothing
			return
		}
		w.b.WriteByte(' ')
		w.left--
	}
	w.b.WriteRune(r)
	w.left--
}

// Armor of OpenPGP within plain text (RFC 9580 6.2, 7).
const (
	armorSigned    = "-----BEGIN PGP SIGNED MESSAGE-----"
	armorEncrypted = "-----BEGIN PGP MESSAGE-----"
	armorSignature = "-----BEGIN PGP SIGNATURE-----"
)

// previewPlain leaves out what OpenPGP puts around a signed text, and all of an
// encrypted one, also where either stands below an introduction.
func previewPlain(w *previewWriter, text io.Reader) error {
	in := bufio.NewReader(text)
	armor := false // within the header lines of a signed text
	for !w.full() {
		line, err := in.ReadString('\n') // of no more than previewSource octets
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == armorEncrypted || trimmed == armorSignature:
			return nil
		case trimmed == armorSigned:
			armor = true
		case armor:
			armor = trimmed != ""
		case !strings.HasPrefix(line, ">"):
			for _, r := range line {
				w.write(r)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
func previewHTML(w *previewWriter, text io.Reader) error {
	z := html.NewTokenizer(text)
	z.SetMaxBuf(previewSource)
	var hidden atom.Atom // the element whose text is not shown
	for !w.full() {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, html.ErrBufferExceeded) {
				return err
			}
			return nil
		case html.TextToken:
			if hidden != 0 {
				continue
			}
			for _, r := range string(z.Text()) {
				w.write(r)
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			if hidden == 0 && isHidden(tag) {
				hidden = tag
			}
			breakAt(w, tag)
		case html.EndTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			if tag == hidden {
				hidden = 0
			}
			breakAt(w, tag)
		case html.SelfClosingTagToken:
			name, _ := z.TagName()
			breakAt(w, atom.Lookup(name))
		}
	}
	return nil
}

func isHidden(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Template, atom.Noscript, atom.Textarea:
		return true
	}
	return false
}

// breakAt separates words at tags, but for those inside a line.
func breakAt(w *previewWriter, tag atom.Atom) {
	switch tag {
	case atom.A, atom.B, atom.I, atom.U, atom.S, atom.Em, atom.Strong, atom.Span,
		atom.Font, atom.Small, atom.Big, atom.Sub, atom.Sup, atom.Code:
		return
	}
	w.write(' ')
}
