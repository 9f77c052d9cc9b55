package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// The values in pebble that this driver encodes itself. pebble keeps a checksum
// over every block, so these have none; bodies have (see chunk), as their octets
// are promised unchanged. Each begins with a version or kind where it may grow.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	chunkSize = 64 << 10  // octets of a body in one chunk, but for the last
	smallBody = 256 << 10 // the largest body inside pebble (study: files win above)
	crcSize   = 4
)

// chunkSum is the checksum of one chunk of one body. The body's name and the
// chunk's index are part of it, so that a chunk in a wrong place is found out.
func chunkSum(ref mail.BodyRef, index int64, data []byte) uint32 {
	var place [24]byte
	copy(place[:], ref[:])
	binary.BigEndian.PutUint64(place[16:], uint64(index))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, data)
}

// bodyWhere says where a body's octets are.
type bodyWhere byte

const (
	bodyInside bodyWhere = 1 // in tableChunk
	bodyFile   bodyWhere = 2 // in a file of its own
)

// bodyMeta is a value of tableBody: where u8, size uvarint.
type bodyMeta struct {
	where bodyWhere
	size  int64
}

func (m bodyMeta) encode() []byte {
	return binary.AppendUvarint([]byte{byte(m.where)}, uint64(m.size))
}

func decodeBodyMeta(b []byte) (bodyMeta, bool) {
	if len(b) < 2 {
		return bodyMeta{}, false
	}
	size, n := binary.Uvarint(b[1:])
	m := bodyMeta{bodyWhere(b[0]), int64(size)}
	ok := n == len(b)-1 && m.size >= 0 && (m.where == bodyFile || m.where == bodyInside && m.size <= smallBody)
	return m, ok
}

// A value of tableHead: saved u64, head page.
func encodeHead(saved mail.ModSeq, data []byte) []byte {
	return append(appendU64(make([]byte, 0, 8+len(data)), uint64(saved)), data...)
}

func decodeHead(b []byte) (saved mail.ModSeq, data []byte, ok bool) {
	if len(b) < 8 {
		return 0, nil, false
	}
	return mail.ModSeq(binary.BigEndian.Uint64(b)), b[8:], true
}

func decodeU64(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// identityVersion begins a value of tableIdentity: version u8, flags u8, update
// version uvarint, created varint (microseconds), name length uvarint, name,
// credentials to the end.
const identityVersion = 1

// The flags of an identity. A store that has none with a flag is read by versions
// that do not know the flag.
const (
	identityDisabled = 1 << 0
	identityShared   = 1 << 1
)

func encodeIdentity(d store.Identity) []byte {
	b := []byte{identityVersion, 0}
	if d.Disabled {
		b[1] |= identityDisabled
	}
	if d.Shared {
		b[1] |= identityShared
	}
	b = binary.AppendUvarint(b, d.Version)
	b = binary.AppendVarint(b, d.Created.UnixMicro())
	b = binary.AppendUvarint(b, uint64(len(d.Name)))
	return append(append(b, d.Name...), d.Credentials...)
}

func decodeIdentity(id mail.AccountID, b []byte) (store.Identity, bool) {
	if len(b) < 2 || b[0] != identityVersion || b[1]&^(identityDisabled|identityShared) != 0 {
		return store.Identity{}, false
	}
	d := store.Identity{ID: id, Disabled: b[1]&identityDisabled != 0, Shared: b[1]&identityShared != 0}
	var n int
	b = b[2:]
	if d.Version, n = binary.Uvarint(b); n <= 0 {
		return store.Identity{}, false
	}
	b = b[n:]
	created, n := binary.Varint(b)
	if n <= 0 {
		return store.Identity{}, false
	}
	d.Created = time.UnixMicro(created).UTC()
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return store.Identity{}, false
	}
	b = b[n:]
	d.Name = string(b[:size])
	d.Credentials = append([]byte(nil), b[size:]...)
	return d, true
}

// A value of tableName: 0 for an account's name or 1 for an alias, then the
// accounts, u64 each.
func encodeTarget(alias bool, accounts []mail.AccountID) []byte {
	b := make([]byte, 1, 1+8*len(accounts))
	if alias {
		b[0] = 1
	}
	for _, id := range accounts {
		b = appendU64(b, uint64(id))
	}
	return b
}

func decodeTarget(name string, b []byte) (store.Target, bool) {
	if len(b) < 9 || len(b)%8 != 1 || b[0] > 1 || b[0] == 0 && len(b) != 9 {
		return store.Target{}, false
	}
	t := store.Target{Name: name, Alias: b[0] == 1}
	for b = b[1:]; len(b) > 0; b = b[8:] {
		t.Accounts = append(t.Accounts, mail.AccountID(binary.BigEndian.Uint64(b)))
	}
	return t, true
}

// A value of tableShelf: version u64, expires u64 (microseconds since 1970; 0:
// never), data.
func encodeValue(v store.Value) []byte {
	b := appendU64(make([]byte, 0, 16+len(v.Data)), v.Version)
	b = appendU64(b, uint64(micros(v.Expires)))
	return append(b, v.Data...)
}

func decodeValue(key string, b []byte) (store.Value, bool) {
	if len(b) < 16 {
		return store.Value{}, false
	}
	v := store.Value{Key: key, Version: binary.BigEndian.Uint64(b), Data: append([]byte(nil), b[16:]...)}
	if at := int64(binary.BigEndian.Uint64(b[8:])); at != 0 {
		v.Expires = time.UnixMicro(at).UTC()
	}
	return v, true
}

// micros gives a time as tableExpiry and tableShelf hold it. A time before 1970
// is as good as 1970's first microsecond: both are over.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, t.UnixMicro())
}
