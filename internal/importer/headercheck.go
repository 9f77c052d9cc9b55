package importer

// headerCheck looks at a message as it comes and finds out whether it is broken:
// whether it has no header field at all, or lines in its header that belong to no
// field (RFC 5322 2.2).
type headerCheck struct {
	state  lineState
	fields int
	bad    bool
}

type lineState uint8

const (
	lineStart  lineState = iota
	inName               // octets that may be a field's name
	behindName           // white space before the colon: obsolete syntax (RFC 5322 4.5)
	inValue
	inBad
	sawCR // at the start of a line
	inBody
)

// Write looks at octets. It gives no error.
func (h *headerCheck) Write(p []byte) (int, error) {
	for _, c := range p {
		if h.state == inBody {
			break
		}
		h.octet(c)
	}
	return len(p), nil
}

func (h *headerCheck) octet(c byte) {
	switch {
	case c == '\n':
		switch h.state {
		case lineStart, sawCR:
			h.state = inBody
			return
		case inName, behindName:
			h.bad = true
		}
		h.state = lineStart
	case h.state == inValue || h.state == inBad:
	case h.state == lineStart && c == '\r':
		h.state = sawCR
	case h.state == lineStart && (c == ' ' || c == '\t'):
		if h.state = inValue; h.fields == 0 {
			h.fail()
		}
	case h.state == inName && c == ':':
		h.state = inValue
		h.fields++
	case h.state == inName && (c == ' ' || c == '\t'):
		h.state = behindName
	case h.state == behindName && c == ':':
		h.state = inValue
		h.fields++
	case h.state == behindName && (c == ' ' || c == '\t'):
	case (h.state == lineStart || h.state == inName) && c > ' ' && c < 0x7f && c != ':':
		h.state = inName
	default:
		h.fail()
	}
}

func (h *headerCheck) fail() { h.bad, h.state = true, inBad }

// broken says what was found, at the end.
func (h *headerCheck) broken() bool {
	return h.bad || h.fields == 0 || h.state == inName || h.state == behindName
}
