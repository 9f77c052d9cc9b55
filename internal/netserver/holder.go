package netserver

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// holder finds the process that listens where t wants to, nil if that cannot be
// seen from here (other users' descriptors are root's to read). proc is where
// the proc file system is mounted.
func holder(proc string, t target) *Process {
	want, err := netip.ParseAddrPort(t.address)
	if err != nil {
		return nil
	}
	inodes := make(map[string]bool)
	for _, table := range []string{"tcp", "tcp6"} {
		listening(filepath.Join(proc, "net", table), func(addr netip.AddrPort, inode string) {
			if addr.Port() == want.Port() && overlap(addr.Addr(), want.Addr()) {
				inodes[inode] = true
			}
		})
	}
	if len(inodes) == 0 {
		return nil
	}
	return owner(proc, inodes)
}

// overlap reports whether sockets bound to the two addresses exclude each other.
// The IPv6 wildcard may take IPv4 too, which the table does not say.
func overlap(a, b netip.Addr) bool {
	a, b = a.Unmap(), b.Unmap()
	return a == b || a == netip.IPv6Unspecified() || b == netip.IPv6Unspecified() ||
		a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

// listening reads one of the kernel's tables of sockets, /proc/net/tcp or tcp6,
// and gives those that listen.
func listening(table string, each func(addr netip.AddrPort, inode string)) {
	f, err := os.Open(table)
	if err != nil {
		return // no such table: nothing to be seen
	}
	defer f.Close()
	const listen = "0A" // TCP_LISTEN
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
		field := strings.Fields(lines.Text())
		if len(field) < 10 || field[3] != listen {
			continue
		}
		if addr, ok := kernelAddress(field[1]); ok {
			each(addr, field[9])
		}
	}
}

// kernelAddress reads "0100007F:03E1", the address in words of the machine's
// byte order.
func kernelAddress(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr, uint16(n)), err == nil
}

// owner finds the process that holds one of the sockets: the oldest, if several
// share it, which is the one to stop.
func owner(proc string, inodes map[string]bool) *Process {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	best := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || best != 0 && pid > best {
			continue
		}
		if holds(filepath.Join(proc, e.Name(), "fd"), inodes) {
			best = pid
		}
	}
	if best == 0 {
		return nil
	}
	return process(proc, best)
}

func holds(fdDir string, inodes map[string]bool) bool {
	fds, err := os.ReadDir(fdDir)
	if err != nil {
		return false // not ours to see, or gone meanwhile
	}
	for _, fd := range fds {
		link, err := os.Readlink(filepath.Join(fdDir, fd.Name()))
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(link, "socket:[")
		if ok && inodes[strings.TrimSuffix(inode, "]")] {
			return true
		}
	}
	return false
}

func process(proc string, pid int) *Process {
	p := &Process{Name: "a process", PID: pid, Self: pid == os.Getpid()}
	if name, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm")); err == nil {
		p.Name = strings.TrimSpace(string(name))
	}
	return p
}

// peer is the process at the other end of a connected Unix socket.
func peer(rc syscall.RawConn) *Process {
	var cred *syscall.Ucred
	err := rc.Control(func(fd uintptr) {
		c, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err == nil {
			cred = c
		}
	})
	if err != nil || cred == nil || cred.Pid <= 0 {
		return nil // or it lives in another PID namespace
	}
	return process("/proc", int(cred.Pid))
}
