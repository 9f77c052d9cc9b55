package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// print stands for a password, whoever's it is: 32 bits of a hash under a secret
// key. That there is no user name in it is what makes a spray visible, and is why it
// is never written anywhere. 0 stands for a password that was not shown, as in
// SCRAM.
type print uint32

// printKeys are the keys of today and of the week before. What is hot under the
// old one stays so until it goes.
type printKeys struct {
	key  [2][32]byte // the newer first
	made uint32      // the newer, in seconds since 1970
}

const keyLife = 7 * 24 * 60 * 60 // seconds until the next key

// prints are a password's under both keys.
type prints [2]print

// of gives a password's prints. maxPassword bounds its length, so that the
// memory it takes is the stack's.
func (k *printKeys) of(now uint32, password string) (p prints) {
	k.turn(now)
	if password == "" {
		return p
	}
	var buf [32 + maxPassword]byte
	n := copy(buf[32:], password)
	for i := range p {
		if k.key[i] == [32]byte{} { // there was no week before
			break
		}
		copy(buf[:], k.key[i][:])
		sum := sha256.Sum256(buf[:32+n])
		p[i] = print(max(binary.BigEndian.Uint32(sum[:]), 1))
	}
	clear(buf[:])
	return p
}

// maxPassword is the length up to which passwords are told apart. Longer ones do
// not exist (auth.MaxPassword, less what OpaqueString may add).
const maxPassword = 2048

func (k *printKeys) turn(now uint32) {
	if k.made != 0 && now-k.made < keyLife {
		return
	}
	k.key[1] = k.key[0]
	rand.Read(k.key[0][:])
	k.made = now
}

// sprays remembers which passwords failed lately at how many accounts. It is a
// table of sets with four places each: room for 16,384 passwords. An attacker who
// tries many others in between pushes out those that failed at one account, not
// those that failed at several.
type sprays struct {
	sets [sprayKeep / sprayWays][sprayWays]spray
}

const (
	sprayKeep = 16 << 10
	sprayWays = 4
	// sprayAccounts is how many accounts are remembered for a password: as many as
	// make it hot.
	sprayAccounts = 5
)

// spray is one password that failed.
type spray struct {
	print    print
	hotUntil uint32 // seconds since 1970; 0: it is not
	hotAt    uint32 // when it became so
	n        uint8
	who      [sprayAccounts]sprayTry
}

type sprayTry struct {
	account uint32 // of the hash of the account, or of the name tried
	at      uint32
}

func (s *sprays) set(p print) *[sprayWays]spray {
	return &s.sets[uint32(p)%uint32(len(s.sets))]
}

// hot reports whether tries with a password are refused.
func (s *sprays) hot(now uint32, ps prints, threshold int) bool {
	for _, p := range ps {
		if e := s.find(p); e != nil && (e.hotUntil > now || e.accounts(now) >= threshold) {
			return true
		}
	}
	return false
}

// accounts is at how many it failed within a day.
func (e *spray) accounts(now uint32) int {
	n := 0
	for _, t := range e.who[:e.n] {
		if t.at+sprayWindow > now {
			n++
		}
	}
	return n
}

func (s *sprays) find(p print) *spray {
	if p == 0 {
		return nil
	}
	set := s.set(p)
	for i := range set {
		if set[i].print == p {
			return &set[i]
		}
	}
	return nil
}

// add notes that a password failed at an account. It reports whether it has
// become hot by that.
func (s *sprays) add(now uint32, p print, account uint32, threshold int) bool {
	if p == 0 {
		return false
	}
	e := s.find(p)
	if e == nil {
		e = s.place(now, p)
	}
	e.note(now, account)
	if e.hotUntil > now || int(e.n) < threshold {
		return false
	}
	e.hotUntil, e.hotAt = now+hotFor, now
	return true
}

// note adds an account to those that the password failed at within a day.
func (e *spray) note(now, account uint32) {
	kept := e.who[:0]
	for _, t := range e.who[:e.n] {
		if t.account != account && t.at+sprayWindow > now {
			kept = append(kept, t)
		}
	}
	if len(kept) == sprayAccounts {
		copy(kept, kept[1:])
		kept = kept[:sprayAccounts-1]
	}
	kept = append(kept, sprayTry{account, now})
	e.n = uint8(len(kept))
}

// place finds room for a password: a free one, or that of the one that failed at
// the fewest accounts, longest ago.
func (s *sprays) place(now uint32, p print) *spray {
	set := s.set(p)
	least := &set[0]
	for i := range set {
		e := &set[i]
		if e.print == 0 {
			least = e
			break
		}
		if e.rank(now) < least.rank(now) {
			least = e
		}
	}
	*least = spray{print: p}
	return least
}

// rank is higher for what should rather be kept.
func (e *spray) rank(now uint32) uint64 {
	var hot, last uint64
	if e.hotUntil > now {
		hot = 1
	}
	n := uint64(e.n)
	if n > 0 {
		last = uint64(e.who[n-1].at)
		if last+sprayWindow <= uint64(now) {
			n = 0
		}
	}
	return hot<<60 | n<<40 | last
}

// count says how many passwords are hot.
func (s *sprays) count(now uint32) int {
	n := 0
	for i := range s.sets {
		for j := range s.sets[i] {
			if s.sets[i][j].hotUntil > now {
				n++
			}
		}
	}
	return n
}
