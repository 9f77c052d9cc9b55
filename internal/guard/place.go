package guard

// place is what is remembered of a network.
type place struct {
	strangers bucket     // tries by those who are not familiar
	failing   failWindow // accounts at which strangers failed from here
	good      goodWindow // accounts that signed in from here
	blocked   uint32     // closed to strangers until then, seconds since 1970
	offences  uint8      // how often it was closed, one after the other
}

// budget is what strangers may spend from here.
func (p *place) budget(now uint32) measure { return networkBudget(p.good.count(now)) }

// closed reports whether strangers are refused.
func (p *place) closed(now uint32) bool { return p.blocked > now }

// fail notes that a stranger failed. It reports whether the network was closed by
// it, and how many accounts fail.
func (p *place) fail(now uint32, who uint64) (bool, int) {
	note(p.failing.pane(now)[:], who)
	failing := p.failing.count(now)
	good := p.good.count(now)
	if p.closed(now) || failing < blockAt || failing < blockSure && 2*failing <= 3*good {
		return false, failing
	}
	if p.blocked+calmAfter < now {
		p.offences = 0
	}
	p.blocked = now + uint32(min(blockFor<<min(p.offences, 8), blockMost))
	p.offences++
	return true, failing
}

// worth says how sorry one would be to forget the network.
func (p *place) worth() int {
	switch {
	case p.offences > 0:
		return 3
	case p.good.panes != [goodPanes][placeWords]uint64{}:
		return 2
	case p.failing.panes != [failPanes][placeWords]uint64{}:
		return 1
	}
	return 0
}
