package auth

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
)

// Directory is what this package needs to know about accounts. The roof makes
// one of the store's.
type Directory interface {
	// SignIn finds the account that may be signed in to under a canonical
	// address: its own name, or an alias that stands for it alone. mail.NotFound
	// if there is none.
	SignIn(ctx context.Context, address string) (Entry, error)

	// Rehash replaces an account's record if its version is still the given one,
	// else an error. It is called when a password was right and its hash is not of
	// the present cost.
	Rehash(ctx context.Context, id mail.AccountID, version uint64, record []byte) error
}

// Entry is an account in the directory.
type Entry struct {
	Account  mail.AccountID
	Name     string // its own canonical address
	Version  uint64 // rises whenever Record or Disabled changes
	Record   []byte // see Credentials
	Disabled bool   // may not sign in
}

// Identity is who signed in.
type Identity struct {
	Account mail.AccountID
	Name    string // the account's own address, whatever alias was used

	App      uint64 // the app password's ID; 0: it was the account's own password
	ReadOnly bool   // nothing may be changed

	// By is who signed in where they act as another, by a right of their own; 0: they are who they are.
	By mail.AccountID

	Expires time.Time // when the token ends with which they signed in; zero: never, or it was none
}

// Peer is who tries to sign in, as far as the connection tells.
type Peer struct {
	Session string // for the log
	Remote  netip.AddrPort
	TLS     *tls.ConnectionState // nil without TLS

	Service  string // what they sign in to, as whoever asks for them says; "" is IMAP
	Client   uint64 // stands for the kind of client; 0 if it cannot be told
	Failures int    // logins that failed on this connection before

	// NoBinding says that mechanisms which bind to the connection were not announced
	// although they could have been: a client that can bind rightly says that they
	// were not.
	NoBinding bool
}

// Result is how an attempt ended. Clients are told much less.
type Result string

// The results.
const (
	Accepted      Result = "accepted"
	UnknownUser   Result = "unknown_user"   // also: a name that is no address
	WrongPassword Result = "wrong_password" // also: an account without a password
	Disabled      Result = "disabled"       // the password was right
	NotAuthorized Result = "not_authorized" // the password was right, the authorization identity another's
	Malformed     Result = "malformed"      // not what the mechanism asks for
	Refused       Result = "refused"        // by the guard, right or wrong
	NotGood       Result = "not_good"       // a right app password that has expired, or is for other networks
	NotPermitted  Result = "not_permitted"  // all was right, and a policy says no
	Busy          Result = "busy"           // not looked at: too many at once, or the directory cannot be asked
)

// Attempt is one try to sign in, for those who watch over them. It holds no
// password.
type Attempt struct {
	Time      time.Time
	Peer      Peer
	Mechanism string
	User      string         // canonical address, "" if the name was none
	Account   mail.AccountID // 0 if there is none
	Result    Result
	Verdict   string // the guard's, "" if it was not asked
	Given     string // what was given as a name, whatever it was: people type passwords there, so it is not for a log
	As        string // the account they act as by a right of theirs; "" if it is their own
	Detail    string // what was wrong with a token, for the log
	App       string // the name of the app password that was given; "" if it was none
}

