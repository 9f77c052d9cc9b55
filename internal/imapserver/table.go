package imapserver

import "postern/internal/mail"

// state is where in the protocol a session is (RFC 9051 3), as a bit.
type state uint8

const (
	notAuthenticated state = 1 << iota
	authenticated
	selected
	loggedOut

	loggedIn = authenticated | selected
	anyState = notAuthenticated | loggedIn
)

// String names the state for a reply.
func (st state) String() string {
	switch st {
	case notAuthenticated:
		return "before login"
	case authenticated:
		return "before a mailbox is selected"
	case selected:
		return "while a mailbox is selected"
	}
	return "now"
}

// spec is what the table says of one command. The loop and the exit read it;
// the functions do not repeat it.
type spec struct {
	name   string
	states state
	// announce is the capability that tells clients of the command, "" where
	// IMAP4rev1 or IMAP4rev2 does.
	announce string
	// sequences says that its arguments or replies mean messages by sequence
	// number: no EXPUNGE is written when it has already arrived.
	sequences bool
	// reveals says that EXPUNGE may be written before its tagged reply
	// (RFC 9051 5.5, 7.5.1).
	reveals bool
	// removes says that EXPUNGE is its answer: it is told even to those who asked
	// by NOTIFY not to hear of expunges.
	removes bool
	// tellsNew says that clients send it to hear of new messages: under DelayNewMail
	// it alone tells of them.
	tellsNew bool
	// byUID says that the numbers of its sequence set are UIDs.
	byUID bool
	// rev1 says that IMAP4rev2 does not have it (RFC 9051 Appendix E): a session
	// that has enabled that has not either.
	rev1 bool
	do   func(*session, *command) error
}

// command is one command under way.
type command struct {
	tag  string
	spec *spec
	ok   reply // what its OK says; text defaults to "NAME completed"

	numbers  bool        // its criteria name sequence numbers: it may not reveal expunges
	modSeq   mail.ModSeq // the highest MODSEQ in its FETCH responses
	stopped  mail.UID    // it named more messages than it may work on, and stopped at this one; 0: it did not
	expunges bool        // VANISHED was told or owed during it
}

// done sets the code and the text of the command's OK.
func (c *command) done(code, text string) { c.ok = reply{statusOK, code, text} }

