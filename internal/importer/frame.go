package importer

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"postern/internal/mail"
)

// The stream between the two sides is a sequence of frames:
//
//	kind (one octet) | length (four, big endian) | payload | CRC-32C of all that (four)
//
// hello, then for each folder: folder, its messages, folder end; then end. A
// message is a head, its octets in pieces, and a message end with their number,
// or, if they could not be read to the end, a refusal with the reason. Payloads
// are JSON, but for the pieces. A stream that stops anywhere shows that it does,
// and every message that is complete is good.
const (
	frameHello      = 'H'
	frameFolder     = 'F'
	frameMessage    = 'M'
	framePiece      = 'B'
	frameMessageEnd = 'E'
	frameRefused    = 'X'
	frameFolderEnd  = 'D'
	frameEnd        = 'Z'
)

const (
	streamVersion = 1
	maxFrame      = 1 << 20 // octets of payload
	pieceSize     = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Hello begins a stream.
type hello struct {
	Version int
	Source  string
	Total   int // messages; -1: unknown
}

// folderHead is a Folder in the stream.
type folderHead struct {
	Name       string
	Validity   mail.UIDValidity `json:",omitempty"`
	UIDNext    mail.UID         `json:",omitempty"`
	Subscribed bool             `json:",omitempty"`
	Total      int
	Note       string `json:",omitempty"`
}

// folderEnd ends a folder.
type folderEnd struct {
	Known int // messages that were not sent, because the other side has them
}

// messageHead is a Message in the stream.
type messageHead struct {
	Key      string
	System   mail.SystemFlags `json:",omitempty"`
	Keywords []string         `json:",omitempty"`
	Date     *int64           `json:",omitempty"` // as mail.InternalDate; nil: unknown
	UID      mail.UID         `json:",omitempty"`
}

type messageEnd struct{ Size int64 }

type refusal struct{ Reason string }

// frameWriter writes frames.
type frameWriter struct {
	w       *bufio.Writer
	scratch []byte
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: bufio.NewWriterSize(w, 2*pieceSize)}
}

func (f *frameWriter) frame(kind byte, payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("importer: a frame of %d octets", len(payload))
	}
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, payload)
	f.scratch = append(f.scratch[:0], head[:]...)
	if _, err := f.w.Write(f.scratch); err != nil {
		return err
	}
	if _, err := f.w.Write(payload); err != nil {
		return err
	}
	f.scratch = binary.BigEndian.AppendUint32(f.scratch[:0], sum)
	_, err := f.w.Write(f.scratch)
	return err
}

func (f *frameWriter) json(kind byte, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.frame(kind, payload)
}

// frameReader reads frames.
type frameReader struct {
	r       *bufio.Reader
	payload []byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 2*pieceSize)}
}

// errDamaged says that the stream is not what was written.
var errDamaged = mail.Errorf(mail.Invalid, "the stream of messages is damaged")

// errTruncated says that the stream stopped before its end.
var errTruncated = mail.Errorf(mail.Canceled, "the stream of messages stopped before its end")

// next gives a frame. The payload is good until the next call.
func (f *frameReader) next() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, streamError(err)
	}
	n := int(binary.BigEndian.Uint32(head[1:]))
	if n > maxFrame {
		return 0, nil, errDamaged
	}
	if cap(f.payload) < n+4 {
		f.payload = make([]byte, max(n+4, pieceSize+4))
	}
	f.payload = f.payload[:n+4]
	if _, err := io.ReadFull(f.r, f.payload); err != nil {
		return 0, nil, streamError(err)
	}
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, f.payload[:n])
	if sum != binary.BigEndian.Uint32(f.payload[n:]) {
		return 0, nil, errDamaged
	}
	return head[0], f.payload[:n], nil
}

func streamError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

// decodeFrame reads a frame's JSON.
func decodeFrame[T any](payload []byte) (v T, err error) {
	if err := json.Unmarshal(payload, &v); err != nil {
		return v, errDamaged
	}
	return v, nil
}
