package account

import (
	"context"
	"errors"
	"io"

	"postern/internal/mail"
	"postern/internal/message"
)

// previewHead is how much of a message's beginning is kept for its preview while
// it arrives. What most previews are made of is within; for the others the body
// is opened, which on a cluster is a request to another machine.
const previewHead = 32 << 10

// headReader keeps the beginning of what is written to it, and gives errBeyond to
// whoever reads behind that.
type headReader struct {
	kept []byte
	size int64
}

var errBeyond = errors.New("account: that part of the message was not kept")

// Write implements io.Writer and never fails.
func (h *headReader) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	if room := previewHead - len(h.kept); room > 0 {
		h.kept = append(h.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// ReadAt implements io.ReaderAt.
func (h *headReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, mail.Errorf(mail.Invalid, "an offset is negative")
	}
	n := 0
	if off < int64(len(h.kept)) {
		n = copy(p, h.kept[off:])
	}
	switch {
	case n == len(p):
		return n, nil
	case off+int64(n) >= h.size:
		return n, io.EOF
	}
	return n, errBeyond
}

// preview makes the preview of a message that arrives, of its head if that is
// enough.
func (p *Pool) preview(ctx context.Context, s *message.Summary, head *headReader, ref mail.BodyRef) (string, error) {
	text, err := s.Preview(head)
	if !errors.Is(err, errBeyond) {
		return text, err
	}
	body, err := p.store.Bodies().Open(ctx, ref)
	if err != nil {
		return "", err
	}
	text, err = s.Preview(body)
	return text, errors.Join(err, body.Close())
}

// MakePreview makes the preview of a message that arrived without one.
func (s *Selection) MakePreview(ctx context.Context, m *Summary) (string, error) {
	shape, err := m.Shape()
	if err != nil {
		return "", err
	}
	body, err := s.Body(ctx, m)
	if err != nil {
		return "", err
	}
	text, err := shape.Preview(body)
	return text, errors.Join(err, body.Close())
}
