package deflate

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/flate"
)

// level is how hard a Deflater looks for what repeats. What a server says is mostly
// IMAP and base64, where more of it costs time and gains little (see the benchmark).
const level = 2

// deflater is a compressor and where it writes to. One takes some hundred KiB.
type deflater struct {
	to bytes.Buffer
	w  *flate.Writer
}

// deflaters are lent for the time it takes to compress one piece, so that there
// are about as many of them as processors, however many streams there are.
var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.w, _ = flate.NewWriter(&d.to, level) // fails for unknown levels only
	return d
}}

// Append compresses a piece of a stream and appends it to dst. What was appended
// before it and this make one stream, and the receiver can decode all of the piece
// at once: it ends with a sync flush. It refers to nothing before itself, so that
// nothing has to be kept between two pieces.
func Append(dst, piece []byte) []byte {
	d := deflaters.Get().(*deflater)
	d.to.Reset()
	d.w.Reset(&d.to)
	_, _ = d.w.Write(piece) // the buffer takes everything
	_ = d.w.Flush()
	dst = append(dst, d.to.Bytes()...)
	deflaters.Put(d)
	return dst
}
