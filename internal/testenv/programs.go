package testenv

import (
	"runtime"
	"slices"
	"strings"
)

// How says how a program comes to the machine.
type How int

const (
	// Installed: by apt-get with --no-install-recommends --no-remove. For clients and tools, which start nothing.
	Installed How = iota
	// Unpacked: its packages are downloaded and unpacked under build/peers, and its libraries found by
	// LD_LIBRARY_PATH. For clients whose package would start a daemon.
	Unpacked
	// Rooted: unpacked as well, together with every library it loads, so that it runs in a root directory of its
	// own. For servers: their paths are compiled in, and their packages replace each other and start services.
	Rooted
	// FromNPM: a package of Node's and what it needs, put under build/peers by npm as
	// test/clients/NAME/package-lock.json has it; no script of theirs is run.
	FromNPM
)

// A Program is something tests need that is not ours.
type Program struct {
	Name     string // how tests ask for it
	How      How
	Alone    bool     // without the packages that its own depend on: where of a package some files are wanted
	Packages []string // the Debian packages that bring it, without their dependencies; none with FromNPM
	Binary   string   // where it then is: absolute where installed, below the root where unpacked
	Why      string   // which tests ask for it
}

// Private reports whether the program is unpacked under build/peers instead of being installed.
func (p Program) Private() bool { return p.How != Installed }

// Programs returns the table, in the order of the names.
func Programs() []Program {
	table := []Program{
		{Name: "gcc", How: Installed, Packages: []string{"gcc", "libc6-dev"}, Binary: "/usr/bin/gcc",
			Why: "the race detector needs a C compiler"},
		{Name: "openssl", How: Installed, Packages: []string{"openssl"}, Binary: "/usr/bin/openssl",
			Why: "s_client is what a careful person tries first"},
		{Name: "curl", How: Installed, Packages: []string{"curl"}, Binary: "/usr/bin/curl",
			Why: "real client: imaps:// URLs"},
		{Name: "python3", How: Installed, Packages: []string{"python3"}, Binary: "/usr/bin/python3",
			Why: "real client: imaplib"},
		{Name: "mbsync", How: Installed, Packages: []string{"isync"}, Binary: "/usr/bin/mbsync",
			Why: "real client: two-way sync"},
		{Name: "php", How: Installed, Packages: []string{"php-cli", "php-mbstring"}, Binary: "/usr/bin/php",
			Why: "runs the client that is PHP's"},
		{Name: "roundcube", How: Unpacked, Alone: true, Packages: []string{"roundcube-core"},
			Binary: "usr/share/roundcube/program/lib/Roundcube/rcube_imap_generic.php", Why: "real client: the IMAP of a webmail; its package brings a web server"},
		{Name: "mutt", How: Installed, Packages: []string{"mutt"}, Binary: "/usr/bin/mutt",
			Why: "real client: a reader, with GNU SASL"},
		{Name: "neomutt", How: Installed, Packages: []string{"neomutt"}, Binary: "/usr/bin/neomutt",
			Why: "real client: a reader"},
		{Name: "offlineimap", How: Installed, Packages: []string{"offlineimap3"}, Binary: "/usr/bin/offlineimap",
			Why: "real client: two-way sync"},
		{Name: "getmail", How: Installed, Packages: []string{"getmail6"}, Binary: "/usr/bin/getmail",
			Why: "real client: retrieval"},
		{Name: "imapfilter", How: Installed, Packages: []string{"imapfilter"}, Binary: "/usr/bin/imapfilter",
			Why: "real client: server-side sorting by script"},
		{Name: "node", How: Installed, Packages: []string{"nodejs"}, Binary: "/usr/bin/node",
			Why: "runs the clients that are Node's"},
		{Name: "npm", How: Installed, Packages: []string{"npm"}, Binary: "/usr/bin/npm",
			Why: "brings the clients that are Node's"},
		{Name: "imapflow", How: FromNPM, Binary: "node_modules/imapflow/package.json",
			Why: "real client: what hosted programs use; IMAP4rev2, QRESYNC, COMPRESS"},
		{Name: "imaptalk", How: Installed, Packages: []string{"libmail-imaptalk-perl", "libio-socket-ssl-perl"},
			Binary: "/usr/share/perl5/Mail/IMAPTalk.pm", Why: "real client: Perl's, by those who write Cyrus"},
		{Name: "interimap", How: Installed, Packages: []string{"interimap"}, Binary: "/usr/bin/interimap",
			Why: "real client: QRESYNC, both ways"},
		{Name: "gsasl", How: Installed, Packages: []string{"gsasl"}, Binary: "/usr/bin/gsasl",
			Why: "real client: an implementation of SASL that is not ours"},
		{Name: "fetchmail", How: Unpacked, Packages: []string{"fetchmail"}, Binary: "usr/bin/fetchmail",
			Why: "real client: retrieval and hand-over; its package brings a daemon"},
		{Name: "dovecot", How: Rooted, Packages: []string{"dovecot-core", "dovecot-imapd", "dovecot-lmtpd", "dovecot-fts-xapian"},
			Binary: "usr/sbin/dovecot", Why: "peer: the same dialogues are played against it"},
		{Name: "cyrus", How: Rooted, Packages: []string{"cyrus-common", "cyrus-imapd", "libsasl2-modules", "tzdata"},
			Binary: "usr/lib/cyrus/bin/master", Why: "peer: the same dialogues are played against it"},
		{Name: "postfix", How: Rooted, Packages: []string{"postfix"}, Binary: "usr/lib/postfix/sbin/master",
			Why: "peer: mail goes through it into our LMTP"},
		{Name: "postgresql", How: Unpacked, Packages: []string{"postgresql-15", "postgresql-client-15"}, Binary: "usr/lib/postgresql/15/bin/postgres",
			Why: "the cluster store keeps its log and tables in it; its package starts a service"},
	}
	slices.SortFunc(table, func(a, b Program) int { return strings.Compare(a.Name, b.Name) })
	return table
}

// Multiarch is Debian's name for this machine's library directory.
func Multiarch() string {
	switch runtime.GOARCH {
	case "arm64":
		return "aarch64-linux-gnu"
	case "amd64":
		return "x86_64-linux-gnu"
	case "riscv64":
		return "riscv64-linux-gnu"
	}
	return runtime.GOARCH + "-linux-gnu"
}
