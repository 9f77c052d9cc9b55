// Package config is Postern's configuration: what can be set, what each setting
// means and what it is when nobody sets it. The file is TOML and read strictly:
// every mistake in it is reported at once, each with its line. Nothing below
// the roof knows that a file exists; cmd/postern hands plain fields down.
package config

import (
	"fmt"
	"time"
)

// Config is every setting. The struct is the one owner of names, defaults
// (Default) and explanations (the doc tags): Read, Show and docs/configuration.md
// follow from it.
type Config struct {
	Data      string    `toml:"data" doc:"Directory of the embedded store and everything else Postern keeps."`
	Hostname  string    `toml:"hostname" doc:"Name this server goes by in greetings, in trace headers and in a self-made certificate. Empty: the machine's own."`
	Listen    Listen    `toml:"listen" doc:"Where Postern listens. Each kind may be given any number of times."`
	TLS       TLS       `toml:"tls" doc:"Certificates and versions."`
	Auth      Auth      `toml:"auth" doc:"Signing in."`
	Mailboxes Mailboxes `toml:"mailboxes" doc:"Mailboxes a new account gets beside INBOX, with their special use, subscribed. An empty name leaves one out."`
	Quota     Quota     `toml:"quota" doc:"What an account may hold, unless postern account quota gives it other limits; 0: no limit. Read at the start."`
	IMAP      IMAP      `toml:"imap" doc:"IMAP sessions."`
	LMTP      LMTP      `toml:"lmtp" doc:"Delivery."`
	Policy    []Policy  `toml:"policy" doc:"Rules for some accounts or for all (docs/policy.md): [[policy]], any number of times. Of two rules that say something of the same setting the later holds; postern policy explain ACCOUNT tells which."`
	Limits    Limits    `toml:"limits" doc:"How much one client may ask for. They are there against attacks and runaway programs; a server with ordinary clients needs no other ones."`
	Store     Store     `toml:"store" doc:"Where mail is kept: in the data directory, unless a database is named."`
	Index     Index     `toml:"index" doc:"The text index, which makes SEARCH quick. It is built in the background; searches find the same without it. Read at the start."`
	Log       Log       `toml:"log" doc:"The log, on standard error."`
	Audit     Audit     `toml:"audit" doc:"The record of who signed in, who was refused and why, and who changed what."`
	Control   Control   `toml:"control" doc:"The socket by which the postern commands reach a running server."`
}

// Listen is where each kind of listener listens.
type Listen struct {
	IMAPS []Listener `toml:"imaps" doc:"IMAP inside TLS."`
	IMAP  []Listener `toml:"imap" doc:"IMAP with STARTTLS; no password is taken before TLS unless plaintext is allowed."`
	LMTP  []Listener `toml:"lmtp" doc:"LMTP, for the mail server that hands mail over."`
	Auth  []Listener `toml:"auth" doc:"Dovecot's authentication protocol, by which a mail server asks who its clients are (Postfix: smtpd_sasl_type = dovecot). None unless given."`
}

// Listener is one address.
type Listener struct {
	Address   string   `toml:"address" doc:"HOST:PORT, [IPV6]:PORT, :PORT for every IPv4 and IPv6 address, unix:PATH, or systemd:NAME for an inherited socket of that FileDescriptorName."`
	Plaintext bool     `toml:"plaintext" doc:"Take passwords without TLS. Only on loopback, on a Unix socket, or with networks. For listen.auth: of the mail server's clients that have no TLS, wherever they are."`
	Networks  []string `toml:"networks" doc:"Networks (CIDR) whose clients may connect, beside this machine itself; empty: all. Needed for plaintext and for LMTP on an address that is not loopback."`
	Owner     string   `toml:"owner" doc:"User that owns the Unix socket; empty: whoever runs Postern."`
	Group     string   `toml:"group" doc:"Group of the Unix socket."`
	Mode      Mode     `toml:"mode" doc:"Permissions of the Unix socket, in octal: who may write to it may connect."`
}

// TLS is certificates and versions.
type TLS struct {
	MinVersion  string `toml:"min_version" doc:"\"1.3\", or \"1.2\" for old clients (ECDHE with AEAD only)."`
	Certificate string `toml:"certificate" doc:"PEM file of the certificate chain. Empty, with key: Postern makes one of its own, which clients must be told to trust."`
	Key         string `toml:"key" doc:"PEM file of the private key; not readable by others."`
}

