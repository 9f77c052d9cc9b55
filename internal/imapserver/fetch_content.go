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
// before octets flow has been done: each part knows its size. One command can
// name thousands of parts, so a part that is not written yet holds nothing but
// its share of kept.
type openMessage struct {
	body    account.Body
	parts   []contentPart            // by item; only those with content are filled in
	room    []byte                   // for octets that are read before they are sent; see cut
	suspect bool                     // it has broken off before
	kept    int                      // octets of header fields that parts hold on to
	decoded map[*message.Part]extent // what was found out by decoding
}

// close lets go of the message. Each part lets go of its own when it is written.
func (m *openMessage) close() {
	if m.body != nil {
		_ = m.body.Close() // it was only read
	}
}

// contentPart is the answer to one BODY[...], BINARY[...] or BINARY.SIZE[...].
type contentPart struct {
	missing bool // there is no such part: NIL
	size    int64
	open    func() (io.Reader, error) // gives the octets; a Closer among them is closed
	binary  bool                      // there are NULs among the octets: literal8
}

// openMessage opens a message and prepares all parts that the plan asks for.
func (f *fetching) openMessage(sum *account.Summary) (openMessage, error) {
	body, err := f.session.box.sel.Body(f.session.ctx, sum)
	if err != nil {
		return openMessage{}, err
	}
	open := openMessage{
		body: body, parts: make([]contentPart, len(f.plan.items)),
		room: *f.content, suspect: f.session.srv.suspects.has(sum.Object()),
	}
	var shape *message.Summary // made once, and only if it is needed
	for k := range f.plan.items {
		item := &f.plan.items[k]
		section, isContent := sectionOf(item)
		if !isContent {
			continue
		}
		if whole(item, section) {
			if open.parts[k], err = open.cut(message.Section{Length: body.Size()}, item); err != nil {
				open.close()
				return openMessage{}, err
			}
			continue
		}
		if shape == nil {
			if shape, err = sum.Shape(); err != nil {
				open.close()
				return openMessage{}, err
			}
		}
		if open.parts[k], err = open.prepare(shape, item, section); err != nil {
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
func (m *openMessage) prepare(shape *message.Summary, item *imapwire.FetchItem, section imapwire.Section) (contentPart, error) {
	switch {
	case item.Kind == imapwire.FetchBinary || item.Kind == imapwire.FetchBinarySize:
		return m.binary(shape, item)
	case section.Text == imapwire.SectionHeaderFields || section.Text == imapwire.SectionHeaderFieldsNot:
		return m.fields(shape, item, section)
	}
	at, ok := shape.Section(section.Part, specifier(section.Text))
	if !ok {
		return contentPart{missing: true}, nil
	}
	return m.cut(at, item)
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

// fields is HEADER.FIELDS and HEADER.FIELDS.NOT. The fields are read twice: once
// to learn how long they are, and once more to send them, so that a header of
// many megabytes takes no memory. The usual ones, of a few KiB, are kept from the
// first reading.
func (m *openMessage) fields(shape *message.Summary, item *imapwire.FetchItem, section imapwire.Section) (contentPart, error) {
	at, ok := shape.Section(section.Part, message.Header)
	if !ok {
		return contentPart{missing: true}, nil
	}
	filter := func(w io.Writer) error {
		return message.FilterHeader(w, at.Reader(m.body), section.Fields, section.Text == imapwire.SectionHeaderFieldsNot)
	}
	first := spool{limit: keptFields - m.kept}
	if err := filter(&first); err != nil {
		return contentPart{}, err
	}
	if !first.over {
		m.kept += first.kept.Len()
		kept := message.Section{Length: int64(first.kept.Len())}
		if item.Partial {
			kept = kept.Partial(item.Offset, item.Count)
		}
		octets := bytes.NewReader(first.kept.Bytes())
		return contentPart{size: kept.Length, open: func() (io.Reader, error) { return kept.Reader(octets), nil }}, nil
	}
	part := message.Section{Length: first.size}
	if item.Partial {
		part = part.Partial(item.Offset, item.Count)
	}
	return contentPart{size: part.Length, open: func() (io.Reader, error) {
		read, write := io.Pipe()
		go func() { write.CloseWithError(filter(write)) }()
		return &pipedRange{pipe: read, skip: part.Offset, left: part.Length}, nil
	}}, nil
}

// keptFields is how much of a message's header fields is kept between two
// readings, all items of a FETCH together.
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

// binary is BINARY and BINARY.SIZE (RFC 3516, RFC 9051 6.4.5): the content of a
// part with its transfer encoding undone. It is decoded once to learn how long it
// is and whether it needs a literal8, and again whenever it is sent.
func (m *openMessage) binary(shape *message.Summary, item *imapwire.FetchItem) (contentPart, error) {
	var part *message.Part // nil: the message itself, which has no encoding
	content := func() (io.Reader, error) { return io.NewSectionReader(m.body, 0, m.body.Size()), nil }
	if len(item.Section.Part) > 0 {
		var ok bool
		if part, ok = shape.Part(item.Section.Part); !ok {
			return contentPart{missing: true}, nil
		}
		content = func() (io.Reader, error) { return part.Content(m.body) }
	}
	whole, err := m.measure(part, content)
	if errors.Is(err, message.ErrUnknownEncoding) {
		return contentPart{}, mail.Wrap(err, mail.UnknownCTE, "the part's transfer encoding is not known")
	}
	if err != nil {
		return contentPart{}, err
	}
	at := message.Section{Length: whole.size}
	if item.Kind == imapwire.FetchBinary && item.Partial {
		at = at.Partial(item.Offset, item.Count)
	}
	return contentPart{size: at.Length, binary: whole.nul, open: func() (io.Reader, error) {
		r, err := content()
		if err == nil && at.Offset > 0 {
			_, err = io.CopyN(io.Discard, r, at.Offset)
		}
		return r, err
	}}, nil
}

// measure decodes a part and says what came out of it, once for each part.
func (m *openMessage) measure(part *message.Part, content func() (io.Reader, error)) (extent, error) {
	if known, ok := m.decoded[part]; ok {
		return known, nil
	}
	r, err := content()
	if err != nil {
		return extent{}, err
	}
	var found extent
	if _, err := io.Copy(&found, r); err != nil {
		return extent{}, err
	}
	if m.decoded == nil {
		m.decoded = make(map[*message.Part]extent)
	}
	m.decoded[part] = found
	return found, nil
}

// extent is how many octets were written to it, and whether NUL is among them.
type extent struct {
	size int64
	nul  bool
}

func (e *extent) Write(p []byte) (int, error) {
	e.size += int64(len(p))
	e.nul = e.nul || bytes.IndexByte(p, 0) >= 0
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
		octets := opened{open: p.open}
		w.FetchSection(item, p.size, &octets, p.binary)
		octets.close()
	}
}

// opened opens a part when its first octet is asked for.
type opened struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (o *opened) Read(p []byte) (int, error) {
	if o.r == nil {
		r, err := o.open()
		if err != nil {
			return 0, err
		}
		o.r = r
	}
	return o.r.Read(p)
}

func (o *opened) close() {
	if c, ok := o.r.(io.Closer); ok {
		_ = c.Close() // a pipe: never fails
	}
}
