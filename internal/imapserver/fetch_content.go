package imapserver

import (
	"bytes"
	"errors"
	"io"

	"postern/internal/account"
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/message"
)

// openMessage is a message whose octets a FETCH wants. Everything that can fail
// before octets flow has been done: each part knows its size.
type openMessage struct {
	body  account.Body
	parts []contentPart // by item; only those with content are filled in
}

// close lets go of the message, whether its parts were written or not.
func (m *openMessage) close() {
	for i := range m.parts {
		if c, ok := m.parts[i].read.(io.Closer); ok {
			_ = c.Close() // a pipe: never fails
		}
	}
	if m.body != nil {
		_ = m.body.Close() // it was only read
	}
}

// contentPart is the answer to one BODY[...], BINARY[...] or BINARY.SIZE[...].
type contentPart struct {
	missing bool // there is no such part: NIL
	size    int64
	read    io.Reader
	binary  bool // there are NULs among the octets: literal8
}

// openMessage opens a message and prepares all parts that the plan asks for.
func (f *fetching) openMessage(sum *account.Summary) (openMessage, error) {
	body, err := f.session.box.sel.Body(f.session.ctx, sum)
	if err != nil {
		return openMessage{}, err
	}
	open := openMessage{body: body, parts: make([]contentPart, len(f.plan.items))}
	var shape *message.Summary // made once, and only if it is needed
	for k := range f.plan.items {
		item := &f.plan.items[k]
		section, isContent := sectionOf(item)
		if !isContent {
			continue
		}
		if whole(item, section) {
			open.parts[k] = cut(body, message.Section{Length: body.Size()}, item)
			continue
		}
		if shape == nil {
			if shape, err = sum.Shape(); err != nil {
				open.close()
				return openMessage{}, err
			}
		}
		if open.parts[k], err = prepare(body, shape, item, section); err != nil {
			open.close()
			return openMessage{}, err
		}
	}
	return open, nil
}

// sectionOf gives the section an item asks for; the RFC822 items are sections
// under other names (RFC 3501 6.4.5).
func sectionOf(item *imapwire.FetchItem) (imapwire.Section, bool) {
	switch item.Kind {
	case imapwire.FetchRFC822:
		return imapwire.Section{}, true
	case imapwire.FetchRFC822Header:
		return imapwire.Section{Text: imapwire.SectionHeader}, true
	case imapwire.FetchRFC822Text:
		return imapwire.Section{Text: imapwire.SectionBody}, true
	case imapwire.FetchSection, imapwire.FetchBinary, imapwire.FetchBinarySize:
		return item.Section, true
	}
	return imapwire.Section{}, false
}

// whole reports whether an item asks for the message as it is.
func whole(item *imapwire.FetchItem, section imapwire.Section) bool {
	return len(section.Part) == 0 && section.Text == imapwire.SectionWhole && item.Kind != imapwire.FetchBinary
}

// prepare finds the octets an item asks for.
func prepare(body account.Body, shape *message.Summary, item *imapwire.FetchItem, section imapwire.Section) (contentPart, error) {
	switch {
	case item.Kind == imapwire.FetchBinary || item.Kind == imapwire.FetchBinarySize:
		return decoded(body, shape, item)
	case section.Text == imapwire.SectionHeaderFields || section.Text == imapwire.SectionHeaderFieldsNot:
		return fields(body, shape, item, section)
	}
	at, ok := shape.Section(section.Part, specifier(section.Text))
	if !ok {
		return contentPart{missing: true}, nil
	}
	return cut(body, at, item), nil
}

func specifier(text imapwire.SectionText) message.Specifier {
	switch text {
	case imapwire.SectionHeader, imapwire.SectionHeaderFields, imapwire.SectionHeaderFieldsNot:
		return message.Header
	case imapwire.SectionBody:
		return message.TextOnly
	case imapwire.SectionMIME:
		return message.MIME
	}
	return message.Whole
}

// cut is a range of the message, or what the client wants of it.
func cut(body io.ReaderAt, at message.Section, item *imapwire.FetchItem) contentPart {
	if item.Partial {
		at = at.Partial(item.Offset, item.Count)
	}
	return contentPart{size: at.Length, read: at.Reader(body)}
}