// Auth is signing in.
type Auth struct {
	Remember        time.Duration `toml:"remember" doc:"How long a verified password is remembered (in memory, under a keyed hash), so that a client with five connections costs one hash."`
	FailureDelay    time.Duration `toml:"failure_delay" doc:"How long after its beginning a failed login is answered, whatever the reason; the third on a connection two and a half times that."`
	ScramIterations int           `toml:"scram_iterations" doc:"How often a client hashes its password to sign in by SCRAM-SHA-256, for passwords that are set from now on; at least 10000. SCRAM is announced once every account has keys for it: they are made when a password is set, and when somebody signs in with one."`
	OIDC            []OIDC        `toml:"oidc" doc:"OpenID Connect providers whose access tokens let people in, by OAUTHBEARER and XOAUTH2 (docs/tokens.md): [[auth.oidc]], any number of times."`
	Proxy           []Proxy       `toml:"proxy" doc:"Rights to sign in as others, by PLAIN or SCRAM with an authorization identity (docs/policy.md): [[auth.proxy]], any number of times. Nobody has one unless given."`
}

// Mailboxes are the names of the mailboxes of a new account.
type Mailboxes struct {
	Drafts  string `toml:"drafts"`
	Sent    string `toml:"sent"`
	Archive string `toml:"archive"`
	Junk    string `toml:"junk"`
	Trash   string `toml:"trash"`
}

// Quota are the limits of an account that has none of its own.
type Quota struct {
	Storage   Size `toml:"storage" doc:"Mail, as the sum of the sizes of messages. Expunged mail that is still held does not count."`
	Messages  int  `toml:"messages" doc:"Messages."`
	Mailboxes int  `toml:"mailboxes" doc:"Mailboxes. A new account has INBOX and those of the section mailboxes."`
}

// IMAP is what concerns IMAP sessions.
type IMAP struct {
	Autologout   time.Duration `toml:"autologout" doc:"How long a signed-in session may be silent; at least 30m (RFC 9051 5.4)."`
	Sessions     int           `toml:"sessions_per_account" doc:"Sessions one account may have at a time."`
	MaxMessage   Size          `toml:"max_message" doc:"Largest message APPEND takes, announced as APPENDLIMIT."`
	Submitters   []string      `toml:"submission_accounts" doc:"Accounts of submission servers: they fetch messages by URLs that their users made for submission (URLAUTH submit+)."`
	ACLAnyone    bool          `toml:"acl_anyone" doc:"Owners may share their mailboxes with \"anyone\": everybody who has an account here."`
	MessageLimit int           `toml:"message_limit" doc:"Messages that one FETCH, STORE, SEARCH, MOVE, COPY or UID EXPUNGE works on, announced as MESSAGELIMIT (RFC 9738): of more the newest are done, and clients that do not know it miss the others. 0: any number; else at least 1000."`
	SaveLimit    int           `toml:"save_limit" doc:"Messages that one COPY or APPEND saves, announced as SAVELIMIT. 0: any number; else at least 1000."`
	QuotaAdmins  []string      `toml:"quota_administrators" doc:"Accounts, or domains as \"@example.org\", whose sessions may see and set the limits of all accounts (SETQUOTA, RFC 9208). Others are not told of it."`
	UIDOnly      bool          `toml:"uid_only" doc:"Announce UIDONLY (RFC 9586). Versions of Outlook misbehave where they see it."`
	DisabledCaps []string      `toml:"disabled_capabilities" doc:"Capabilities not to announce, for clients that stumble over them."`
	KnownClients bool          `toml:"known_clients" doc:"Treat clients otherwise of whom it is known that they need it: see clients.md."`
	Rules        []Rule        `toml:"rules" doc:"Capabilities to hide, and what to do otherwise, for some clients, accounts or listeners. Every condition given must fit; in clients, accounts and first, \"*\" stands for anything and \"?\" for one character. Any number of rules may be given; see clients.md."`
}

// Rule is what is otherwise for some sessions.
type Rule struct {
	Clients   []string `toml:"clients" doc:"What the client says of itself with ID, its name and version: \"K-9 Mail *\"."`
	Accounts  []string `toml:"accounts" doc:"Who signed in: \"*@example.org\"."`
	Listeners []string `toml:"listeners" doc:"The listener: \"listen.imaps\", \"listen.imap\", or the address of one."`
	First     []string `toml:"first" doc:"The first commands, up to three, with their tags: \"?0000 CAPABILITY*\". The log has them if log.level is \"debug\"."`
	Hello     []string `toml:"hello" doc:"The kind of TLS hello, as the log has it if log.level is \"debug\". The greeting depends on this and the listener alone."`
	Hide      []string `toml:"hide" doc:"Capabilities not to announce."`
	Announce  []string `toml:"announce" doc:"Names beginning with X to announce after login."`
	Behave    []string `toml:"behave" doc:"\"quiet-idle\": signs of life in IDLE every 14 minutes, not every two. \"delay-new-mail\": tell of new mail in IDLE, NOOP and CHECK alone."`
}

