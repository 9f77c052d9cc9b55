package embedded

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

// hexOf reads hexadecimal digits with spaces between them.
func hexOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	must(t, err)
	return b
}

var goldenRef = mail.BodyRef{0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0, 0, 0, 0, 0, 0, 1, 2}

// TestGolden holds keys and values written out by hand from the descriptions in
// keys.go, codec.go and bodyfile.go. They are on disks: a test that fails here
// means a new format, not a new expectation.
func TestGolden(t *testing.T) {
	const one, two = "0000000000000001", "0000000000000102"
	created := time.UnixMicro(1).UTC() // varint (zigzag) 02
	cases := []struct {
		name string
		got  []byte
		want string
	}{
		{"log", logKey(1, 0x102), "6c" + one + two},
		{"head page", headKey(1, 0x102), "68" + one + two},
		{"page", pageKey(1, 0x102, 7, 1), "70" + one + two + "07" + one},
		{"page prefix", pagePrefix(1, 0x102), "70" + one + two},
		{"page kind prefix", pagePrefix(1, 0x102, 7), "70" + one + two + "07"},
		{"summary", accountKey(tableSummary, 1, 0x102), "73" + one + two},
		{"mark", accountKey(tableMark, 1, 0x102), "6d" + one + two},
		{"bearer", key(tableBearer, 0x102, 1), "6b" + two + one},
		{"body", key(tableBody, 0x102), "62" + two},
		{"chunk", chunkKey(0x102, 3), "63" + two + "03"},
		{"candidate", key(tableCandidate, 0x102), "67" + two},
		{"unlink", key(tableUnlink, 0x102), "75" + two},
		{"identity", key(tableIdentity, 1), "64" + one},
		{"name", nameKey("ab"), "6e 6162"},
		{"shelf", shelfKey("ab"), "76 6162"},
		{"expiry", expiryKey(0x102, "ab"), "65" + two + "6162"},
		{"birth", keyBirth, "78 6269727468"},
		{"value: body inside", bodyMeta{bodyInside, 300}.encode(), "01 ac02"},
		{"value: body file", bodyMeta{bodyFile, 1 << 20}.encode(), "02 808040"},
		{"value: head page", encodeHead(0x102, []byte("h")), two + "68"},
		{"value: account", encodeIdentity(store.Identity{Version: 300, Name: "ab", Credentials: []byte("pw"), Disabled: true, Created: created}),
			"01 01 ac02 02 02 6162 7077"},
		{"value: shared account", encodeIdentity(store.Identity{Version: 1, Name: "ab", Shared: true, Created: created}), "01 02 01 02 02 6162"},
		{"value: name", encodeTarget(false, []mail.AccountID{0x102}), "00" + two},
		{"value: alias", encodeTarget(true, []mail.AccountID{1, 0x102}), "01" + one + two},
		{"value: shelf", encodeValue(store.Value{Version: 0x102, Expires: created, Data: []byte("v")}), two + one + "76"},
		{"value: shelf, for ever", encodeValue(store.Value{Version: 1, Data: []byte("v")}), one + "0000000000000000 76"},
	}
	for _, c := range cases {
		if want := hexOf(t, c.want); !bytes.Equal(c.got, want) {
			t.Errorf("%s: %x, want %x", c.name, c.got, want)
		}
	}
}

// TestGoldenChecksums compares with CRC-32C as RFC 3720 B.4 defines it, a bit at
// a time, over the octets that bodyfile.go and codec.go describe.
func TestGoldenChecksums(t *testing.T) {
	header := encodeBodyHeader(goldenRef)
	if want := hexOf(t, "5053544e424f4459 01000000 b1b2b3b4b5b6b7b80000000000000102"); !bytes.Equal(header[:28], want) {
		t.Errorf("header %x, want %x", header[:28], want)
	}
	if want := slowCRC32C(header[:28]); !bytes.Equal(header[28:], appendU64(nil, uint64(want))[4:]) {
		t.Errorf("header's checksum %x, want %x", header[28:], want)
	}
	place := append(goldenRef[:], 0, 0, 0, 0, 0, 0, 0, 5)
	if got, want := chunkSum(goldenRef, 5, []byte("octets")), slowCRC32C(append(place, "octets"...)); got != want {
		t.Errorf("chunk's checksum %x, want %x", got, want)
	}
	if got := slowCRC32C([]byte("123456789")); got != 0xe3069283 { // the check value of CRC-32C
		t.Errorf("the test's own CRC-32C is wrong: %x", got)
	}
}

// slowCRC32C is CRC-32C by its definition, a bit at a time.
func slowCRC32C(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	return ^crc
}

func TestKeyOrder(t *testing.T) {
	for _, c := range []struct{ prefix, end string }{{"61", "62"}, {"61ff", "62"}, {"6100", "6101"}, {"ff", ""}, {"61ffff", "62"}} {
		if got := after(hexOf(t, c.prefix)); !bytes.Equal(got, hexOf(t, c.end)) {
			t.Errorf("after %s is %x, want %s", c.prefix, got, c.end)
		}
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	want := store.Identity{ID: 7, Version: 1 << 40, Name: "é@example.org", Credentials: noise(1, 300), Created: noonUTC}
	got, ok := decodeIdentity(7, encodeIdentity(want))
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

var noonUTC = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// FuzzValues reads damaged values: none may panic, and what is understood is
// written again in the same octets wherever the encoding knows one form only.
func FuzzValues(f *testing.F) {
	f.Add(bodyMeta{bodyInside, 300}.encode())
	f.Add(encodeHead(5, []byte("head")))
	f.Add(encodeIdentity(store.Identity{Version: 1, Name: "ada@example.org", Credentials: []byte("x"), Created: noonUTC}))
	f.Add(encodeTarget(true, []mail.AccountID{1, 2}))
	f.Add(encodeValue(store.Value{Version: 9, Data: []byte("v"), Expires: noonUTC}))
	f.Add(encodeBodyHeader(goldenRef))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := decodeBodyMeta(b); ok && m.size < 0 {
			t.Errorf("a body of %d octets", m.size)
		}
		if saved, data, ok := decodeHead(b); ok && !bytes.Equal(encodeHead(saved, data), b) {
			t.Error("a head page changed")
		}
		if d, ok := decodeIdentity(1, b); ok {
			if again, ok := decodeIdentity(1, encodeIdentity(d)); !ok || !reflect.DeepEqual(again, d) {
				t.Errorf("an identity changed: %+v, %+v", d, again)
			}
		}
		if target, ok := decodeTarget("x", b); ok && !bytes.Equal(encodeTarget(target.Alias, target.Accounts), b) {
			t.Error("a name changed")
		}
		if v, ok := decodeValue("x", b); ok && v.Version == 0 && len(b) < 16 {
			t.Error("a value out of nothing")
		}
		if ref, ok := decodeBodyHeader(b); ok && !bytes.Equal(encodeBodyHeader(ref), b) {
			t.Error("a header changed")
		}
	})
}

// FuzzKeys reads keys of any length.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("l0000000011111111"), 1)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, k []byte, n int) {
		if n < 0 || n > 3 {
			return
		}
		if v, ok := number(k, n); ok && !bytes.Equal(appendU64(nil, v), k[1+8*n:9+8*n]) {
			t.Errorf("number %d of %x is %x", n, k, v)
		}
		if end := after(k); end != nil && bytes.Compare(end, k) <= 0 {
			t.Errorf("%x does not come after %x", end, k)
		}
	})
}
