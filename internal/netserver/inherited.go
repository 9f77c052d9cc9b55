package netserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"postern/internal/observe"
)

// Inherited are the sockets that were open when the program began, because
// systemd opened them (sd_listen_fds(3)). They need no privilege, and they keep
// waiting clients in line while the server restarts. The nil *Inherited has
// none.
type Inherited struct{ sockets []*inherited }

// inherited is one of them.
type inherited struct {
	file    *os.File
	name    string // FileDescriptorName= of the unit
	network string // as in target
	address string
	both    bool // an IPv6 wildcard that takes IPv4 connections too
}

// InheritedSockets takes over the sockets that systemd announced in LISTEN_FDS
// and removes the announcement from the environment. It is called once, when
// the program starts. A descriptor that is no listening stream socket is an
// error (an ErrSetup).
func InheritedSockets() (*Inherited, error) {
	set := new(Inherited)
	var errs []error
	for _, f := range activation.Files(true) {
		in, err := inherit(f)
		if err != nil {
			errs = append(errs, setupErrorf("systemd handed over %s, which is no socket to listen on: %w", observe.Quote(f.Name()), err), f.Close())
			continue
		}
		set.sockets = append(set.sockets, in)
	}
	return set, errors.Join(errs...)
}

func inherit(f *os.File) (*inherited, error) {
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // systemd's to remove
	}
	in := &inherited{file: f, name: f.Name()}
	switch addr := ln.Addr().(type) {
	case *net.UnixAddr:
		in.network, in.address = "unix", addr.Name
	case *net.TCPAddr:
		ap := addr.AddrPort()
		in.network, in.address = "tcp4", ap.String()
		if ap.Addr().Is6() {
			in.network = "tcp6"
			only, err := v6only(f)
			if err != nil {
				return nil, err
			}
			in.both = ap.Addr().IsUnspecified() && !only
		}
	default:
		return nil, fmt.Errorf("it is a %T", addr)
	}
	return in, nil
}

func v6only(f *os.File) (bool, error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var v int
	var optErr error
	err = rc.Control(func(fd uintptr) { v, optErr = unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) })
	return v == 1, errors.Join(err, optErr)
}

// listen opens a listener on the socket. Closing it leaves the socket itself
// open: it is systemd's, and may be wanted again after the next reload.
func (in *inherited) listen() (net.Listener, error) {
	ln, err := net.FileListener(in.file)
	if err != nil {
		return nil, setupErrorf("socket %s of systemd: %w", observe.Quote(in.name), err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln, nil
}

// at gives the socket that has the address of t, nil if there is none.
func (set *Inherited) at(t target) *inherited {
	if set == nil {
		return nil
	}
	i := slices.IndexFunc(set.sockets, func(in *inherited) bool { return in.network == t.network && in.address == t.address })
	if i < 0 {
		return nil
	}
	return set.sockets[i]
}

// named gives the sockets of that name.
func (set *Inherited) named(name, setting string) []target {
	if set == nil {
		return nil
	}
	var found []target
	for _, in := range set.sockets {
		if in.name == name {
			found = append(found, target{network: in.network, address: in.address, key: in.network + " " + in.address, setting: setting, inherited: in})
		}
	}
	return found
}

func (set *Inherited) names() string {
	if set == nil || len(set.sockets) == 0 {
		return "none"
	}
	var all []string
	for _, in := range set.sockets {
		all = append(all, fmt.Sprintf("%s (%s)", in.name, in.address))
	}
	return strings.Join(all, ", ")
}

// Unused gives a description of each socket that none of the server's listeners
// uses: clients that connect to it wait in vain, so it is worth a warning.
func (s *Server) Unused() []string {
	if s.inherited == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var idle []string
	for _, in := range s.inherited.sockets {
		if !slices.ContainsFunc(s.listeners, func(l *listener) bool { return l.target.inherited == in }) {
			idle = append(idle, fmt.Sprintf("%s (%s)", in.name, in.address))
		}
	}
	return idle
}