// LMTP is what concerns delivery.
type LMTP struct {
	MaxMessage Size   `toml:"max_message" doc:"Largest message LMTP takes, announced as SIZE."`
	Recipients int    `toml:"max_recipients" doc:"Recipients of one message."`
	Detail     string `toml:"detail_separator" doc:"user+detail@domain is delivered to the mailbox detail where it exists. Empty: off."`
}

// Policy is a rule for some accounts. What is not given in a rule is not said by it.
type Policy struct {
	Name             string        `toml:"name" doc:"What the rule is called when it is explained."`
	Accounts         []string      `toml:"accounts" doc:"For whom: addresses, and domains as \"@example.org\". Left out: for everybody."`
	Mechanisms       []string      `toml:"mechanisms" doc:"How they may sign in: \"LOGIN\", \"PLAIN\", \"SCRAM-SHA-256\", ..."`
	Networks         []string      `toml:"networks" doc:"From where they may sign in (CIDR). Unix sockets are never left out."`
	AppPasswordsOnly bool          `toml:"app_passwords_only" doc:"They sign in with app passwords only, not with their own."`
	Sessions         int           `toml:"sessions" doc:"Sessions each may have at a time, in place of imap.sessions_per_account."`
	ShareWith        string        `toml:"share_with" doc:"With whom they may share mailboxes: \"all\", \"domain\" or \"nobody\"."`
	EmptyTrash       time.Duration `toml:"empty_trash" doc:"How long mail stays in Trash after it came there, as in \"30d\"; \"0s\": for ever."`
	EmptyJunk        time.Duration `toml:"empty_junk" doc:"The same of Junk."`
	KeepDeleted      time.Duration `toml:"keep_deleted" doc:"How long deleted mail can be brought back by postern restore-deleted, if longer than store.expunge_hold. It counts towards no quota."`
	LegalHold        bool          `toml:"legal_hold" doc:"Keep deleted mail for ever, and the accounts from being removed, whatever other rules say."`

	Given map[string]bool `toml:"-"` // the settings the rule gives
}

// Limits is how much one client may ask for. What is not here has a reason of its
// own, or is a setting of IMAP or LMTP.
type Limits struct {
	Connections int `toml:"connections" doc:"Connections at a time, signed in or not; 0: as many as the system lets a process have."`
	BeforeLogin int `toml:"before_login" doc:"Connections at a time that have not signed in. When there are more, the oldest that keeps us waiting is closed."`
	PerAddress  int `toml:"before_login_per_address" doc:"The same from one IPv4 address or IPv6 /64."`
	PerNetwork  int `toml:"before_login_per_network" doc:"The same from one IPv4 /24 or IPv6 /48."`
	Handshakes  int `toml:"handshakes" doc:"TLS handshakes at a time."`

	LoginTime   time.Duration `toml:"login_time" doc:"How long a connection may take to sign in."`
	CommandTime time.Duration `toml:"command_time" doc:"How long a client may take to send a command, messages apart."`
	BadCommands int           `toml:"bad_commands" doc:"After so many commands answered BAD a signed-in session is ended."`

	CommandLine Size `toml:"command_line" doc:"Longest command of a signed-in session, literals apart."`
	Literal     Size `toml:"literal" doc:"Longest literal that is no message."`
	Arguments   Size `toml:"arguments" doc:"All such literals of one command together."`

	SearchTime time.Duration `toml:"search_time" doc:"Processor time that one SEARCH, SORT or THREAD may take."`
	Searches   int           `toml:"searches_per_account" doc:"Searches an account may have under way; others wait for their turn."`
	Mailboxes  int           `toml:"mailboxes_per_account" doc:"Mailboxes an account may have."`
	Keywords   int           `toml:"keywords_per_mailbox" doc:"Different keywords that clients may bring into a mailbox."`
}

// Index is what concerns the text index.
type Index struct {
	Enabled bool `toml:"enabled" doc:"Build the text index and use it. Off, what was built stays and is used again when it is on."`
	CPU     int  `toml:"cpu_percent" doc:"How much of one processor building may take, from 1 to 100."`
}

// Store is where mail is kept.
type Store struct {
	Database          string `toml:"database" doc:"Database that holds the mail of several nodes, as \"postgres://postern@db.example.org/postern\" (docs/cluster.md); made by postern store migrate. Its password is in a file: passfile=FILE among the URL's parameters names one. Empty: the embedded store in the data directory. Read at the start, as all of this section."`
	Connections       int    `toml:"database_connections" doc:"Connections to the database at most; 0: 4 for each processor, at least 8."`
	Bodies            string `toml:"bodies" doc:"Bucket for messages, with a database: \"s3://BUCKET/PREFIX?endpoint=https://s3.example.org&region=NAME\". Empty: they are in the database."`
	BodiesCredentials string `toml:"bodies_credentials" doc:"File with the bucket's keys, in the form of ~/.aws/credentials. Empty: those of the machine's role."`

	Reserve     Size          `toml:"reserve" doc:"Room on the disk below which nothing more is written to the embedded store: clients get NO [UNAVAILABLE], LMTP 452, until there is room again."`
	Cache       Size          `toml:"cache" doc:"Memory for what was read of the store lately."`
	ExpungeHold time.Duration `toml:"expunge_hold" doc:"How long expunged mail is kept for sessions that still show it."`
}

