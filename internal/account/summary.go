package account

import (
	"bytes"
	"encoding/binary"
	"math"

	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/message"
)

// A summary record is what is kept of a message beside its row, in the form in
// which it goes out on the wire:
//
//	version | account | id | size | date | body ref | thread | prefix | content
//	content = preview | envelope | structure | cuts | lines | sent date | references | parts
//
// Version 1 has no preview, and 1 and 2 have no thread.
//
// The content is made once for every account that gets the message; its offsets
// count from the body's first octet. Account, id, size and date are there so that
// messages can be found again in a store whose pages are lost.
const summaryVersion = 3

// Summary is what was learnt of a message when it arrived. It is valid as long
// as the callback it was given to runs; Clone makes one that stays.
type Summary struct {
	account mail.AccountID
	id      mail.MessageID
	size    uint32
	date    mail.InternalDate
	ref     mail.BodyRef
	prefix  []byte

	thread   mail.ThreadID
	threaded bool // thread was found when the message came in

	preview   []byte // as UTF-8
	previewed bool   // it was made at arrival

	envelope, structure []byte
	cuts                []imapwire.Cut
	rest                []byte // what Shape reads
}

// encodeSummary writes the record of one message of an account.
func encodeSummary(account mail.AccountID, r *Row, ref mail.BodyRef, thread mail.ThreadID, prefix, content []byte) []byte {
	b := make([]byte, 0, 64+len(prefix)+len(content))
	b = appendUint(append(b, summaryVersion), uint64(account))
	b = appendUint(b, uint64(r.ID))
	b = appendUint(b, uint64(r.Size))
	b = appendInt(b, int64(r.Date))
	b = append(b, ref[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(thread))
	b = appendString(b, prefix)
	return append(b, content...)
}

// encodeContent writes what the parser found in a body, and the preview made of
// it, if one was made.
func encodeContent(s *message.Summary, preview string, previewed bool) []byte {
	b := []byte{flagByte(previewed, 1)}
	if previewed {
		b = appendString(b, preview)
	}
	b = appendString(b, imapwire.AppendEnvelope(nil, &s.Envelope))
	structure, cuts := imapwire.AppendBodyStructure(nil, s.Root)
	b = appendString(b, structure)
	b = appendUint(b, uint64(len(cuts)))
	from := 0
	for _, c := range cuts {
		b = append(b, byte(c.Kind))
		b = appendUint(b, uint64(c.From-from))
		b = appendUint(b, uint64(c.To-c.From))
		from = c.From
	}
	b = appendUint(b, uint64(s.Lines))
	if s.SentDate.IsZero() {
		b = append(b, 0)
	} else {
		b = appendInt(append(b, 1), int64(mail.NewInternalDate(s.SentDate)))
	}
	b = append(b, flagByte(s.References.Present, 1)|flagByte(s.Truncated, 2))
	b = appendString(b, s.References.Value)
	return appendPart(b, s.Root, 0)
}

func flagByte(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// appendPart writes a part and those below it, in order. start is where its
// parent's body begins, which it does not lie before. package message bounds how
// deep parts nest.
func appendPart(b []byte, p *message.Part, start int64) []byte {
	b = appendUint(b, uint64(p.HeaderStart-start))
	b = appendUint(b, uint64(p.BodyStart-p.HeaderStart))
	b = appendUint(b, uint64(p.BodyEnd-p.BodyStart))
	b = appendUint(b, uint64(p.Lines))
	b = appendString(b, p.Type)
	b = appendString(b, p.Subtype)
	b = appendParams(b, p.Params)
	b = appendString(b, p.Encoding)
	b = appendString(b, p.Disposition.Type)
	b = appendParams(b, p.Disposition.Params)
	b = append(b, flagByte(p.Envelope != nil, 1))
	b = appendUint(b, uint64(len(p.Parts)))
	for _, child := range p.Parts {
		b = appendPart(b, child, p.BodyStart)
	}
	return b
}

func appendParams(b []byte, params []message.Param) []byte {
	b = appendUint(b, uint64(len(params)))
	for _, p := range params {
		b = appendString(appendString(b, p.Name), p.Value)
	}
	return b
}

// decode reads a record into m, which keeps parts of data.
func (m *Summary) decode(data []byte) error {
	d := decoder{what: "a summary", b: data}
	version := d.versionUpTo(summaryVersion)
	m.account, m.id = mail.AccountID(d.uint()), mail.MessageID(d.uint())
	m.size, m.date = d.uint32(), mail.InternalDate(d.int())
	if len(d.b) < len(m.ref) {
		d.fail("it ends early")
		return d.err
	}
	d.b = d.b[copy(m.ref[:], d.b):]
	if m.thread, m.threaded = 0, version >= 3; m.threaded {
		m.thread = mail.ThreadID(d.fixed64())
	}
	m.prefix = d.bytes()
	m.preview, m.previewed = nil, false
	if version >= 2 {
		if m.previewed = d.byte()&1 != 0; m.previewed {
			m.preview = d.bytes()
		}
	}
	m.envelope, m.structure = d.bytes(), d.bytes()
	m.cuts = m.cuts[:0]
	from := 0
	for range d.count(3) {
		kind, gap, length := imapwire.CutKind(d.byte()), d.uint(), d.uint()
		if gap > uint64(len(m.structure)-from) || length > uint64(len(m.structure)-from)-gap {
			d.fail("its structure is cut beyond its end")
		}
		if d.err != nil {
			return d.err
		}
		from += int(gap)
		m.cuts = append(m.cuts, imapwire.Cut{From: from, To: from + int(length), Kind: kind})
	}
	m.rest = d.b
	return d.err
}

// ID names the message within its account.
func (m *Summary) ID() mail.MessageID { return m.id }

// Object is what the message's EMAILID is made of.
func (m *Summary) Object() mail.EmailObject {
	return mail.EmailObject{Account: m.account, Message: m.id, Date: m.date, Size: m.size}
}

// Size is the length in octets of prefix and body.
func (m *Summary) Size() int64 { return int64(m.size) }

// Date is the internal date the message was appended with. A copy's is in its
// row.
func (m *Summary) Date() mail.InternalDate { return m.date }

// BodyRef names the body in the store.
func (m *Summary) BodyRef() mail.BodyRef { return m.ref }

// Prefix is the header lines that stand before the body.
func (m *Summary) Prefix() []byte { return m.prefix }

// Envelope is ENVELOPE's value as it goes out on the wire.
func (m *Summary) Envelope() []byte { return m.envelope }

// Structure is BODYSTRUCTURE's value as it goes out on the wire to a session
// that is shown everything.
func (m *Summary) Structure() []byte { return m.structure }

// AppendStructure writes the structure without what the session is not shown.
func (m *Summary) AppendStructure(dst []byte, leaveOut imapwire.CutKind) []byte {
	return imapwire.AppendBody(dst, m.structure, m.cuts, leaveOut)
}

// AppendBody writes BODY's value: the structure without extension data.
func (m *Summary) AppendBody(dst []byte) []byte {
	return m.AppendStructure(dst, imapwire.CutExtension)
}

// Preview gives the text that was made of the message at its arrival (RFC 8970),
// "" if it has none that could be shown. It reports false where none was made.
func (m *Summary) Preview() ([]byte, bool) { return m.preview, m.previewed }

// Thread gives the thread the message belongs to. It reports false for mail that
// came in before threads were found: that belongs to the one which its own fields
// name (search.Relatives).
func (m *Summary) Thread() (mail.ThreadID, bool) { return m.thread, m.threaded }

// Clone gives a Summary that stays valid.
func (m *Summary) Clone() *Summary {
	c := *m
	c.prefix, c.rest = bytes.Clone(m.prefix), bytes.Clone(m.rest)
	c.preview = bytes.Clone(m.preview)
	c.envelope, c.structure = bytes.Clone(m.envelope), bytes.Clone(m.structure)
	c.cuts = append([]imapwire.Cut(nil), m.cuts...)
	return &c
}

// Origin gives what THREAD and SORT look at beside the envelope: the Date field in
// the zone it was written in, if there is one that can be read, and the References
// field, which is valid as long as the Summary is.
func (m *Summary) Origin() (sent mail.InternalDate, dated bool, references []byte, err error) {
	d := decoder{what: "a summary's dates and references", b: m.rest}
	d.uint() // lines
	switch d.byte() {
	case 0:
	case 1:
		sent, dated = mail.InternalDate(d.int()), true
	default:
		d.fail("its date has an unknown form")
	}
	d.byte() // marks
	references = d.bytes()
	return sent, dated, references, d.err
}

// Shape decodes the tree of parts, with offsets from the message's first octet,
// prefix included, SentDate and References: what cutting sections and searching
// need. Envelopes are empty, but not nil where a part encapsulates a message.
func (m *Summary) Shape() (*message.Summary, error) {
	d := decoder{what: "a summary's table of parts", b: m.rest}
	s := &message.Summary{Size: int64(m.size), Lines: int64(d.uint())}
	switch d.byte() {
	case 0:
	case 1:
		s.SentDate = mail.InternalDate(d.int()).Time()
	default:
		d.fail("its date has an unknown form")
	}
	marks := d.byte()
	s.References = message.Text{Present: marks&1 != 0, Value: d.string()}
	s.Truncated = marks&2 != 0
	s.Lines += int64(bytes.Count(m.prefix, []byte{'\n'}))
	prefix := int64(len(m.prefix))
	parts := 0
	s.Root = d.part(prefix, int64(m.size), 1, &parts)
	if err := d.done(); err != nil {
		return nil, err
	}
	s.Root.HeaderStart = 0 // the prefix belongs to the message's header
	return s, nil
}

// Parsed is Shape with the message's envelope, which is all that searching looks at.
func (m *Summary) Parsed() (*message.Summary, error) {
	s, err := m.Shape()
	if err != nil {
		return nil, err
	}
	return s, imapwire.ReadEnvelope(m.envelope, &s.Envelope)
}

// part reads what appendPart wrote. The part lies between start and end.
func (d *decoder) part(start, end int64, depth int, parts *int) *message.Part {
	p := &message.Part{}
	if *parts++; depth > message.MaxDepth+1 || *parts > 2*message.MaxParts {
		d.fail("it has too many parts")
		return p
	}
	p.HeaderStart = d.offset(start, end)
	p.BodyStart = d.offset(p.HeaderStart, end)
	p.BodyEnd = d.offset(p.BodyStart, end)
	p.Lines = int64(d.uint() & math.MaxInt64)
	p.Type, p.Subtype = d.string(), d.string()
	p.Params = d.params()
	p.Encoding = d.string()
	p.Disposition.Type = d.string()
	p.Disposition.Params = d.params()
	if d.byte() != 0 {
		p.Envelope = &message.Envelope{}
	}
	n := d.count(12)
	if p.Envelope != nil && n != 1 {
		d.fail("a message within it has no single root")
	}
	for range n {
		if d.err != nil {
			return p
		}
		p.Parts = append(p.Parts, d.part(p.BodyStart, p.BodyEnd, depth+1, parts))
	}
	return p
}

// offset reads a distance from start that does not lead beyond end.
func (d *decoder) offset(start, end int64) int64 {
	n := d.uint()
	if n > uint64(max(end-start, 0)) {
		d.fail("a part lies outside its parent")
		return start
	}
	return start + int64(n)
}

func (d *decoder) params() []message.Param {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	params := make([]message.Param, n)
	for i := range params {
		params[i] = message.Param{Name: d.string(), Value: d.string()}
	}
	return params
}
