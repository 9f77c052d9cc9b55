// Package guard stands between a try to sign in and the check of its password.
// It slows those who guess, and never the devices an account's owner already
// uses.
//
// Most servers answer guessing by banning addresses or locking accounts. The
// first locks an office out behind its one address, the second lets anybody lock
// anybody out, and neither sees ten thousand addresses that try one password at
// each account. The guard charges each try to budgets instead, before the
// password is looked at:
//
//   - A device is an account, a network and a kind of client that signed in
//     together within 30 days. Each has a budget of its own, which nobody else's
//     tries can touch.
//   - All strangers at an account share one budget, and all strangers from a
//     network share another, which grows with the accounts that sign in from there.
//   - A network from which many different accounts fail is closed to strangers for
//     a while: such are sprays from one place.
//   - A password that fails at several accounts is hot: tries with it by strangers are
//     refused wherever they come from. Such are sprays from ten thousand places.
//
// A try that is refused costs the account nothing, and nobody is told whether it
// was right. The same wrong password again is not a new guess: that is a phone
// whose owner has chosen a new one. There is no lock-out: each budget fills up
// again by itself.
//
// Passwords are known here only as 32 bits of a hash under a key that lives and
// dies with the process. What is kept over restarts holds nothing of them.
//
// docs/guard.md says the same for administrators, with the figures of a
// simulation; the numbers below are those of the study behind it.
package guard
