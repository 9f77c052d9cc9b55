package search

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mail"
	"postern/internal/message"
)

// textsVersion is raised with every change to what the texts of a message are, how they are
// decoded or how they are folded: of an index made otherwise nothing is certain any more.
const textsVersion = 1

// TextsMaker names the way in which Texts reads and folds now. It is another after a change
// here and where another edition of Unicode folds otherwise.
func TextsMaker() uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %s %s", textsVersion, unicode.Version, norm.Version))
}

// Texts reads the texts of messages for an index: those that keys look at, each once for
// every place it is looked for in, folded as i;unicode-casemap says. It holds buffers
// and is used by one goroutine at a time.
type Texts struct {
	folder       folder
	read, folded []byte
}

// ErrNoTexts is given for a message of which keys look at more than an index can know:
// its Summary is not complete, so what is asked for its fields is asked of the header.
var ErrNoTexts = errors.New("search: the message cannot be indexed")

// Read gives the texts of a message in pieces: to a nil piece ends the text. Its errors are
// those of reading the body, of visit, of ctx, and ErrNoTexts before visit is called at all.
func (x *Texts) Read(ctx context.Context, s *message.Summary, body io.ReaderAt, visit func(at Place, piece []byte) error) error {
	if s.Truncated {
		return ErrNoTexts
	}
	for _, field := range []summaryField{keptSubject, keptFrom, keptTo, keptCc} {
		if err := x.readField(s, field, visit); err != nil {
			return err
		}
	}
	return x.readPart(ctx, s.Root, body, visit)
}

// readField reads what askExactly looks at.
func (x *Texts) readField(s *message.Summary, field summaryField, visit func(Place, []byte) error) error {
	at, _ := ownPlace(field)
	if !field.isAddresses() {
		if t := field.text(s); t.Present {
			return x.readStrings(at, visit, message.DecodeHeader(t.Value))
		}
		return nil
	}
	addresses := field.addresses(s)
	for i := range addresses {
		name, route, address := partsOf(&addresses[i])
		for _, text := range [][]string{{name}, {route}, address[:]} {
			if err := x.readStrings(at, visit, text...); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPart reads what Evaluator.readPart does.
func (x *Texts) readPart(ctx context.Context, part *message.Part, body io.ReaderAt, visit func(Place, []byte) error) error {
	header := message.NewHeaderReader(io.NewSectionReader(body, part.HeaderStart, part.HeaderSize()))
	for {
		field, err := header.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := x.readStrings(InHeader, visit, field.Name, ": ", message.DecodeHeader(field.Value())); err != nil {
			return err
		}
	}
	for _, child := range part.Parts {
		if err := x.readPart(ctx, child, body, visit); err != nil {
			return err
		}
	}
	if !hasText(part) {
		return nil
	}
	return x.readContent(ctx, part.Text(body), visit)
}

func (x *Texts) readStrings(at Place, visit func(Place, []byte) error, text ...string) error {
	x.folded = x.folded[:0]
	for _, s := range text {
		x.read = append(x.read[:0], s...)
		x.folded = x.folder.append(x.folded, x.read)
	}
	x.folded = x.folder.flush(x.folded)
	if len(x.folded) == 0 {
		return nil
	}
	if err := visit(at, x.folded); err != nil {
		return err
	}
	return visit(at, nil)
}

func (x *Texts) readContent(ctx context.Context, r io.Reader, visit func(Place, []byte) error) error {
	if cap(x.read) < chunk {
		x.read = make([]byte, chunk)
	}
	for {
		n, err := r.Read(x.read[:chunk])
		x.folded = x.folder.append(x.folded[:0], x.read[:n])
		ended := errors.Is(err, io.EOF)
		if ended {
			x.folded, err = x.folder.flush(x.folded), nil
		}
		if err == nil && ctx.Err() != nil {
			err = mail.Wrap(ctx.Err(), mail.Canceled, "given up")
		}
		if err == nil && len(x.folded) > 0 {
			err = visit(InBody, x.folded)
		}
		if err != nil {
			x.folded = x.folder.flush(x.folded[:0])
			return err
		}
		if ended {
			return visit(InBody, nil)
		}
	}
}
