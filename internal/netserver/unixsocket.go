package netserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// maxSocketPath is the room for a path in the kernel's sockaddr_un, without the
// final NUL.
const maxSocketPath = 107

// listenUnix opens a Unix socket. It is bound in a directory nobody else may
// enter, given its owner, group and mode there, and then moved into place: at no
// moment can somebody connect who should not, and a socket file left behind by a
// server that died is replaced in one step. A socket somebody still listens on,
// and a file that is no socket, are left alone.
func listenUnix(path string, spec *Listen) (net.Listener, error) {
	if err := checkStale(path, spec); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, setupErrorf("%s: %w", spec.Setting, err)
	}
	defer os.Remove(dir)
	private := filepath.Join(dir, "s")
	if n := max(len(path), len(private)); n > maxSocketPath {
		return nil, setupErrorf("%s: the path %s is too long for a Unix socket by %d bytes", spec.Setting, path, n-maxSocketPath)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, setupErrorf("%s: %w", spec.Setting, err)
	}
	ln.SetUnlinkOnClose(false)
	u := &unixListener{UnixListener: ln, path: path}
	err = grant(private, spec)
	if err == nil {
		u.inode, err = socketInode(private)
	}
	if err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		return nil, errors.Join(setupErrorf("%s: %w", spec.Setting, err), ln.Close(), os.Remove(private))
	}
	return u, nil
}

// checkStale makes sure that nothing is lost by taking the path.
func checkStale(path string, spec *Listen) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return setupErrorf("%s: %w", spec.Setting, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return setupErrorf("%s: %s exists and is no socket: remove it, or set %s", spec.Setting, path, spec.Setting)
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil // nobody listens there any more
	}
	taken := &TakenError{Setting: spec.Setting, Address: path}
	if err != nil {
		return taken // full, or not ours to connect to: alive in any case
	}
	defer conn.Close()
	if rc, err := conn.SyscallConn(); err == nil {
		taken.Holder = peer(rc)
	}
	return taken
}

// UserID gives the number of a user who is named or numbered; -1 for "".
func UserID(name string) (int, error) {
	return idOf(name, "user", func() (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// GroupID gives the number of a group that is named or numbered; -1 for "".
func GroupID(name string) (int, error) {
	return idOf(name, "group", func() (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func idOf(name, kind string, lookUp func() (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	number, err := lookUp()
	if err != nil {
		return 0, fmt.Errorf("there is no %s %s", kind, name)
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("%s %s has the number %q", kind, name, number)
	}
	return n, nil
}

// grant sets owner, group and mode, those that are not right already: a server
// that has given up root may no longer change what it need not.
func grant(path string, spec *Listen) error {
	uid, err := UserID(spec.Unix.Owner)
	if err != nil {
		return setupErrorf("%s: %w", spec.Setting, err)
	}
	gid, err := GroupID(spec.Unix.Group)
	if err != nil {
		return setupErrorf("%s: %w", spec.Setting, err)
	}
	mode := spec.Unix.Mode.Perm()
	if mode == 0 {
		mode = 0o600
	}
	info, err := os.Lstat(path)
	if err != nil {
		return setupErrorf("%s: %w", spec.Setting, err)
	}
	st, known := info.Sys().(*syscall.Stat_t)
	right := func(want int, have uint32) bool { return want < 0 || known && uint32(want) == have }
	if !right(uid, st.Uid) || !right(gid, st.Gid) {
		if err := os.Lchown(path, uid, gid); err != nil {
			return setupErrorf("%s: the socket cannot be given to %s:%s: %w", spec.Setting, spec.Unix.Owner, spec.Unix.Group, err)
		}
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return setupErrorf("%s: %w", spec.Setting, err)
	}
	return nil
}

// unixListener removes its socket file when it is closed, if it is still its
// own: another server may have taken the place.
type unixListener struct {
	*net.UnixListener
	path  string
	inode uint64
	once  sync.Once
}

// Close stops listening.
func (u *unixListener) Close() error {
	err := u.UnixListener.Close()
	u.once.Do(func() {
		if now, statErr := socketInode(u.path); statErr == nil && now == u.inode {
			err = errors.Join(err, os.Remove(u.path))
		}
	})
	return err
}

func socketInode(path string) (uint64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return inode(info), nil
}

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
