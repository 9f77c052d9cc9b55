package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
)

// PreviewPart is the part a preview is made of: the first text/plain or, where
// there is none, text/html part that has content and is not an attachment. In
// multipart/alternative plain text is preferred, wherever it stands. Encapsulated
// messages are not looked into. It is nil if there is none.
func (s *Summary) PreviewPart() *Part {
	return previewPart(s.Root)
}

func previewPart(part *Part) *Part {
	if part.Size() == 0 || part.Disposition.Type == "ATTACHMENT" {
		return nil
	}
	if part.IsText() && (part.Subtype == "PLAIN" || part.Subtype == "HTML") {
		return part
	}
	if !part.IsMultipart() || part.Subtype == "ENCRYPTED" {
		return nil
	}
	var found *Part
	for _, child := range part.Parts {
		p := previewPart(child)
		if p == nil {
			continue
		}
		if part.Subtype != "ALTERNATIVE" || p.Subtype == "PLAIN" {
			return p
		}
		if found == nil {
			found = p
		}
	}
	return found
}

// Preview returns the first PreviewChars characters of readable text, white
// space and control characters made single spaces, quoted lines left out, HTML
// without its markup. It is empty if the message has none (RFC 8970 3.2). Its
// errors are those of r.
func (s *Summary) Preview(r io.ReaderAt) (string, error) {
	part := s.PreviewPart()
	if part == nil {
		return "", nil
	}
	text := io.LimitReader(part.Text(r), previewSource)
	w := previewWriter{left: PreviewChars}
	var err error
	if part.Subtype == "HTML" {
		err = previewHTML(&w, text)
	} else {
		err = previewPlain(&w, text)
	}
	if err != nil {
		return "", fmt.Errorf("message: reading for a preview: %w", err)
	}
	return w.b.String(), nil
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

func previewPlain(w *previewWriter, text io.Reader) error {
	in := bufio.NewReader(text)
	lineStart, quoted := true, false
	for !w.full() {
		r, _, err := in.ReadRune()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if lineStart {
			quoted = r == '>'
		}
		lineStart = r == '\n'
		if !quoted || lineStart {
			w.write(r)
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
