package netserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// childHold is a foreign server: it listens on a free port, or on a Unix socket,
// and says where.
func childHold() {
	network, address := "tcp", os.Getenv("HOLD")
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(ln.Addr())
	io.Copy(io.Discard, os.Stdin)
	ln.Close()
}

func held(t *testing.T, address string) (at string) {
	t.Helper()
	line, err := child(t, "hold", nil, "HOLD="+address).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatal(line, err)
	}
	return strings.TrimSpace(line)
}

func TestTakenPortNamesItsHolder(t *testing.T) {
	at := held(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(at)
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{at, "0.0.0.0:" + port} {
		s := newTestServer(t, Limits{})
		err := s.Listen([]Listen{{Setting: "listen.imaps", Address: address, Security: Plaintext, Networks: anywhere, Handler: echo}})
		var taken *TakenError
		if !errors.As(err, &taken) || !errors.Is(err, ErrSetup) {
			t.Fatalf("%s: %v", address, err)
		}
		if taken.Holder == nil || taken.Holder.Self || taken.Holder.PID == os.Getpid() || taken.Holder.Name != strings.TrimSpace(string(name)) {
			t.Errorf("%s: the holder is %+v", address, taken.Holder)
		}
		want := fmt.Sprintf("cannot listen on %s: port %s is taken by %s (pid %d): stop it, or set listen.imaps",
			address, port, strings.TrimSpace(string(name)), taken.Holder.PID)
		if err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

var anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func TestTakenPortWithoutAHolderToBeSeen(t *testing.T) {
	err := &TakenError{Setting: "listen.imaps", Address: "0.0.0.0:993", Port: "993"}
	want := "cannot listen on 0.0.0.0:993: port 993 is taken by a process that this user may not see (as root, ss -lnp names it): stop it, or set listen.imaps"
	if err.Error() != want {
		t.Error(err)
	}
	if p := holder(t.TempDir(), target{address: "0.0.0.0:993"}); p != nil {
		t.Errorf("found %+v where there is nothing", p)
	}
}

func TestHolderInAMadeUpProc(t *testing.T) {
	proc := t.TempDir()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(addr, state string, inode int) string {
		return fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000 100 0 0 10 0\n", addr, state, inode)
	}
	// The kernel's table on a little-endian machine; the addresses here read the same either way round.
	files := map[string]string{
		"net/tcp":  head + line("00000000:03E1", "06", 11) + line("00000000:03E1", "0A", 12) + line("00000000:0019", "0A", 13),
		"net/tcp6": head + line("00000000000000000000000000000000:008F", "0A", 14),
		"812/comm": "dovecot\n", "900/comm": "imap-login\n", "77/comm": "master\n",
	}
	for name, text := range files {
		os.MkdirAll(filepath.Join(proc, filepath.Dir(name), "fd"), 0o755)
		if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for fd, inode := range map[string]int{"812/fd/5": 12, "900/fd/5": 12, "77/fd/3": 13, "77/fd/4": 14} {
		if err := os.Symlink(fmt.Sprintf("socket:[%d]", inode), filepath.Join(proc, fd)); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]string{
		"0.0.0.0:993": "dovecot 812", "192.0.2.1:993": "dovecot 812", "127.0.0.1:25": "master 77",
		"[::]:143": "master 77", "0.0.0.0:143": "master 77", "[::]:25": "master 77", "127.0.0.1:110": "",
		"[2001:db8::1]:993": "",
	} {
		got := ""
		if p := holder(proc, target{address: address}); p != nil {
			got = fmt.Sprint(p.Name, " ", p.PID)
		}
		if got != want {
			t.Errorf("%s is held by %q, want %q", address, got, want)
		}
	}
}

func TestPrivilegedPort(t *testing.T) {
	if lowestFreePort("/proc") <= 1 {
		t.Skip("on this machine every port is free for everybody (net.ipv4.ip_unprivileged_port_start)")
	}
	s := newTestServer(t, Limits{})
	result := make(chan error)
	go func() {
		// This thread gives up the capability and dies with the goroutine, which does not unlock it.
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			result <- err
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_BIND_SERVICE
		if err := unix.Capset(&header, &data[0]); err != nil {
			result <- err
			return
		}
		result <- s.Listen([]Listen{{Setting: "listen.imaps", Address: "127.0.0.1:1", Security: Plaintext, Handler: echo}})
	}()
	err := <-result
	var privilege *PrivilegeError
	if !errors.As(err, &privilege) || !errors.Is(err, ErrSetup) {
		t.Fatalf("listening on port 1: %v", err)
	}
	exe, _ := os.Executable()
	wantParts(t, err.Error(), "127.0.0.1:1", "port 1 needs a privilege", "systemd", "postern.socket",
		"setcap cap_net_bind_service=+ep "+exe, "set listen.imaps to a port from ")
}

func TestBothFamiliesSideBySide(t *testing.T) {
	haveIPv6(t)
	s := newTestServer(t, Limits{})
	listen := func(setting, address string) Listen {
		return Listen{Setting: setting, Address: address, Security: Plaintext, Networks: anywhere, Handler: echo}
	}
	s.serve(t, listen("four", "0.0.0.0:0"))
	_, port, _ := net.SplitHostPort(s.Addrs("four")[0].String())
	if err := s.Listen([]Listen{listen("four", "0.0.0.0:0"), listen("six", "[::]:"+port)}); err != nil {
		t.Fatal(err)
	}
	for setting, host := range map[string]string{"four": "127.0.0.1", "six": "::1"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("%s: %v", setting, err)
		}
		expect(t, c, "* hello")
		c.Close()
	}
	// No host means both; on another server, on a port that both families have free.
	both := newTestServer(t, Limits{})
	both.serve(t, listen("both", ":0"))
	if addrs := both.Addrs("both"); len(addrs) != 2 || !strings.HasPrefix(addrs[0].String(), "0.0.0.0:") || !strings.HasPrefix(addrs[1].String(), "[::]:") {
		t.Errorf("no host means %v", addrs)
	}
	err := both.Listen([]Listen{listen("again", ":"+port)})
	wantParts(t, fmt.Sprint(err), "0.0.0.0:"+port, "[::]:"+port, "this server itself")
}

func TestListenOnAName(t *testing.T) {
	s := newTestServer(t, Limits{})
	s.serve(t, Listen{Setting: "listen.imap", Address: "localhost:0", Security: Plaintext, Handler: echo})
	for i := range s.Addrs("listen.imap") { // 127.0.0.1, and ::1 where the machine knows it
		expect(t, dial(t, s.Addrs("listen.imap")[i]), "* hello")
	}
	err := s.Listen([]Listen{{Setting: "listen.imap", Address: "no such host:0", Security: Plaintext, Handler: echo}})
	if !errors.Is(err, ErrSetup) || !strings.Contains(fmt.Sprint(err), `address of "no such host"`) { // which is not even asked for
		t.Errorf("a name that cannot exist: %v", err)
	}
}

func TestPlaintextIsRefusedWhereItWouldBeHeard(t *testing.T) {
	s := newTestServer(t, Limits{})
	err := s.Listen([]Listen{{Setting: "listen.imap", Address: "0.0.0.0:0", Security: Plaintext, Handler: echo}})
	if !errors.Is(err, ErrSetup) {
		t.Fatalf("plaintext for everybody: %v", err)
	}
	wantParts(t, err.Error(), "listen.imap: plaintext on 0.0.0.0:0", "loopback", "Unix socket", "networks", "TLS")

	spec := &Listen{Security: Plaintext, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for addr, want := range map[string]bool{"192.0.2.7": true, "198.51.100.7": false, "127.0.0.1": true, "::1": true, "2001:db8::1": false} {
		if got := spec.admits(netip.AddrPortFrom(netip.MustParseAddr(addr), 9)); got != want {
			t.Errorf("%s: admitted %v, want %v", addr, got, want)
		}
	}
	if !spec.admits(netip.AddrPort{}) {
		t.Error("a Unix socket was refused")
	}
	spec.Security = ImplicitTLS
	if spec.admits(netip.MustParseAddrPort("198.51.100.7:9")) {
		t.Error("TLS let in somebody from a network that is not listed")
	}
	spec.Networks = nil
	if !spec.admits(netip.MustParseAddrPort("198.51.100.7:9")) {
		t.Error("TLS without listed networks refused somebody")
	}
}

func TestBadAddresses(t *testing.T) {
	s := newTestServer(t, Limits{})
	for address, want := range map[string]string{
		"here":                "is no address to listen on",
		"127.0.0.1:imap\nx":   `"imap\nx" is no port`,
		"127.0.0.1:70000":     "is no port",
		"unix:relative":       "absolute path",
		"systemd:imaps":       "handed over: none",
		"192.0.2.55:0":        "this machine has no address 192.0.2.55:0",
		"unix:/does/not/ex/s": "no such file",
	} {
		err := s.Listen([]Listen{{Setting: "listen.x", Address: address, Security: Plaintext, Networks: anywhere, Handler: echo}})
		if !errors.Is(err, ErrSetup) || !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(err), "listen.x") {
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	if err := s.Listen([]Listen{{Address: "127.0.0.1:0"}}); err == nil {
		t.Error("a listener without a handler was accepted")
	}
	if err := s.Listen([]Listen{{Address: "127.0.0.1:0", Handler: echo}}); err == nil {
		t.Error("a TLS listener without TLS settings was accepted")
	}
}

func unixListen(path string, access UnixAccess) Listen {
	return Listen{Setting: "listen.lmtp", Address: "unix:" + path, Security: Plaintext, Unix: access, Handler: echo}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	s := newTestServer(t, Limits{})
	group := fmt.Sprint(os.Getgid())
	s.serve(t, unixListen(path, UnixAccess{Owner: fmt.Sprint(os.Getuid()), Group: group, Mode: 0o660}))
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	if mode() != os.ModeSocket|0o660 {
		t.Errorf("mode %v", mode())
	}
	c := s.dial(t, "listen.lmtp")
	expect(t, c, "* hello private=true\r\n")

	// A reload changes the mode of the open socket; the default is for us alone.
	if err := s.Listen([]Listen{unixListen(path, UnixAccess{})}); err != nil {
		t.Fatal(err)
	}
	if mode() != os.ModeSocket|0o600 {
		t.Errorf("mode after reload %v", mode())
	}
	send(t, c, "alive\r\n")
	expect(t, c, "alive\r\n")

	for access, want := range map[UnixAccess]string{
		{Owner: "nobody-of-that-name"}: "there is no user nobody-of-that-name",
		{Group: "nobody-of-that-name"}: "there is no group nobody-of-that-name",
	} {
		err := s.Listen([]Listen{unixListen(path+"2", access)})
		if !errors.Is(err, ErrSetup) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", access, err)
		}
	}
	if err := s.Listen(nil); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestUnixSocketOfAnother(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lmtp")
	at := held(t, path)
	s := newTestServer(t, Limits{})
	err := s.Listen([]Listen{unixListen(at, UnixAccess{})})
	var taken *TakenError
	if !errors.As(err, &taken) || taken.Holder == nil || taken.Holder.PID == os.Getpid() {
		t.Fatalf("a live socket: %v", err)
	}
	wantParts(t, err.Error(), "cannot listen on "+path+": the socket is taken by ", fmt.Sprintf("(pid %d)", taken.Holder.PID), "set listen.lmtp")
	dial(t, &net.UnixAddr{Name: path, Net: "unix"}) // the other one's socket did not suffer

	file := filepath.Join(dir, "letter")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		err := s.Listen([]Listen{unixListen(name, UnixAccess{})})
		if !errors.Is(err, ErrSetup) || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	long := filepath.Join(dir, strings.Repeat("x", 120))
	if err := s.Listen([]Listen{unixListen(long, UnixAccess{})}); !errors.Is(err, ErrSetup) || !strings.Contains(fmt.Sprint(err), "too long") {
		t.Errorf("a path of %d bytes: %v", len(long), err)
	}
}

func TestStaleUnixSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	s := newTestServer(t, Limits{})
	s.serve(t, unixListen(path, UnixAccess{}))
	expect(t, s.dial(t, "listen.lmtp"), "* hello")

	// A successor that took the path over keeps it when the predecessor closes.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next := newTestServer(t, Limits{})
	next.serve(t, unixListen(path, UnixAccess{}))
	if err := s.Listen(nil); err != nil {
		t.Fatal(err)
	}
	expect(t, next.dial(t, "listen.lmtp"), "* hello")
}

// childActivated is a server that systemd started: sockets 3 and 4, and 5 which
// is none.
func childActivated() {
	os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	set, err := InheritedSockets()
	fmt.Println(err, errors.Is(err, ErrSetup), os.Getenv("LISTEN_FDS") == "")
	s := New(Config{Inherited: set})
	spec := Listen{Setting: "listen.imaps", Address: "systemd:imaps", Security: Plaintext, Handler: echo}
	err = s.Listen([]Listen{{Setting: "x", Address: "systemd:pop3", Security: Plaintext, Handler: echo}})
	fmt.Println(err)
	fmt.Println(s.Listen([]Listen{spec}), s.Addrs("listen.imaps"), len(s.Unused()))
	// The same by its address, as in a configuration that knows nothing of systemd.
	byAddress := Listen{Setting: "listen.lmtp", Address: os.Getenv("BY_ADDRESS"), Security: Plaintext, Handler: echo}
	fmt.Println(s.Listen([]Listen{spec, byAddress}), s.Addrs("listen.lmtp"), len(s.Unused()))
	s.Start()
	fmt.Println("started")
	io.Copy(io.Discard, os.Stdin)
}

func TestInheritedSockets(t *testing.T) {
	var files []*os.File
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		files, addrs = append(files, f), append(addrs, ln.Addr().String())
		ln.Close()
	}
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, none)
	out := child(t, "activated", files, "LISTEN_FDS=3", "LISTEN_FDNAMES=imaps:lmtp:odd", "BY_ADDRESS="+addrs[1])
	for _, f := range files {
		f.Close()
	}
	for i, want := range []string{
		`systemd handed over "odd", which is no socket to listen on`,
		`systemd handed over no socket named "pop3"`,
		"<nil> [" + addrs[0] + "] 1",
		"<nil> [" + addrs[1] + "] 0",
		"started",
	} {
		line, err := out.ReadString('\n')
		if err != nil || !strings.HasPrefix(strings.TrimPrefix(line, "x: "), want) {
			t.Fatalf("line %d: %q (%v), want %q", i, line, err, want)
		}
		if i == 0 && !strings.HasSuffix(line, " true true\n") {
			t.Errorf("not an ErrSetup, or the environment is not cleared: %q", line)
		}
		if i == 1 {
			wantParts(t, line, "imaps ("+addrs[0]+")", "lmtp ("+addrs[1]+")")
		}
	}
	for _, addr := range addrs {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "* hello") {
			t.Errorf("%s: %q %v", addr, line, err)
		}
		c.Close()
	}
}

func TestInheritedUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ln.Close()
	in, err := inherit(f)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, Limits{})
	s.inherited = &Inherited{sockets: []*inherited{in}}
	if unused := s.Unused(); len(unused) != 1 || !strings.Contains(unused[0], path) {
		t.Errorf("unused: %q", unused)
	}
	for range 2 { // it survives a reload without it: it is systemd's
		s.serve(t, unixListen(path, UnixAccess{}))
		expect(t, s.dial(t, "listen.lmtp"), "* hello")
		if err := s.Listen(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("systemd's socket file was removed: %v", err)
	}
}

func TestInheritedDualStackSocketServesBothWildcards(t *testing.T) {
	haveIPv6(t)
	ln, err := net.Listen("tcp", "[::]:0") // takes IPv4 too, as systemd's ListenStream=993 does
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	in, err := inherit(f)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !in.both {
		t.Skip("this machine's IPv6 sockets take no IPv4 connections (net.ipv6.bindv6only)")
	}
	s := newTestServer(t, Limits{})
	s.inherited = &Inherited{sockets: []*inherited{in}}
	s.serve(t, Listen{Setting: "listen.imaps", Address: ":" + port, Security: Plaintext, Networks: anywhere, Handler: echo})
	if addrs := s.Addrs("listen.imaps"); len(addrs) != 1 {
		t.Errorf("listening on %v", addrs)
	}
	c, err := net.Dial("tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect(t, c, "* hello")
}
