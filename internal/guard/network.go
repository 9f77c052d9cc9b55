package guard

import (
	"encoding/binary"
	"net/netip"
)

// network is the part of an address that tries are counted by: a /24 of IPv4, a
// /56 of IPv6, which is what a customer of a provider has. It is a number, so that
// a million of them can be kept.
type network uint64

// local is a client that has no address: one on a Unix socket.
const local network = 0

const (
	bits4 = 24
	bits6 = 56
	// An IPv6 network's low octet is clear, so this one is IPv4's alone.
	tag4 = 1
)

func networkOf(addr netip.Addr) network {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return local
	case addr.Is4():
		a := addr.As4()
		return network(binary.BigEndian.Uint32(a[:]))&^0xff<<8 | tag4
	}
	a := addr.As16()
	n := network(binary.BigEndian.Uint64(a[:8])) &^ 0xff
	if n == local { // ::1 and the like
		n = 2
	}
	return n
}

// prefix gives the network as people write it.
func (n network) prefix() netip.Prefix {
	switch {
	case n == local:
		return netip.Prefix{}
	case n&0xff == tag4:
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(n>>8)&^0xff)
		return netip.PrefixFrom(netip.AddrFrom4(a), bits4)
	}
	var a [16]byte
	binary.BigEndian.PutUint64(a[:8], uint64(n)&^0xff)
	return netip.PrefixFrom(netip.AddrFrom16(a), bits6)
}

// String gives it for a log or an administrator.
func (n network) String() string {
	if n == local {
		return "local"
	}
	return n.prefix().String()
}