// Config is what an Authenticator needs. Directory is a must.
type Config struct {
	Directory Directory
	Rules     Rules
	Cost      Argon2        // of new hashes; zero is DefaultArgon2
	Hashes    int           // hashes at a time; 0 is one per core
	Queue     int           // logins waiting for a hash; 0 is 256
	Remember  time.Duration // how long a right password is remembered; 0 is 10 minutes, negative not at all
	Log       *slog.Logger
	Metrics   *observe.Registry
	Now       func() time.Time

	// Guard decides which tries are looked at. nil looks at all.
	Guard Guard
	// FailureDelay is how long after its beginning a failed login is answered, the
	// third on a connection two and a half times that. 0 is at once, which is for
	// tests: DefaultFailureDelay is for the world.
	FailureDelay time.Duration

	// MayActAs is asked whether somebody who has proved who they are may act as another, both by their accounts' names: so a
	// webmail server reads for its users. It must be quick. nil is no.
	MayActAs func(who, as string, try *Attempt) bool

	// Tokens says whose an access token is, for OAUTHBEARER and XOAUTH2. nil is that there are none.
	Tokens Tokens

	// Used is told when an app password was used. It must be quick. nil is nobody.
	Used func(ctx context.Context, id Identity, at time.Time)

	// Iterations is the cost of new keys for SCRAM; 0 makes none. DefaultIterations is
	// for the world.
	Iterations int
	// ScramReady says whether all accounts have such keys, so that SCRAM can be
	// announced: a client that finds it tries nothing else. nil is no.
	ScramReady func() bool
	// SaltKey makes up salts for users who do not exist, the same after a restart. nil is
	// another for each process.
	SaltKey []byte

	// Matches is asked whether a password is that of a record, in place of the hash
	// in it. It is for simulations; nil is the hash.
	Matches func(record []byte, password string) bool

	// Permit is asked whether somebody who has proved who they are may sign in so; name is the account's, strong whether
	// it was by something that cannot be guessed. No is answered as a wrong password is. It must be quick. nil is yes.
	Permit func(name string, try *Attempt, strong bool) bool

	// Watch is told of every attempt when it is over. It must be quick. nil is
	// nobody.
	Watch func(context.Context, Attempt)
}

// Defaults of Config.
const (
	defaultQueue    = 256
	defaultRemember = 10 * time.Minute
	maxRemembered   = 100_000 // some 10 MB
)

// Authenticator checks passwords. Its methods may be called from any goroutine.
type Authenticator struct {
	directory Directory
	rules     Rules
	cost      Argon2
	dummy     hashed // costs what a real one costs, and matches nothing
	hashing   *hashing
	memory    *memory
	log       *slog.Logger
	now       func() time.Time
	watch     func(context.Context, Attempt)
	permit    func(name string, try *Attempt, strong bool) bool
	mayActAs  func(who, as string, try *Attempt) bool

	guard        Guard
	failureDelay time.Duration
	penitents    penitents
	matches      func(record []byte, password string) bool
	iterations   int
	scramReady   func() bool
	saltKey      []byte
	tokens       Tokens
	used         func(context.Context, Identity, time.Time)

	results        *observe.CounterSet
	hashes, recall *observe.Counter
}

