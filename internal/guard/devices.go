package guard

import "slices"

// person is what is remembered of an account.
type person struct {
	strangers bucket // tries by those who are not familiar
	inARow    uint16 // wrong ones of them since somebody signed in
	weak      uint32 // when the account's password was found to be a hot one, seconds since 1970; 0: never
	wrong     [wrongKept]print
	probed    [wrongKeptDevice]print // hot passwords that were checked although they are refused
	devices   []device               // the one seen last comes last
}

// device is a network and a kind of client that an account was signed in to
// from.
type device struct {
	network network
	client  uint64
	seen    uint32 // when it last signed in, seconds since 1970
	budget  bucket
	wrong   [wrongKeptDevice]print // the newest last
}

// has reports whether one of a password's prints is remembered.
func has(kept []print, ps prints) bool {
	return slices.ContainsFunc(kept, func(p print) bool { return p != 0 && (p == ps[0] || p == ps[1]) })
}

// remember makes a print the newest of those kept.
func remember(kept []print, p print) {
	if p == 0 {
		return
	}
	at := slices.Index(kept, p)
	if at < 0 {
		at = 0
	}
	copy(kept[at:], kept[at+1:])
	kept[len(kept)-1] = p
}

// device gives the familiar device that a try comes from, or nil.
func (p *person) device(now uint32, from network, client uint64) *device {
	for i := range p.devices {
		d := &p.devices[i]
		if d.network == from && d.client == client && d.seen+familiarFor > now {
			return d
		}
	}
	return nil
}

// welcome makes the place of a successful try a familiar device. It reports how
// many more devices are remembered than before, and whether what is kept over
// restarts has changed by it.
func (p *person) welcome(now uint32, from network, client uint64) (more int, changed bool) {
	was := len(p.devices)
	at := slices.IndexFunc(p.devices, func(d device) bool { return d.network == from && d.client == client })
	d := device{network: from, client: client}
	if at >= 0 {
		d = p.devices[at]
		p.devices = slices.Delete(p.devices, at, at+1)
	} else {
		p.devices = slices.DeleteFunc(p.devices, func(d device) bool { return d.seen+familiarFor <= now })
		if len(p.devices) == maxDevices {
			p.devices = slices.Delete(p.devices, 0, 1)
		}
	}
	changed = at < 0 || d.seen/day != now/day
	d.seen = now
	p.devices = append(p.devices, d)
	return len(p.devices) - was, changed
}

// budgetOf is what strangers may spend at this account.
func (p *person) budgetOf() measure {
	if p.inARow >= tolerated {
		return slowBudget
	}
	return strangerBudget
}

// worth says how sorry one would be to forget the account: very, where there are
// devices of its owner's; a little, where strangers have used up their budget.
func (p *person) worth() int {
	switch {
	case len(p.devices) > 0:
		return 2
	case p.inARow > 0:
		return 1
	}
	return 0
}
