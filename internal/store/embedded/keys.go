package embedded

import (
	"encoding/binary"

	"postern/internal/mail"
	"postern/internal/store"
)

// Every key begins with a letter that names its table. Numbers in keys are
// big-endian, so that their order is the keys' order and all that belongs to one
// account, scope or body is one range. docs/decisions/0006-embedded-store.md
// says why the tables are as they are.
const (
	tableBody      = 'b' // body                -> where it is, size
	tableChunk     = 'c' // body, index u8      -> octets, CRC-32C
	tableIdentity  = 'd' // account             -> identity
	tableExpiry    = 'e' // microseconds, key   -> nothing
	tableCandidate = 'g' // body                -> nothing: it may have lost its last mark
	tableHead      = 'h' // account, scope      -> saved, head page
	tableBearer    = 'k' // body, account       -> nothing: the account's mark
	tableLog       = 'l' // account, ModSeq     -> record; at 0: where forgetting ended
	tableMark      = 'm' // account, body       -> nothing: the same mark
	tableName      = 'n' // name                -> account or alias
	tablePage      = 'p' // account, scope, kind u8, low -> page
	tableSummary   = 's' // account, message    -> summary
	tableUnlink    = 'u' // body                -> nothing: its file is to be removed
	tableShelf     = 'v' // key                 -> version, expiry, data
	tableSingle    = 'x' // name                -> one value of the whole store
)

// The values of tableSingle.
var (
	keyBirth    = []byte("xbirth")    // 8 random octets: the first half of this store's body names
	keyBodies   = []byte("xbodies")   // u64: bodies below it may have been given out
	keyVersions = []byte("xversions") // u64: likewise the shelf's versions
	keyAccounts = []byte("xaccounts") // u64: the last AccountID given out
	keyHorizon  = []byte("xhorizon")  // u64: bodies below it were looked at once their lease was over
)

// bodyID is a body's place in the order of arrival, and the second half of its
// name. 0 is none.
type bodyID uint64

func appendU64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

// key makes a key of a table out of numbers.
func key(table byte, numbers ...uint64) []byte {
	b := make([]byte, 1, 1+8*len(numbers))
	b[0] = table
	for _, n := range numbers {
		b = appendU64(b, n)
	}
	return b
}

func accountKey(table byte, id mail.AccountID, n uint64) []byte { return key(table, uint64(id), n) }

func logKey(id mail.AccountID, last mail.ModSeq) []byte {
	return accountKey(tableLog, id, uint64(last))
}

func headKey(id mail.AccountID, scope store.Scope) []byte {
	return accountKey(tableHead, id, uint64(scope))
}

func pageKey(id mail.AccountID, scope store.Scope, kind store.PageKind, low uint64) []byte {
	b := make([]byte, 0, 26)
	b = append(b, tablePage)
	b = appendU64(appendU64(b, uint64(id)), uint64(scope))
	return appendU64(append(b, byte(kind)), low)
}

// pagePrefix is what the keys of a scope's pages, or of one kind, begin with.
func pagePrefix(id mail.AccountID, scope store.Scope, kind ...store.PageKind) []byte {
	b := pageKey(id, scope, 0, 0)[:17]
	for _, k := range kind {
		b = append(b, byte(k))
	}
	return b
}

func chunkKey(id bodyID, index int) []byte {
	return append(key(tableChunk, uint64(id)), byte(index))
}

func nameKey(name string) []byte  { return append([]byte{tableName}, name...) }
func shelfKey(name string) []byte { return append([]byte{tableShelf}, name...) }

func expiryKey(micros int64, name string) []byte {
	return append(key(tableExpiry, uint64(micros)), name...)
}

// after gives the first key that does not begin with prefix: the upper bound of
// the prefix's range. It gives nil if there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// number reads the n-th number of a key, ok only if the key reaches that far.
func number(key []byte, n int) (uint64, bool) {
	if at := 1 + 8*n; at+8 <= len(key) {
		return binary.BigEndian.Uint64(key[at:]), true
	}
	return 0, false
}
