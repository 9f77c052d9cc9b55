package message

// Limits on what one Summary keeps. They bound memory and the size of what the
// store has to remember, not the message: its bytes are kept whole.
const (
	// MaxDepth is how deep parts may nest, the root being at depth 1. A
	// multipart or message at this depth is reported as
	// application/octet-stream.
	MaxDepth = 100

	// MaxParts is the number of parts in one message, those of encapsulated
	// messages included. The last one takes in all that follows, as
	// application/octet-stream. The empty part that a multipart without any
	// is given does not count.
	MaxParts = 10_000

	// MaxAddresses is the number of address structures in all envelopes of
	// one message together, group markers included. Later ones are dropped.
	MaxAddresses = 10_000

	// MaxParams is the number of parameters (RFC 2231 segments counted one by
	// one) read from one Content-Type or Content-Disposition field.
	MaxParams = 1_000

	// MaxAllParams is the number of parameters kept in one message.
	MaxAllParams = 20_000

	// MaxField is the number of bytes kept of one header field; repeated
	// address fields of one name share it. The rest is skipped.
	MaxField = 1 << 20

	// MaxKept is the number of header bytes kept of one message, all fields
	// of all parts together.
	MaxKept = 4 << 20

	// MaxBoundary is the longest boundary that is looked for: a delimiter
	// line cannot be longer in mail that obeys RFC 5322 2.1.1 (and RFC 2046
	// 5.1.1 allows 70). A multipart with a longer one counts as having none.
	MaxBoundary = 998

	// maxFieldName is the longest field name that is told from another.
	maxFieldName = 256
)
