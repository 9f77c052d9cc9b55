package netserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"postern/internal/observe"
)

// Security is how a listener keeps what is said on it private.
type Security uint8

// The ways. The zero value is the one to prefer.
const (
	ImplicitTLS Security = iota // TLS from the first byte (RFC 8314)
	StartTLS                    // plain until the client asks for TLS
	Plaintext                   // plain for ever: loopback, Unix sockets, listed networks
)

// Listen says where to listen and what to do with those who come.
type Listen struct {
	// Setting names the listener in the configuration, such as "listen.imaps":
	// errors and logs call it so.
	Setting string

	// Address is one of
	//
	//	192.0.2.1:993, [2001:db8::1]:993   one address
	//	0.0.0.0:993, [::]:993              every IPv4 address; every IPv6 address
	//	:993, *:993                        both of these, IPv6 if the machine has it
	//	mail.example.org:993               every address of a name
	//	unix:/run/postern/lmtp             a Unix socket
	//	systemd:imaps                      the sockets systemd opened under that name
	//
	// An IPv6 socket never takes IPv4 connections, so that 0.0.0.0:993 and
	// [::]:993 may stand side by side. A socket inherited from systemd that has
	// the very address is used in place of a new one.
	Address string

	Security Security
	TLS      *tls.Config    // for ImplicitTLS and StartTLS; see NewTLSConfig
	Networks []netip.Prefix // who may connect, beside this machine; empty is everybody, but for Plaintext nobody
	Unix     UnixAccess     // for Unix sockets

	Handler Handler

	// LastWords is what a client is told when its conversation ended by a panic:
	// a whole line with its CRLF. It may be nil.
	LastWords func(observe.Ref) string
}

// UnixAccess is who may connect to a Unix socket. The zero value leaves owner
// and group as they are and gives mode 0600.
type UnixAccess struct {
	Owner string // name or number; "" is us
	Group string
	Mode  fs.FileMode
}

// target is one socket that a Listen means.
type target struct {
	network string // "tcp4", "tcp6", "unix"
	address string
	key     string // the same for the same socket across reloads
	setting string

	optional  bool // not having IPv6 is no error
	inherited *inherited
}

