package terms

import (
	"github.com/klauspost/compress/zstd"
)

// Terms of a block are compressed: sorted words have much in common, and the
// dictionary is the larger half of a segment.

// packer compresses blocks.
type packer struct{ encoder *zstd.Encoder }

func (p *packer) pack(b []byte) []byte {
	if p.encoder == nil {
		p.encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithLowerEncoderMem(true)) // these options are sound
	}
	return p.encoder.EncodeAll(b, nil)
}

// unpacker is shared: a decoder holds much and is given back after each block.
var unpacker, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock))

// maxBlock bounds the terms of a block: one term beyond the limit may be in it.
const maxBlock = blockTerms + 2*maxRun

// unpack gives a block's terms, which are so many octets, appended to dst.
func unpack(dst, b []byte, octets int) ([]byte, bool) {
	start := len(dst)
	dst, err := unpacker.DecodeAll(b, dst)
	return dst, err == nil && len(dst)-start == octets
}
