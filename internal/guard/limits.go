package guard

// The numbers of the defence. They are those of a study (docs/guard.md has its
// figures): changed singly they do harm in one of the attacks that were tried.
const (
	minute = 60 // seconds
	hour   = 60 * minute
	day    = 24 * hour

	// A device is familiar for so long after it signed in.
	familiarFor = 30 * day
	// maxDevices are remembered of an account; the one not seen for longest gives way.
	maxDevices = 32

	// wrongKept are how many different wrong passwords are remembered of an account
	// and of a device: to try one of them again is no new guess.
	wrongKept       = 8
	wrongKeptDevice = 4

	// tolerated is how many wrong tries by strangers may follow each other until
	// their budget fills more slowly (NIST SP 800-63B-4 3.2.2: no more than 100). It
	// does not stop: nobody must be able to lock somebody else out.
	tolerated = 100

	// What a try costs its network: more if there is no such account, because who
	// has an account knows its name.
	costKnown   = 1
	costUnknown = 3

	// A network is closed to strangers when so many different accounts failed from
	// it within an hour, and more than half again as many as signed in from there
	// within a week; or when very many did.
	blockAt   = 8
	blockSure = 40
	blockFor  = hour // doubling each time, up to:
	blockMost = day
	// calmAfter is how long a network must have been quiet to be a first offender
	// again.
	calmAfter = 7 * day

	// A password is hot when it failed at so many accounts within a day: while all is
	// quiet, while an attack is under way, and if it is one that everybody tries. Even
	// such a one is not hot at once: who moves in with one must be able to sign in.
	hotAt       = 5
	hotAtAttack = 3
	hotAtCommon = 2
	sprayWindow = day
	hotFor      = 7 * day

	// An attack is under way when the accounts at which strangers failed within an
	// hour are more than so many, and more than so many times what is usual at this
	// hour of the week.
	attackAt    = 15
	attackTimes = 3
)

var (
	deviceBudget   = measure{size: 20, every: 10 * minute}
	strangerBudget = measure{size: 10, every: 6 * minute}
	// slowBudget is strangerBudget after too many wrong tries in a row.
	slowBudget = measure{size: 10, every: hour}
)

// networkBudget grows with the accounts that are at home in the network.
func networkBudget(good int) measure {
	return measure{size: 20 + 2*float32(good), every: 30 / (1 + float32(good)/10)}
}
