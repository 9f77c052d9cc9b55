package netserver

import (
	"errors"
	"fmt"
	"strings"

	"postern/internal/observe"
)

// ErrSetup is what errors.Is finds in every error that the operator can put
// right: a taken port, a missing privilege, a bad address, a bad certificate.
// The program ends with exit code 78 (EX_CONFIG) for them.
var ErrSetup = errors.New("setup")

// setupError is an ErrSetup that has no type of its own.
type setupError struct{ err error }

func setupErrorf(format string, args ...any) error {
	return &setupError{fmt.Errorf(format, args...)}
}

func (e *setupError) Error() string        { return e.err.Error() }
func (e *setupError) Unwrap() error        { return e.err }
func (e *setupError) Is(target error) bool { return target == ErrSetup }

// TakenError says that somebody else listens on the address.
type TakenError struct {
	Setting string   // that moves the listener, such as "listen.imaps"
	Address string   // "0.0.0.0:993", "/run/postern/lmtp"
	Port    string   // "993"; "" for a Unix socket
	Holder  *Process // nil if it could not be found out
}

// Process is a program that runs on this machine.
type Process struct {
	Name string
	PID  int
	Self bool // it is this one
}

func (e *TakenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cannot listen on %s: ", e.Address)
	if e.Port != "" {
		fmt.Fprintf(&b, "port %s is taken by ", e.Port)
	} else {
		b.WriteString("the socket is taken by ")
	}
	switch {
	case e.Holder == nil:
		fmt.Fprintf(&b, "a process that this user may not see (as root, ss -lnp names it): stop it, or set %s", e.Setting)
	case e.Holder.Self:
		fmt.Fprintf(&b, "this server itself (two settings name it): change %s", e.Setting)
	default:
		fmt.Fprintf(&b, "%s (pid %d): stop it, or set %s", observe.Clean(e.Holder.Name), e.Holder.PID, e.Setting)
	}
	return b.String()
}

// Is reports that the error is an ErrSetup.
func (e *TakenError) Is(target error) bool { return target == ErrSetup }

// PrivilegeError says that this user may not listen on the port.
type PrivilegeError struct {
	Setting    string
	Address    string
	Port       string
	Executable string // of this program
	Lowest     int    // the lowest port that needs no privilege
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("cannot listen on %s: port %s needs a privilege: let systemd open it (postern.socket), "+
		"or allow it with setcap cap_net_bind_service=+ep %s, or set %s to a port from %d on",
		e.Address, e.Port, e.Executable, e.Setting, e.Lowest)
}

// Is reports that the error is an ErrSetup.
func (e *PrivilegeError) Is(target error) bool { return target == ErrSetup }
