package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/imapserver"
	"postern/internal/netserver"
	"postern/internal/observe"
)

// certificate names the configured pair, or one that Postern makes itself.
func certificate(cfg config.Config) (netserver.Pair, string, error) {
	if cfg.TLS.Certificate != "" {
		return netserver.Pair{Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key}, "", nil
	}
	hosts := []string{hostname(cfg), "localhost", "127.0.0.1", "::1"}
	slices.Sort(hosts)
	pair, print, err := netserver.SelfSigned(cfg.Data, slices.Compact(hosts), time.Now())
	if err != nil {
		return pair, print, explainOpen(cfg.Data, err)
	}
	return pair, print, giveToOwner(cfg.Data, pair.Certificate)
}

// giveToOwner gives a file that root made to the owner of the directory.
func giveToOwner(dir, file string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(file, int(owner.Uid), int(owner.Gid))
}

func hostname(cfg config.Config) string {
	if cfg.Hostname != "" {
		return cfg.Hostname
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// netLimits are the limits of connections.
func netLimits(cfg config.Config) netserver.Limits {
	l := cfg.Limits
	return netserver.Limits{
		All: l.Connections, BeforeLoginAll: l.BeforeLogin, PerAddress: l.PerAddress, PerNetwork: l.PerNetwork,
		Handshakes: l.Handshakes, BeforeLogin: l.LoginTime,
	}
}

// tlsSettings are those of every listener. They are kept across reloads, because
// clients' session tickets are good for them alone.
type tlsSettings struct {
	config     *tls.Config
	minVersion string
}

// tlsOf gives the settings for a lowest version.
func (s *server) tlsOf(minVersion string) (tlsSettings, error) {
	if s.tls.config != nil && s.tls.minVersion == minVersion {
		return s.tls, nil
	}
	made, err := netserver.NewTLSConfig(s.certs, minVersion, "imap")
	return tlsSettings{made, minVersion}, err
}

// listen makes the server listen where the configuration says, or changes
// nothing.
func (s *server) listen(cfg config.Config) error {
	secure, err := s.tlsOf(cfg.TLS.MinVersion)
	if err != nil {
		return err
	}
	lmtpWords := func(observe.Ref) string { return "421 4.3.0 something went wrong here\r\n" }
	imap := netserver.Listen{TLS: secure.config, Handler: s.talk.imap, LastWords: imapserver.LastWords}
	imaps, lmtp := imap, netserver.Listen{Security: netserver.Plaintext, Handler: s.talk.lmtp, LastWords: lmtpWords}
	imaps.Setting, imaps.Security = "listen.imaps", netserver.ImplicitTLS
	imap.Setting, imap.Security = "listen.imap", netserver.StartTLS
	lmtp.Setting = "listen.lmtp"
	asked := netserver.Listen{Setting: "listen.auth", Security: netserver.Plaintext, Handler: s.talk.auth, LastWords: func(observe.Ref) string { return "" }}
	askedPlain := asked // of clients without TLS, too
	askedPlain.Handler = s.talk.authPlaintext
	var specs []netserver.Listen
	var errs []error
	add := func(kind netserver.Listen, list []config.Listener) {
		for _, l := range list {
			spec, err := listener(kind, l)
			specs, errs = append(specs, spec), append(errs, err)
		}
	}
	add(imaps, cfg.Listen.IMAPS)
	add(imap, cfg.Listen.IMAP)
	add(lmtp, cfg.Listen.LMTP)
	for _, l := range cfg.Listen.Auth {
		kind := asked
		if l.Plaintext {
			kind = askedPlain
		}
		add(kind, []config.Listener{l})
	}
	errs = append(errs, makeSocketDirectory(specs))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.net.Listen(specs); err != nil {
		return err
	}
	s.tls = secure
	return nil
}

// socketDirectory is where the Unix socket is of a server nobody has configured.
// It goes with each restart of the machine; with systemd the unit makes it.
const socketDirectory = "/run/postern"

// makeSocketDirectory makes socketDirectory if it is needed and we may. Other
// directories are not made: their path may be a mistake.
func makeSocketDirectory(specs []netserver.Listen) error {
	needed := slices.ContainsFunc(specs, func(l netserver.Listen) bool {
		return strings.HasPrefix(l.Address, "unix:"+socketDirectory+"/")
	})
	if !needed {
		return nil
	}
	err := os.Mkdir(socketDirectory, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return setupErrorf("listen.lmtp: %w: make it, or set listen.lmtp", err)
	}
	return os.Chmod(socketDirectory, 0o755) // the umask was in the way; the socket has its own mode
}

// listener is one listener of a kind, with the settings of its own.
func listener(kind netserver.Listen, l config.Listener) (netserver.Listen, error) {
	kind.Address = l.Address
	kind.Unix = netserver.UnixAccess{Owner: l.Owner, Group: l.Group, Mode: os.FileMode(l.Mode)}
	if l.Plaintext {
		kind.Security = netserver.Plaintext
	}
	for _, n := range l.Networks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return kind, fmt.Errorf("%s.networks: %w", kind.Setting, err)
		}
		kind.Networks = append(kind.Networks, prefix)
	}
	return kind, nil
}
