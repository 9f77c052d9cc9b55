package importer

import (
	"context"
	"errors"
	"io"

	"postern/internal/mail"
)

// sink takes what comes out of a stream.
type sink interface {
	begin(h hello) error
	folder(ctx context.Context, f folderHead) error
	message(ctx context.Context, m messageHead, body io.Reader) error // errRefused of body comes back
	refused(m messageHead, reason string)
	folderEnd(ctx context.Context, e folderEnd) error
}

// drain reads a stream into a sink. What is complete when it stops has been
// given to the sink.
func drain(ctx context.Context, r io.Reader, to sink) error {
	s := stream{frames: newFrameReader(r), to: to}
	kind, payload, err := s.frames.next()
	if err != nil {
		return err
	}
	h, err := decodeFrame[hello](payload)
	if err != nil || kind != frameHello {
		return errDamaged
	}
	if h.Version != streamVersion {
		return mail.Errorf(mail.Invalid, "the stream of messages is of version %d, and %d is known: use the same version on both sides", h.Version, streamVersion)
	}
	if err := to.begin(h); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return mail.Wrap(err, mail.Canceled, "given up")
		}
		if over, err := s.step(ctx); over || err != nil {
			return err
		}
	}
}

// stream is where drain is.
type stream struct {
	frames *frameReader
	to     sink
	inside bool // in a folder
}

func (s *stream) step(ctx context.Context) (over bool, err error) {
	kind, payload, err := s.frames.next()
	if err != nil {
		return false, err
	}
	switch {
	case kind == frameFolder && !s.inside:
		f, err := decodeFrame[folderHead](payload)
		if err != nil {
			return false, err
		}
		s.inside = true
		return false, s.to.folder(ctx, f)
	case kind == frameMessage && s.inside:
		m, err := decodeFrame[messageHead](payload)
		if err != nil {
			return false, err
		}
		return false, s.message(ctx, m)
	case kind == frameFolderEnd && s.inside:
		e, err := decodeFrame[folderEnd](payload)
		if err != nil {
			return false, err
		}
		s.inside = false
		return false, s.to.folderEnd(ctx, e)
	case kind == frameEnd && !s.inside:
		return true, nil
	}
	return false, errDamaged
}

func (s *stream) message(ctx context.Context, m messageHead) error {
	body := &bodyReader{frames: s.frames}
	err := s.to.message(ctx, m, body)
	if err == nil || errors.Is(err, errRefused) {
		_, drained := io.Copy(io.Discard, body) // what the sink left
		if errors.Is(drained, errRefused) {
			s.to.refused(m, body.reason)
			return nil
		}
		if err == nil {
			err = drained
		}
	}
	return err
}

// errRefused is what a body gives when the other side could not read it.
var errRefused = errors.New("importer: the message could not be read")

// bodyReader reads the pieces of a message.
type bodyReader struct {
	frames *frameReader
	piece  []byte
	size   int64
	err    error
	reason string // with errRefused
}

// Read gives octets of the message.
func (b *bodyReader) Read(p []byte) (int, error) {
	for len(b.piece) == 0 {
		if b.err == nil {
			b.err = b.more()
		}
		if b.err != nil {
			return 0, b.err
		}
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	return n, nil
}

func (b *bodyReader) more() error {
	kind, payload, err := b.frames.next()
	if err != nil {
		return err
	}
	switch kind {
	case framePiece:
		b.piece = payload
		b.size += int64(len(payload))
		return nil
	case frameMessageEnd:
		e, err := decodeFrame[messageEnd](payload)
		if err == nil && e.Size != b.size {
			err = errDamaged
		}
		if err == nil {
			err = io.EOF
		}
		return err
	case frameRefused:
		r, err := decodeFrame[refusal](payload)
		if err != nil {
			return err
		}
		b.reason = r.Reason
		return errRefused
	}
	return errDamaged
}
