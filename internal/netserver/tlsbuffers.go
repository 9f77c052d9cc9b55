package netserver

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"slices"
	"unsafe"
)

// A tls.Conn keeps the buffers it read its largest record and handshake message with for as long as it lives: after a
// handshake 5.6 KiB, after a large APPEND 33 KiB, for a connection that may be silent for days. There is no way to have
// them given back, so this takes them: where the fields are and that they are what we think is looked up once, and where
// any of it is not so, nothing is done. What is in them stays. Decision 0047 weighs it.

// readBuffers are the offsets of a tls.Conn's buffers for reading. known is false for a crypto/tls that we do not know.
var readBuffers = findReadBuffers(reflect.TypeFor[tls.Conn]())

type tlsBuffers struct {
	known    bool
	rawInput uintptr // bytes.Buffer: records as they came, perhaps not whole
	hand     uintptr // bytes.Buffer: handshake messages
	input    uintptr // bytes.Reader: what of a record has not been read yet; it points into rawInput
}

func findReadBuffers(conn reflect.Type) (b tlsBuffers) {
	buffer, reader := reflect.TypeFor[bytes.Buffer](), reflect.TypeFor[bytes.Reader]()
	for _, f := range []struct {
		name string
		at   *uintptr
		is   reflect.Type
	}{{"rawInput", &b.rawInput, buffer}, {"hand", &b.hand, buffer}, {"input", &b.input, reader}} {
		field, ok := conn.FieldByName(f.name)
		if !ok || field.Type != f.is || len(field.Index) != 1 {
			return tlsBuffers{}
		}
		*f.at = field.Offset
	}
	b.known = true
	return b
}

// trimmedBuffer is the capacity, in octets, up to which a buffer is left alone: a read that waits takes about as much again.
const trimmedBuffer = 640

// trim gives back what the buffers of a connection have too much. Nobody may read from it meanwhile.
func (b tlsBuffers) trim(c *tls.Conn) {
	if !b.known {
		return
	}
	input := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(c), b.input))
	if input.Len() > 0 {
		return
	}
	*input = bytes.Reader{} // else it would hold the old rawInput
	for _, offset := range []uintptr{b.rawInput, b.hand} {
		if buf := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset)); buf.Cap() > trimmedBuffer {
			*buf = *bytes.NewBuffer(slices.Clone(buf.Bytes()))
		}
	}
}

// Rest gives back memory that a connection does not need while it waits for its client. It is for who reads from it, and
// not for while somebody does.
func (c *Conn) Rest() {
	if t := c.secure.Load(); t != nil {
		readBuffers.trim(t)
	}
}
