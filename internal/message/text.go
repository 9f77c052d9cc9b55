package message

import (
	"io"
)

// Text returns a reader of a text part's content as UTF-8: transfer encoding
// undone, charset decoded, markup left in. It streams. The message is in r.
// Wrong bytes become U+FFFD; a charset or encoding that is not known is read as
// if it were not there, so that what is plain in it can be found.
func (p *Part) Text(r io.ReaderAt) io.Reader {
	content, err := p.Content(r)
	if err != nil {
		// ErrUnknownEncoding is the only error: search the body as it stands.
		content = io.NewSectionReader(r, p.BodyStart, p.Size())
	}
	return charsetReader(p.Charset(), content)
}