// commandTable is every command there is. UID SEARCH may name sequence numbers
// in its criteria.
func commandTable() []spec {
	return []spec{
		{name: "CAPABILITY", states: anyState, reveals: true, do: (*session).capability},
		{name: "NOOP", states: anyState, reveals: true, tellsNew: true, do: (*session).noop},
		{name: "LOGOUT", states: anyState, do: (*session).logout},
		{name: "ID", states: anyState, reveals: true, announce: "ID", do: (*session).identify},

		{name: "STARTTLS", states: notAuthenticated, announce: "STARTTLS", do: (*session).startTLS},
		{name: "AUTHENTICATE", states: notAuthenticated, do: (*session).authenticate},
		{name: "LOGIN", states: notAuthenticated, do: (*session).login},

		{name: "UNAUTHENTICATE", states: loggedIn, announce: "UNAUTHENTICATE", do: (*session).unauthenticate},
		{name: "COMPRESS", states: loggedIn, reveals: true, announce: "COMPRESS=DEFLATE", do: (*session).compress},
		{name: "ENABLE", states: loggedIn, reveals: true, announce: "ENABLE", do: (*session).enable},
		{name: "SELECT", states: loggedIn, do: (*session).selectMailbox},
		{name: "EXAMINE", states: loggedIn, do: (*session).examine},
		{name: "CREATE", states: loggedIn, reveals: true, do: (*session).create},
		{name: "DELETE", states: loggedIn, reveals: true, do: (*session).deleteMailbox},
		{name: "RENAME", states: loggedIn, reveals: true, do: (*session).rename},
		{name: "SUBSCRIBE", states: loggedIn, reveals: true, do: (*session).subscribe},
		{name: "UNSUBSCRIBE", states: loggedIn, reveals: true, do: (*session).unsubscribe},
		{name: "LIST", states: loggedIn, reveals: true, do: (*session).list},
		{name: "LSUB", states: loggedIn, reveals: true, rev1: true, do: (*session).lsub},
		{name: "XLIST", states: loggedIn, reveals: true, rev1: true, do: (*session).xlist},
		{name: "NAMESPACE", states: loggedIn, reveals: true, announce: "NAMESPACE", do: (*session).namespace},
		{name: "SETACL", states: loggedIn, reveals: true, announce: "ACL", do: (*session).setACL},
		{name: "DELETEACL", states: loggedIn, reveals: true, announce: "ACL", do: (*session).deleteACL},
		{name: "GETACL", states: loggedIn, reveals: true, announce: "ACL", do: (*session).getACL},
		{name: "LISTRIGHTS", states: loggedIn, reveals: true, announce: "ACL", do: (*session).listRights},
		{name: "MYRIGHTS", states: loggedIn, reveals: true, announce: "ACL", do: (*session).myRights},
		{name: "STATUS", states: loggedIn, reveals: true, do: (*session).status},
		{name: "GETMETADATA", states: loggedIn, reveals: true, announce: "METADATA", do: (*session).getMetadata},
		{name: "SETMETADATA", states: loggedIn, reveals: true, announce: "METADATA", do: (*session).setMetadata},
		{name: "GETQUOTA", states: loggedIn, reveals: true, announce: "QUOTA", do: (*session).getQuota},
		{name: "GETQUOTAROOT", states: loggedIn, reveals: true, announce: "QUOTA", do: (*session).getQuotaRoot},
		{name: "SETQUOTA", states: loggedIn, reveals: true, announce: "QUOTASET", do: (*session).setQuota},
		{name: "APPEND", states: loggedIn, reveals: true, do: (*session).append},
		{name: "NOTIFY", states: loggedIn, reveals: true, announce: "NOTIFY", do: (*session).setNotify},
		{name: "RESETKEY", states: loggedIn, reveals: true, announce: "URLAUTH", do: (*session).resetKey},
		{name: "GENURLAUTH", states: loggedIn, reveals: true, announce: "URLAUTH", do: (*session).genURLAuth},
		{name: "URLFETCH", states: loggedIn, reveals: true, announce: "URLAUTH", do: (*session).urlFetch},
		{name: "IDLE", states: loggedIn, reveals: true, tellsNew: true, announce: "IDLE", do: (*session).idle},

		{name: "ESEARCH", states: loggedIn, sequences: true, reveals: true, byUID: true, announce: "MULTISEARCH", do: (*session).multiSearch},
		{name: "COMPARATOR", states: loggedIn, reveals: true, announce: "I18NLEVEL=2", do: (*session).comparator},

		{name: "CHECK", states: selected, reveals: true, tellsNew: true, rev1: true, do: (*session).check},
		{name: "CLOSE", states: selected, do: (*session).close},
		{name: "UNSELECT", states: selected, announce: "UNSELECT", do: (*session).unselect},
		{name: "EXPUNGE", states: selected, reveals: true, removes: true, do: (*session).expunge},
		{name: "UID EXPUNGE", states: selected, reveals: true, removes: true, byUID: true, announce: "UIDPLUS", do: (*session).expunge},
		{name: "SEARCH", states: selected, sequences: true, do: (*session).search},
		{name: "UID SEARCH", states: selected, sequences: true, reveals: true, byUID: true, do: (*session).search},
		{name: "CANCELUPDATE", states: selected, reveals: true, announce: "CONTEXT=SEARCH", do: (*session).cancelUpdate},
		{name: "UIDBATCHES", states: selected, reveals: true, announce: "UIDBATCHES", do: (*session).uidBatches},
		{name: "SORT", states: selected, sequences: true, announce: "SORT", do: (*session).sort},
		{name: "UID SORT", states: selected, sequences: true, reveals: true, byUID: true, announce: "SORT", do: (*session).sort},
		{name: "THREAD", states: selected, sequences: true, announce: "THREAD=REFERENCES", do: (*session).thread},
		{name: "UID THREAD", states: selected, sequences: true, reveals: true, byUID: true, announce: "THREAD=REFERENCES", do: (*session).thread},
		{name: "FETCH", states: selected, sequences: true, do: (*session).fetch},
		{name: "UID FETCH", states: selected, reveals: true, byUID: true, do: (*session).fetch},
		{name: "STORE", states: selected, sequences: true, do: (*session).store},
		{name: "UID STORE", states: selected, reveals: true, byUID: true, do: (*session).store},
		{name: "COPY", states: selected, sequences: true, reveals: true, do: (*session).copy},
		{name: "UID COPY", states: selected, reveals: true, byUID: true, do: (*session).copy},
		{name: "MOVE", states: selected, sequences: true, reveals: true, removes: true, announce: "MOVE", do: (*session).move},
		{name: "UID MOVE", states: selected, reveals: true, removes: true, byUID: true, announce: "MOVE", do: (*session).move},
		{name: "REPLACE", states: selected, sequences: true, reveals: true, removes: true, announce: "REPLACE", do: (*session).replace},
		{name: "UID REPLACE", states: selected, reveals: true, removes: true, byUID: true, announce: "REPLACE", do: (*session).replace},
	}
}
