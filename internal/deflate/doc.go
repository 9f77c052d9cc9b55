// Package deflate reads and writes the compressed data format of RFC 1951 as a
// conversation needs it: what has come in is given out at once, and nothing is
// held while nobody says anything.
//
// The readers of Go's own library and of those made after it give out what they
// have decoded when a stored block comes or their window is full. A client may end
// what it says with a partial flush instead (zlib's Z_PARTIAL_FLUSH, which RFC 4978
// never forbids), and they would wait for more while it waits for an answer. They
// also cannot go on after a read that failed, and a session reads with deadlines
// that other goroutines move. Inflater is given octets and never waits.
package deflate