// New makes an Authenticator.
func New(cfg Config) *Authenticator {
	if cfg.Cost == (Argon2{}) {
		cfg.Cost = DefaultArgon2()
	}
	if cfg.Hashes <= 0 {
		cfg.Hashes = runtime.GOMAXPROCS(0)
	}
	if cfg.Queue <= 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.Remember == 0 {
		cfg.Remember = defaultRemember
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Guard == nil {
		cfg.Guard = anybody{}
	}
	if cfg.ScramReady == nil {
		cfg.ScramReady = func() bool { return false }
	}
	if cfg.Permit == nil {
		cfg.Permit = func(string, *Attempt, bool) bool { return true }
	}
	if cfg.MayActAs == nil {
		cfg.MayActAs = func(string, string, *Attempt) bool { return false }
	}
	if cfg.SaltKey == nil {
		cfg.SaltKey = make([]byte, 32)
		rand.Read(cfg.SaltKey)
	}
	m := cfg.Metrics
	return &Authenticator{
		directory: cfg.Directory, rules: cfg.Rules, cost: cfg.Cost, dummy: newHash(cfg.Cost, "dummy"),
		hashing: newHashing(cfg.Hashes, cfg.Queue), memory: newMemory(cfg.Remember, maxRemembered),
		log: cfg.Log, now: cfg.Now, watch: cfg.Watch, permit: cfg.Permit, mayActAs: cfg.MayActAs,
		guard: cfg.Guard, failureDelay: cfg.FailureDelay, matches: cfg.Matches,
		iterations: cfg.Iterations, scramReady: cfg.ScramReady, saltKey: cfg.SaltKey, tokens: cfg.Tokens, used: cfg.Used,
		results: m.CounterBy("postern_logins_total", "Attempts to sign in, by result.", "result",
			string(Accepted), string(UnknownUser), string(WrongPassword), string(Disabled), string(NotAuthorized), string(Malformed), string(Busy), string(Refused), string(NotGood), string(NotPermitted)),
		hashes: m.Counter("postern_password_hashes_total", "Password hashes computed."),
		recall: m.Counter("postern_passwords_remembered_total", "Logins that needed no hash, because the password had been right some minutes before."),
	}
}

// Rules gives the rules about addresses.
func (a *Authenticator) Rules() Rules { return a.rules }

// LoginCommand is the mechanism of Login in an Attempt: it is none of SASL's.
const LoginCommand = "LOGIN command"

// Login checks the user name and password of the LOGIN command (RFC 9051 6.2.3). Errors
// are mail.AuthFailed, always with the same text; mail.Unavailable when the
// question could not be answered now; mail.Canceled when ctx ended.
func (a *Authenticator) Login(ctx context.Context, peer Peer, user, password string) (Identity, error) {
	return a.attempt(ctx, peer, LoginCommand, "", user, password)
}

func failed() error { return mail.Errorf(mail.AuthFailed, "authentication failed") }

// attempt checks a password, and that the user may act as authzid (RFC 4422
// 3.4.1): "" or themselves. The password comes first in any case
// (CVE-2023-27582).
func (a *Authenticator) attempt(ctx context.Context, peer Peer, mechanism, authzid, user, password string) (Identity, error) {
	begun := time.Now()
	try := Attempt{Time: a.now(), Peer: peer, Mechanism: mechanism}
	id, err := a.verify(ctx, &try, user, password)
	if err == nil {
		id, err = a.actAs(ctx, &try, authzid, id)
	}
	a.report(ctx, try, user, err)
	if err != nil {
		return Identity{}, a.repent(ctx, &try, begun, err)
	}
	return id, nil
}

// mayAct reports whether somebody who signed in as user, and is called name, may act as
// authzid.
func (a *Authenticator) mayAct(authzid, user, name string) bool {
	if authzid == "" {
		return true
	}
	as, err := a.rules.Parse(authzid)
	return err == nil && (as.String() == user || as.String() == name)
}

// actAs gives the identity that somebody who signed in has as authzid: their own, or that of another whom they have
// the right to act as. Whether there is such an account is told to nobody who has not.
func (a *Authenticator) actAs(ctx context.Context, try *Attempt, authzid string, id Identity) (Identity, error) {
	if a.mayAct(authzid, try.User, id.Name) {
		return id, nil
	}
	as, err := a.rules.Parse(authzid)
	var other Entry
	if err == nil {
		other, err = a.directory.SignIn(ctx, as.String())
	}
	switch {
	case err != nil && mail.KindOf(err) != mail.NotFound && mail.KindOf(err) != mail.Invalid:
		try.Result = Busy
		return Identity{}, mail.Wrap(err, mail.Unavailable, "users cannot be looked up at this moment")
	case err != nil || other.Disabled || !a.mayActAs(id.Name, other.Name, try):
		try.Result = NotAuthorized
		return Identity{}, notAuthorized()
	}
	try.As = other.Name
	id.By, id.Account, id.Name = id.Account, other.Account, other.Name
	return id, nil
}

func notAuthorized() error {
	return mail.Errorf(mail.NotAuthorized, "not authorized to act as that user")
}

// malformed reports an attempt that did not follow its mechanism.
func (a *Authenticator) malformed(ctx context.Context, peer Peer, mechanism string) error {
	err := mail.Errorf(mail.Invalid, "malformed %s response", mechanism)
	a.report(ctx, Attempt{Time: a.now(), Peer: peer, Mechanism: mechanism, Result: Malformed}, "", err)
	return err
}

func (a *Authenticator) verify(ctx context.Context, try *Attempt, user, password string) (Identity, error) {
	prepared, possible := preparePassword(password)
	if !possible { // nobody's password, whoever the user is: that this is quick tells nothing
		try.Result = WrongPassword
		return Identity{}, failed()
	}
	entry, err := a.find(ctx, try, user)
	if err != nil {
		try.Result = Busy
		return Identity{}, err
	}
	if secret, is := appSecretOf(prepared); is {
		return a.verifyApp(ctx, try, entry, nameOr(try.User, user), secret)
	}
	kept, real, err := a.keptOf(entry)
	if err != nil {
		try.Result = Busy
		return Identity{}, mail.Wrap(err, mail.Unavailable, "this account cannot sign in at this moment")
	}
	name := nameOr(try.User, user)
	ruling := a.guard.Ask(ctx, &Question{Account: entry.Account, Name: name, Peer: &try.Peer, Password: prepared})
	try.Verdict = ruling.Verdict
	switch {
	case !ruling.Check && ruling.Refuse:
		try.Result = Refused
		return Identity{}, failed()
	case !ruling.Check:
		try.Result = Busy
		return Identity{}, mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
	outcome := NotChecked
	defer func() { ruling.Settle(outcome) }()
	outcome, err = a.check(ctx, try, entry, kept, real, name, password, prepared, ruling.First)
	switch {
	case err != nil:
		return Identity{}, err
	case ruling.Refuse:
		try.Result = Refused
		return Identity{}, failed()
	case try.Result != Accepted:
		return Identity{}, failed()
	case !a.permit(entry.Name, try, false):
		try.Result, outcome = NotPermitted, CheckedWrong
		return Identity{}, failed()
	}
	return Identity{Account: entry.Account, Name: entry.Name}, nil
}

// nameOr gives a user's canonical name, or what was given where that is no name.
func nameOr(canonical, given string) string {
	if canonical == "" {
		return given
	}
	return canonical
}

// check compares a password with what is known of the user, and says in try how it
// ended.
func (a *Authenticator) check(ctx context.Context, try *Attempt, entry Entry, kept keptPassword, real bool, name, password, prepared string, first bool) (Outcome, error) {
	p := a.memory.proofOf(entry.Account, entry.Version, name, prepared)
	if real && !entry.Disabled && a.memory.has(p, a.now()) {
		a.recall.Add()
		try.Result = Accepted
		return CheckedRight, nil
	}
	ok, err := a.hashing.once(ctx, p, first, func() bool {
		a.hashes.Add()
		if !a.compare(entry, kept, password, prepared) || !real {
			return false
		}
		if !entry.Disabled {
			a.memory.add(p, a.now()) // before the next of the same is let in
			if a.matches == nil && a.outdated(entry, kept, password) {
				a.rehash(ctx, entry, prepared)
			}
		}
		return true
	})
	switch {
	case err != nil:
		try.Result = Busy
		return NotChecked, err
	case entry.Account == 0:
		try.Result = UnknownUser
		return CheckedWrong, nil
	case !ok:
		try.Result = WrongPassword
		return CheckedWrong, nil
	case entry.Disabled:
		try.Result = Disabled
		return CheckedWrong, nil
	}
	try.Result = Accepted
	return CheckedRight, nil
}

// keptPassword is what a password is compared with.
type keptPassword struct {
	hash     hashed
	imported *imported // in place of the hash, if it is not nil
}

// outdated reports whether what is kept of a password that was right is to be made anew.
func (a *Authenticator) outdated(entry Entry, kept keptPassword, password string) bool {
	if kept.imported != nil {
		return kept.imported.saw(password)
	}
	return kept.hash.cost != a.cost || a.iterations > 0 && !HasKeys(entry.Record)
}

// compare compares a password with what is kept of one, or as Config.Matches wants it.
func (a *Authenticator) compare(entry Entry, kept keptPassword, password, prepared string) bool {
	switch {
	case a.matches != nil:
		return a.matches(entry.Record, prepared)
	case kept.imported == nil:
		return kept.hash.matches(prepared)
	}
	// Who set it may have had it prepared, or not.
	return kept.imported.matches([]byte(password)) || password != prepared && kept.imported.matches([]byte(prepared))
}

// find looks the user up; an Entry without Account is nobody.
func (a *Authenticator) find(ctx context.Context, try *Attempt, user string) (Entry, error) {
	address, err := a.rules.Parse(user)
	if err != nil {
		return Entry{}, nil // a name that cannot be anybody's is that of nobody
	}
	try.User = address.String()
	entry, err := a.directory.SignIn(ctx, try.User)
	switch {
	case err == nil:
		try.Account = entry.Account
		return entry, nil
	case mail.KindOf(err) == mail.NotFound:
		return Entry{}, nil
	case ctx.Err() != nil:
		return Entry{}, mail.Wrap(err, mail.Canceled, "given up")
	}
	return Entry{}, mail.Wrap(err, mail.Unavailable, "users cannot be looked up at this moment")
}

// keptOf gives what to check a password against. For nobody, and for an
// account without a password, it is a hash that nothing matches.
func (a *Authenticator) keptOf(entry Entry) (k keptPassword, real bool, err error) {
	k.hash = a.dummy
	if entry.Account == 0 || a.matches != nil {
		return k, entry.Account != 0, nil
	}
	c, err := ParseCredentials(entry.Record)
	if err != nil {
		return k, false, err
	}
	if c.Password == "" {
		if p, ok := c.imported(); ok {
			k.imported, real = &p, true
		}
		return k, real, nil
	}
	hash, err := parseHash(c.Password)
	if err != nil {
		return k, false, err
	}
	return keptPassword{hash: hash}, true, nil
}

// rehash brings the stored hash to the present cost, makes one of a password that
// another server kept, and makes keys for SCRAM, in
// the slot of the hash that was just checked. The login is good whether that works or not.
func (a *Authenticator) rehash(ctx context.Context, entry Entry, prepared string) {
	c, err := ParseCredentials(entry.Record)
	if err == nil {
		a.hashes.Add()
		c.setPassword(prepared, a.cost, a.iterations)
		err = a.directory.Rehash(ctx, entry.Account, entry.Version, c.Encode())
	}
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "password hash could not be renewed", observe.Account(entry.Account), observe.Error(err))
	}
}

