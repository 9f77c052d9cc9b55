// Command idle measures what an idle IMAP connection costs: it starts Postern on
// a fresh store, opens many TLS connections that sign in, select INBOX and wait
// in IDLE, and prints the server's proportional set size (PSS) per connection.
// Nothing is tuned and no collection is forced.
//
//	go run ./test/idle -n 2000 -wait 60s
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	n := flag.Int("n", 2000, "connections")
	wait := flag.Duration("wait", 60*time.Second, "time to wait before measuring")
	messages := flag.Int("messages", 100, "messages in INBOX")
	profile := flag.String("profile", "", "write a heap profile of the server to this file after measuring")
	flag.Parse()
	if err := run(*n, *messages, *wait, *profile); err != nil {
		log.Fatal(err)
	}
}

const (
	account  = "idle@localhost"
	password = "an idle password"
)

// run does the whole measurement.
func run(n, messages int, wait time.Duration, profile string) (err error) {
	dir, err := os.MkdirTemp("", "postern-idle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "postern")
	if out, err := exec.Command("go", "build", "-o", binary, "postern/cmd/postern").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	address, lmtp := "127.0.0.1:"+freePort(), "127.0.0.1:"+freePort()
	file := filepath.Join(dir, "postern.toml")
	text := fmt.Sprintf("data = %q\n[listen]\nimap = []\n[[listen.imaps]]\naddress = %q\n[[listen.lmtp]]\naddress = %q\n[imap]\nsessions_per_account = %d\n[log]\nlevel = \"warn\"\n",
		filepath.Join(dir, "data"), address, lmtp, n+10)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	add := exec.Command(binary, "-c", file, "account", "add", account)
	add.Stdin = strings.NewReader(password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("account add: %w\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := exec.CommandContext(ctx, binary, "-c", file, "serve")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { cancel(); server.Wait() }() // killed: its error says only that
	if err := deliver(lmtp, messages); err != nil {
		return err
	}
	before, err := pss(server.Process.Pid)
	if err != nil {
		return err
	}
	start := time.Now()
	conns, err := connect(address, n)
	if err != nil {
		return err
	}
	fmt.Printf("%d connections in IDLE after %.1f s; waiting %s\n", len(conns), time.Since(start).Seconds(), wait)
	time.Sleep(wait)
	after, err := pss(server.Process.Pid)
	if err != nil {
		return err
	}
	kib := func(b int64) float64 { return float64(b) / 1024 }
	fmt.Printf("PSS before %.0f KiB, with %d idle connections %.0f KiB: %.1f KiB a connection, %.1f with the process's own\n",
		kib(before), n, kib(after), kib(after-before)/float64(n), kib(after)/float64(n))
	if profile == "" {
		return nil
	}
	out, err := exec.Command(binary, "-c", file, "profile", "heap", "-o", profile).CombinedOutput()
	if err != nil {
		return fmt.Errorf("profile: %w\n%s", err, out)
	}
	return nil
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// deliver puts messages into INBOX, once the server listens.
func deliver(address string, n int) error {
	var conn net.Conn
	var err error
	for range 100 {
		if conn, err = net.Dial("tcp", address); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		fmt.Fprint(conn, "LHLO idle\r\n")
		for i := range n {
			fmt.Fprintf(conn, "MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: %d\r\n\r\nx\r\n.\r\n", account, i)
		}
		fmt.Fprint(conn, "QUIT\r\n")
	}()
	delivered := 0
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasSuffix(lines.Text(), "delivered") {
			delivered++
		}
	}
	if delivered != n {
		return fmt.Errorf("delivered %d of %d", delivered, n)
	}
	return nil
}

// connect opens n connections that wait in IDLE, a few at a time.
func connect(address string, n int) ([]*tls.Conn, error) {
	conns := make([]*tls.Conn, n)
	errs := make([]error, n)
	slots := make(chan struct{}, 16) // below the limit of one address before login
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			conns[i], errs[i] = idle(address)
		})
	}
	wg.Wait()
	return conns, errors.Join(errs...)
}

func idle(address string) (*tls.Conn, error) {
	// The certificate is the server's own, made a moment ago in a directory of ours.
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "a LOGIN %s \"%s\"\r\nb SELECT INBOX\r\nc IDLE\r\n", account, password)
	var seen bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "\r\n+ ") {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("%w after %q", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	return conn, nil
}

// pss is the proportional set size of a process in octets.
func pss(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no Pss in smaps_rollup")
}
