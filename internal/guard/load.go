package guard

// load tells an attack by how many different accounts strangers fail at within an
// hour, compared with what is usual at this hour of the week.
type load struct {
	window loadWindow
	on     bool
	looked uint32
	usual  [hoursOfWeek]usual
}

const hoursOfWeek = 7 * 24

// usual is the highest count at an hour of the week: this week's, and those of the
// two weeks before.
type usual struct {
	week uint32 // of high[0]
	high [3]uint16
}

// before brings it up to a week and gives the highest of the weeks before that.
func (u *usual) before(week uint32) uint16 {
	for ; u.week < week; u.week++ {
		if u.week+3 <= week {
			u.high, u.week = [3]uint16{}, week
			break
		}
		u.high = [3]uint16{0, u.high[0], u.high[1]}
	}
	return max(u.high[1], u.high[2])
}

// fail notes that a stranger failed at an account.
func (l *load) fail(now uint32, who uint64) { note(l.window.pane(now)[:], who) }

// limit is how many may fail before it is called an attack.
func (l *load) limit(now uint32) int {
	u := &l.usual[now/hour%hoursOfWeek]
	return max(attackAt, attackTimes*int(u.before(now/(hoursOfWeek*hour))))
}

// attack tells whether there is one, and whether that is news. It looks once a
// second at most.
func (l *load) attack(now uint32) (on, turned bool) {
	if now == l.looked {
		return l.on, false
	}
	l.looked = now
	failing, limit := l.window.count(now), l.limit(now)
	// What is far above the usual is learnt as the limit at most: an attack must not
	// become usual, and a house that grows must not be under attack for ever.
	u := &l.usual[now/hour%hoursOfWeek]
	u.high[0] = max(u.high[0], uint16(min(failing, limit, 1<<16-1)))
	was := l.on
	l.on = failing > limit
	return l.on, l.on != was
}