// fields is HEADER.FIELDS and HEADER.FIELDS.NOT. The fields are read twice: once
// to learn how long they are, and once more to send them, so that a header of
// many megabytes takes no memory. The usual one, of a few KiB, is kept from the
// first reading.
func fields(body io.ReaderAt, shape *message.Summary, item *imapwire.FetchItem, section imapwire.Section) (contentPart, error) {
	at, ok := shape.Section(section.Part, message.Header)
	if !ok {
		return contentPart{missing: true}, nil
	}
	filter := func(w io.Writer) error {
		return message.FilterHeader(w, at.Reader(body), section.Fields, section.Text == imapwire.SectionHeaderFieldsNot)
	}
	first := spool{limit: keptFields}
	if err := filter(&first); err != nil {
		return contentPart{}, err
	}
	if !first.over {
		kept := message.Section{Length: int64(first.kept.Len())}
		return cut(bytes.NewReader(first.kept.Bytes()), kept, item), nil
	}
	part := message.Section{Length: first.size}
	if item.Partial {
		part = part.Partial(item.Offset, item.Count)
	}
	read, write := io.Pipe()
	go func() { write.CloseWithError(filter(write)) }()
	return contentPart{size: part.Length, read: &pipedRange{pipe: read, skip: part.Offset, left: part.Length}}, nil
}

// keptFields is how much of a header's fields is kept between two readings.
const keptFields = 64 << 10

// spool keeps what is written to it up to a limit, and counts the rest.
type spool struct {
	limit int
	kept  bytes.Buffer
	size  int64
	over  bool
}

func (s *spool) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if s.over = s.over || s.kept.Len()+len(p) > s.limit; s.over {
		s.kept = bytes.Buffer{}
		return len(p), nil
	}
	return s.kept.Write(p)
}

// pipedRange reads a range of what comes through a pipe.
type pipedRange struct {
	pipe       *io.PipeReader
	skip, left int64
}

func (r *pipedRange) Read(p []byte) (int, error) {
	if r.skip > 0 {
		n, err := io.CopyN(io.Discard, r.pipe, r.skip)
		if r.skip -= n; err != nil {
			return 0, err
		}
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.pipe.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}

// Close makes whoever writes to the pipe end.
func (r *pipedRange) Close() error { return r.pipe.Close() }

// decoded is BINARY and BINARY.SIZE (RFC 3516, RFC 9051 6.4.5): the content of a
// part with its transfer encoding undone. It is decoded twice: once to learn how
// long it is and whether it needs a literal8, and once more to send it.
func decoded(body account.Body, shape *message.Summary, item *imapwire.FetchItem) (contentPart, error) {
	content := func() (io.Reader, error) { return io.NewSectionReader(body, 0, body.Size()), nil }
	if len(item.Section.Part) > 0 {
		part, ok := shape.Part(item.Section.Part)
		if !ok {
			return contentPart{missing: true}, nil
		}
		content = func() (io.Reader, error) { return part.Content(body) }
	}
	first, err := content()
	if errors.Is(err, message.ErrUnknownEncoding) {
		return contentPart{}, mail.Wrap(err, mail.UnknownCTE, "the part's transfer encoding is not known")
	}
	if err != nil {
		return contentPart{}, err
	}
	var count nulCounter
	if _, err := io.Copy(&count, first); err != nil {
		return contentPart{}, err
	}
	if item.Kind == imapwire.FetchBinarySize {
		return contentPart{size: count.size}, nil
	}
	second, err := content()
	if err != nil {
		return contentPart{}, err
	}
	at := message.Section{Length: count.size}
	if item.Partial {
		at = at.Partial(item.Offset, item.Count)
	}
	if at.Offset > 0 && at.Length > 0 {
		if _, err := io.CopyN(io.Discard, second, at.Offset); err != nil {
			return contentPart{}, err
		}
	}
	return contentPart{size: at.Length, read: second, binary: count.nul}, nil
}

// nulCounter counts octets and looks for NUL among them.
type nulCounter struct {
	size int64
	nul  bool
}

func (c *nulCounter) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}

// write adds the part to a FETCH response.
func (p *contentPart) write(w *imapwire.Writer, item *imapwire.FetchItem) {
	switch {
	case p.missing:
		w.FetchNoSection(item)
	case item.Kind == imapwire.FetchBinarySize:
		w.FetchBinarySize(item, uint64(p.size))
	default:
		w.FetchSection(item, p.size, p.read, p.binary)
	}
}
