package terms

import (
	"github.com/klauspost/compress/zstd"
)

// Terms of a block are compressed: sorted words have much in common, and the
// dictionary is the larger half of a segment.

// packer and unpacker are shared: each holds memory of its own, and a block is done in no time.
var (
	packer, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	unpacker, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock))
)

const packWindow = 32 << 10 // no block is larger

// maxBlock bounds the terms of a block: one term beyond the limit may be in it.
const maxBlock = blockTerms + 2*maxRun

// pack compresses a block's terms.
func pack(words []byte) []byte { return packer.EncodeAll(words, nil) }

// unpack gives a block's terms, which are so many octets, appended to dst.
func unpack(dst, b []byte, octets int) ([]byte, bool) {
	start := len(dst)
	dst, err := unpacker.DecodeAll(b, dst)
	return dst, err == nil && len(dst)-start == octets
}