// Log is what concerns the log.
type Log struct {
	Format string `toml:"format" doc:"\"auto\", \"text\" or \"json\". Auto is text; where systemd takes it to the journal, without the time and with the level as journalctl -p knows it."`
	Level  string `toml:"level" doc:"\"debug\", \"info\", \"warn\" or \"error\"."`
}

// Audit is the audit trail.
type Audit struct {
	File string `toml:"file" doc:"File that records are added to, one JSON object to a line (docs/audit.md). SIGHUP opens it anew, for logrotate. Empty: none are kept; sign-ins are in the log all the same."`
}

// Control is the control socket.
type Control struct {
	Socket string `toml:"socket" doc:"Path of the control socket, mode 0600. Empty: control.sock in the data directory."`
}

// LargestMessage is the most that max_message can be set to.
const LargestMessage Size = 2 << 30

// Default is the configuration of a server nobody has configured.
func Default() Config {
	return Config{
		Data: "/var/lib/postern",
		Listen: Listen{
			IMAPS: []Listener{{Address: ":993", Mode: 0o660}},
			IMAP:  []Listener{{Address: ":143", Mode: 0o660}},
			LMTP:  []Listener{{Address: "unix:/run/postern/lmtp.sock", Mode: 0o660}},
		},
		TLS:       TLS{MinVersion: "1.3"},
		Auth:      Auth{Remember: 10 * time.Minute, FailureDelay: 2 * time.Second, ScramIterations: 600_000},
		Mailboxes: Mailboxes{Drafts: "Drafts", Sent: "Sent", Archive: "Archive", Junk: "Junk", Trash: "Trash"},
		IMAP:      IMAP{Autologout: 32 * time.Minute, Sessions: 50, MaxMessage: 64 << 20, Submitters: []string{}, QuotaAdmins: []string{}, DisabledCaps: []string{}, KnownClients: true},
		LMTP:      LMTP{MaxMessage: 64 << 20, Recipients: 1000, Detail: "+"},
		Limits: Limits{
			BeforeLogin: 4096, PerAddress: 32, PerNetwork: 128, Handshakes: 1024,
			LoginTime: time.Minute, CommandTime: time.Minute, BadCommands: 20,
			CommandLine: 64 << 10, Literal: 128 << 10, Arguments: 1 << 20,
			SearchTime: 30 * time.Second, Searches: 4, Mailboxes: 10_000, Keywords: 1024,
		},
		Index: Index{Enabled: true, CPU: 50},
		Store: Store{Reserve: 256 << 20, Cache: 64 << 20, ExpungeHold: 24 * time.Hour},
		Log:   Log{Format: "auto", Level: "info"},
	}
}

// listenerDefault is what a [[listen.…]] table starts from.
func listenerDefault() Listener { return Listener{Mode: 0o660, Networks: []string{}} }

// ruleDefault is what an [[imap.rules]] table starts from.
func ruleDefault() Rule {
	return Rule{Clients: []string{}, Accounts: []string{}, Listeners: []string{}, First: []string{}, Hello: []string{},
		Hide: []string{}, Announce: []string{}, Behave: []string{}}
}

// LeastReserve is the smallest reserve: more than the 32 MiB file that the store
// gives up so that mail can be deleted on a full disk, because that room is not
// for new mail.
const LeastReserve Size = 48 << 20

// Size is a number of octets, written as in "64 MiB".
type Size int64

var sizeUnits = []struct {
	name string
	size Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.size && s%u.size == 0 {
			return fmt.Sprintf("%d %s", s/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(s))
}

// ParseSize reads a size: a number and B, KiB, MiB or GiB.
func ParseSize(text string) (Size, error) {
	var n int64
	var unit string
	if _, err := fmt.Sscanf(text, "%d%s", &n, &unit); err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no size: write a number and B, KiB, MiB or GiB, as in \"64 MiB\"", text)
	}
	for _, u := range sizeUnits {
		if unit == u.name && n <= int64(1<<62/u.size) {
			return Size(n) * u.size, nil
		}
	}
	return 0, fmt.Errorf("%q has no unit known here: write B, KiB, MiB or GiB", text)
}

// Mode is permissions, written in octal as in "0660".
type Mode uint32

// String writes the mode in octal.
func (m Mode) String() string { return fmt.Sprintf("%04o", uint32(m)) }