// report counts, logs and passes on an attempt. A name that is no address is not
// logged: people type passwords there.
func (a *Authenticator) report(ctx context.Context, try Attempt, user string, err error) {
	a.results.Of(string(try.Result)).Add()
	try.Given = user
	attrs := []slog.Attr{observe.Session(try.Peer.Session), observe.Remote(try.Peer.Remote),
		slog.String(observe.KeyMechanism, try.Mechanism), slog.String(observe.KeyReason, string(try.Result))}
	if try.Peer.Service != "" {
		attrs = append(attrs, observe.Text(observe.KeyService, try.Peer.Service))
	}
	if try.As != "" {
		attrs = append(attrs, observe.Text(observe.KeyAs, try.As))
	}
	if try.Detail != "" {
		attrs = append(attrs, observe.Text(observe.KeyDetail, try.Detail))
	}
	if try.Verdict != "" {
		attrs = append(attrs, slog.String(observe.KeyGuard, try.Verdict))
	}
	if try.User != "" && strings.Contains(user, "@") || try.Account != 0 {
		attrs = append(attrs, observe.Text(observe.KeyUser, try.User))
	}
	if try.Account != 0 {
		attrs = append(attrs, observe.Account(try.Account))
	}
	level, msg := slog.LevelInfo, "login"
	if err != nil {
		msg = "login failed"
		var e *mail.Error
		if errors.As(err, &e) && e.Err != nil && mail.KindOf(err) != mail.Canceled {
			level = slog.LevelError // not the client's doing
			attrs = append(attrs, observe.Error(err))
		}
	}
	a.log.LogAttrs(ctx, level, msg, attrs...)
	if a.watch != nil {
		a.watch(ctx, try)
	}
}
