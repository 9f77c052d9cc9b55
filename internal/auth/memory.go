package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"postern/internal/mail"
)

// proof stands for "this password, of this account, at this version of its
// credentials". It can be compared and tells nothing else: it is an HMAC under a
// key that lives and dies with the process.
type proof [sha256.Size]byte

// memory remembers passwords that were right, for a while, so that a client with
// five connections costs one hash. It never remembers that one was wrong. A
// change of the credentials raises their version, and what was remembered of the
// old ones is never asked for again.
type memory struct {
	key  [32]byte
	life time.Duration
	room int

	mu    sync.Mutex
	until map[proof]time.Time
	queue []proof // oldest first, which is also the order in which they end
}

func newMemory(life time.Duration, room int) *memory {
	m := &memory{life: life, room: room, until: make(map[proof]time.Time)}
	rand.Read(m.key[:]) // never fails: crypto/rand ends the program rather
	return m
}

// proofOf names the account by its ID or, for one that does not exist, by the
// name that was tried; an ID is never 0.
func (m *memory) proofOf(id mail.AccountID, version uint64, name, prepared string) proof {
	h := hmac.New(sha256.New, m.key[:])
	buf := make([]byte, 0, 64+len(name))
	buf = binary.BigEndian.AppendUint64(buf, uint64(id))
	buf = binary.BigEndian.AppendUint64(buf, version)
	if id == 0 {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(name)))
		buf = append(buf, name...)
	}
	h.Write(buf)
	h.Write([]byte(prepared))
	var p proof
	h.Sum(p[:0])
	return p
}

func (m *memory) has(p proof, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[p]
	return ok && now.Before(until)
}

// add remembers a proof from now on for the set time, used or not: a password
// that leaks must not stay in memory for as long as its client polls.
func (m *memory) add(p proof, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 && !now.Before(m.until[m.queue[0]]) {
		m.forgetOldest()
	}
	if _, ok := m.until[p]; ok || m.room <= 0 || m.life <= 0 {
		return
	}
	if len(m.queue) >= m.room {
		m.forgetOldest()
	}
	m.until[p] = now.Add(m.life)
	m.queue = append(m.queue, p)
}

func (m *memory) forgetOldest() {
	delete(m.until, m.queue[0])
	m.queue = m.queue[1:]
}
