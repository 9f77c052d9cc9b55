package netserver

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"slices"
)

// changing are the extensions of a hello that the same client sends at one time
// and not at another: they depend on the name it was given, on what it resumes and
// on what the server asked for.
var changing = []uint16{
	0,  // server_name
	21, // padding
	35, // session_ticket
	41, // pre_shared_key
	42, // early_data
	44, // cookie
}

// helloFingerprint gives a number that stands for the kind of client that a hello
// comes from: equal for the same program on the same system, and mostly different
// for others. It proves nothing, because a hello can be copied. The order of
// extensions does not count: there are clients that shuffle them.
func helloFingerprint(hello *tls.ClientHelloInfo) uint64 {
	h := sha256.New()
	list := func(values []uint16, sorted bool) {
		values = slices.DeleteFunc(slices.Clone(values), madeUp)
		if sorted {
			slices.Sort(values)
		}
		b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
		for _, v := range values {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		h.Write(b)
	}
	list(hello.CipherSuites, false)
	list(hello.SupportedVersions, false)
	list(numbers(hello.SupportedCurves), false)
	list(numbers(hello.SignatureSchemes), false)
	list(slices.DeleteFunc(slices.Clone(hello.Extensions), func(e uint16) bool { return slices.Contains(changing, e) }), true)
	for _, p := range hello.SupportedProtos {
		h.Write(append([]byte{uint8(len(p))}, p...))
	}
	return max(binary.BigEndian.Uint64(h.Sum(nil)), 1)
}

// madeUp reports whether a value is one of those that clients make up, so that
// servers learn to pass over what they do not know (RFC 8701).
func madeUp(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func numbers[N ~uint16](values []N) []uint16 {
	out := make([]uint16, len(values))
	for i, v := range values {
		out[i] = uint16(v)
	}
	return out
}
