package importer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"postern/internal/mail"
)

// Done is what is imported already: for each folder, by the source's name for it,
// the digests of the messages' keys, one after the other.
type Done map[string][]byte

// digestSize is long enough that among millions of keys none is taken for
// another.
const digestSize = 12

type digest [digestSize]byte

func digestOf(key string) digest {
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:digestSize])
}

// keySet is digests to look up.
type keySet map[digest]struct{}

func newKeySet(digests []byte) keySet {
	set := make(keySet, len(digests)/digestSize)
	for ; len(digests) >= digestSize; digests = digests[digestSize:] {
		set[digest(digests)] = struct{}{}
	}
	return set
}

func (k keySet) has(key string) bool {
	_, found := k[digestOf(key)]
	return found
}

// Send reads the folders of a source into a stream, leaving out the messages that
// are done. It ends with the first error of the source or of w; a message that
// cannot be read is passed over, and the other side is told why. Once ctx is
// done it stops between two messages.
func Send(ctx context.Context, source string, folders []Folder, done Done, w io.Writer) error {
	f := newFrameWriter(w)
	h := hello{Version: streamVersion, Source: source}
	for i := range folders {
		if folders[i].Total < 0 {
			h.Total = -1
			break
		}
		h.Total += folders[i].Total
	}
	err := f.json(frameHello, h)
	for i := range folders {
		if err == nil {
			err = f.folder(ctx, &folders[i], newKeySet(done[folders[i].Name]))
		}
	}
	if err == nil {
		err = f.frame(frameEnd, nil)
	}
	if flushed := f.w.Flush(); err == nil {
		err = flushed
	}
	return err
}

func (f *frameWriter) folder(ctx context.Context, folder *Folder, done keySet) error {
	err := f.json(frameFolder, folderHead{
		Name: folder.Name, Validity: folder.Validity, UIDNext: folder.UIDNext,
		Subscribed: folder.Subscribed, Total: folder.Total, Note: folder.Note,
	})
	if err != nil {
		return err
	}
	buf := make([]byte, pieceSize)
	var end folderEnd
	for msg, err := range folder.Messages(ctx, done.has) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if done.has(msg.Key) {
			end.Known++
			continue
		}
		if err := f.message(&msg, buf); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.json(frameFolderEnd, end)
}

func (f *frameWriter) message(msg *Message, buf []byte) error {
	head := messageHead{Key: msg.Key, System: msg.Flags.System, Keywords: msg.Flags.Keywords, UID: msg.UID}
	if !msg.Date.IsZero() {
		date := int64(mail.NewInternalDate(msg.Date))
		head.Date = &date
	}
	if err := f.json(frameMessage, head); err != nil {
		return err
	}
	body, err := msg.Open()
	if err != nil {
		return f.json(frameRefused, refusal{err.Error()})
	}
	size := int64(0)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			size += int64(n)
			if err := f.frame(framePiece, buf[:n]); err != nil {
				return errors.Join(err, body.Close())
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if err := body.Close(); err != nil {
				return f.json(frameRefused, refusal{err.Error()})
			}
			return f.json(frameMessageEnd, messageEnd{size})
		case err != nil:
			body.Close() // the reason is known
			return f.json(frameRefused, refusal{fmt.Sprintf("cannot be read: %v", err)})
		}
	}
}