// resolve tells which sockets a spec means, and checks it.
func (s *Server) resolve(spec *Listen) ([]target, error) {
	if spec.Handler == nil {
		return nil, fmt.Errorf("%s: no handler", spec.Setting)
	}
	if spec.Security != Plaintext && spec.TLS == nil {
		return nil, fmt.Errorf("%s: no TLS settings", spec.Setting)
	}
	targets, err := s.targets(spec)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if err := t.checkPlaintext(spec); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

func (s *Server) targets(spec *Listen) ([]target, error) {
	kind, name, ok := strings.Cut(spec.Address, ":")
	switch {
	case ok && kind == "unix":
		if !strings.HasPrefix(name, "/") {
			return nil, setupErrorf("%s: a Unix socket needs an absolute path, not %s", spec.Setting, observe.Quote(name))
		}
		t := target{network: "unix", address: name, key: spec.Address, setting: spec.Setting}
		t.inherited = s.inherited.at(t)
		return []target{t}, nil
	case ok && kind == "systemd":
		targets := s.inherited.named(name, spec.Setting)
		if len(targets) == 0 {
			return nil, setupErrorf("%s: systemd handed over no socket named %s (FileDescriptorName= in postern.socket); it handed over: %s",
				spec.Setting, observe.Quote(name), s.inherited.names())
		}
		return targets, nil
	}
	host, port, err := net.SplitHostPort(spec.Address)
	if err != nil {
		return nil, setupErrorf("%s: %s is no address to listen on: write host:port, :port, unix:/path or systemd:name", spec.Setting, observe.Quote(spec.Address))
	}
	number, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	if err != nil {
		return nil, setupErrorf("%s: %s is no port", spec.Setting, observe.Quote(port))
	}
	addrs, err := addresses(host)
	if err != nil {
		return nil, setupErrorf("%s: %w", spec.Setting, err)
	}
	var targets []target
	for _, addr := range addrs {
		t := target{network: "tcp4", setting: spec.Setting, address: netip.AddrPortFrom(addr, uint16(number)).String()}
		if addr.Is6() {
			t.network, t.optional = "tcp6", len(addrs) > 1
		}
		t.key = t.network + " " + t.address
		if number == 0 {
			t.key += " " + spec.Setting // any port: not the same socket as another one's
		}
		t.inherited = s.inherited.at(t)
		targets = append(targets, t)
	}
	return withoutDoubles(targets), nil
}

// addresses gives what a host means: both wildcards for none, IPv4 first.
func addresses(host string) ([]netip.Addr, error) {
	if host == "" || host == "*" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", observe.Quote(host), err)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found), nil
}

// withoutDoubles drops the IPv4 wildcard where systemd's IPv6 socket takes IPv4
// connections already.
func withoutDoubles(targets []target) []target {
	both := slices.ContainsFunc(targets, func(t target) bool { return t.inherited != nil && t.inherited.both })
	return slices.DeleteFunc(targets, func(t target) bool {
		return both && t.inherited == nil && strings.HasPrefix(t.address, "0.0.0.0:")
	})
}

// checkPlaintext refuses to let passwords travel in the clear by accident.
func (t target) checkPlaintext(spec *Listen) error {
	if spec.Security != Plaintext || t.network == "unix" || len(spec.Networks) > 0 {
		return nil
	}
	if ap, err := netip.ParseAddrPort(t.address); err == nil && ap.Addr().IsLoopback() {
		return nil
	}
	return setupErrorf("%s: plaintext on %s would carry passwords in the clear: listen on loopback or a Unix socket, "+
		"list the networks that may connect, or use TLS", spec.Setting, t.address)
}

// admits reports whether a client from there may connect: listeners with listed
// networks serve these and loopback, plaintext ones nobody else in any case.
func (spec *Listen) admits(remote netip.AddrPort) bool {
	if !remote.IsValid() || remote.Addr().IsLoopback() || spec.Security != Plaintext && len(spec.Networks) == 0 {
		return true
	}
	return slices.ContainsFunc(spec.Networks, func(p netip.Prefix) bool { return p.Contains(remote.Addr()) })
}

// bind opens the socket.
func (s *Server) bind(t target, spec *Listen) (net.Listener, error) {
	switch {
	case t.inherited != nil:
		return t.inherited.listen()
	case t.network == "unix":
		return listenUnix(t.address, spec)
	}
	lc := net.ListenConfig{KeepAlive: -1} // set for each connection, see keepAlive
	// Plain TCP: Go's default of MPTCP where the kernel has it hides our sockets
	// from /proc/net/tcp, and TCP_USER_TIMEOUT from us.
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), t.network, t.address)
	if err != nil {
		return nil, t.explain(err)
	}
	return ln, nil
}

// adjust gives a socket that stays open across a reload its new permissions.
func (t target) adjust(spec *Listen) error {
	if t.network != "unix" || t.inherited != nil {
		return nil
	}
	return grant(t.address, spec)
}

// explain turns the two errors that operators meet into words that help.
func (t target) explain(err error) error {
	_, port, splitErr := net.SplitHostPort(t.address)
	if splitErr != nil {
		port = ""
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &TakenError{Setting: t.setting, Address: t.address, Port: port, Holder: holder("/proc", t)}
	case errors.Is(err, syscall.EACCES) && isBelow(port, lowestFreePort("/proc")):
		exe, exeErr := os.Executable()
		if exeErr != nil {
			exe = "postern"
		}
		return &PrivilegeError{Setting: t.setting, Address: t.address, Port: port, Executable: exe, Lowest: lowestFreePort("/proc")}
	case errors.Is(err, syscall.EADDRNOTAVAIL) && !t.optional:
		return setupErrorf("%s: this machine has no address %s", t.setting, t.address)
	}
	return setupErrorf("%s: %w", t.setting, err)
}

// lowestFreePort is the first port that everybody may listen on.
func lowestFreePort(proc string) int {
	text, err := os.ReadFile(proc + "/sys/net/ipv4/ip_unprivileged_port_start")
	if err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			return n
		}
	}
	return 1024
}

func isBelow(port string, limit int) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n < limit
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
