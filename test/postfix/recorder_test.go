package postfix_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// recorder stands between Postfix and Postern and keeps what Postfix says. It changes nothing.
type recorder struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	talks []*talk
}

// talk is one connection: what Postfix sent, and what it was answered.
type talk struct {
	mu             sync.Mutex
	sent, answered bytes.Buffer
	pieces         []string // how it was sent
}

func record(t *testing.T, target string) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: listener, target: target}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() { r.pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		served.Wait()
	})
	return r
}

func (r *recorder) address() string { return r.listener.Addr().String() }

// pass carries one connection to Postern and back.
func (r *recorder) pass(conn net.Conn) {
	defer conn.Close()
	out, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer out.Close()
	k := &talk{}
	r.mu.Lock()
	r.talks = append(r.talks, k)
	r.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(io.MultiWriter(conn, keep{k, &k.answered}), out)
		conn.(*net.TCPConn).CloseWrite()
	})
	io.Copy(io.MultiWriter(keep{k, &k.sent}, out), conn)
	out.(*net.TCPConn).CloseWrite()
	back.Wait()
}

// keep writes to a buffer of a talk.
type keep struct {
	talk   *talk
	buffer *bytes.Buffer
}

func (k keep) Write(p []byte) (int, error) {
	k.talk.mu.Lock()
	defer k.talk.mu.Unlock()
	if k.buffer == &k.talk.sent {
		k.talk.pieces = append(k.talk.pieces, string(p))
	}
	return k.buffer.Write(p)
}

// said returns what Postfix sent in all its connections, one after another.
func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all strings.Builder
	for _, k := range r.talks {
		k.mu.Lock()
		all.Write(k.sent.Bytes())
		k.mu.Unlock()
	}
	return all.String()
}

// contents returns the messages that were on the wire, dots unstuffed, as RFC 5321 4.5.2 has it.
func (r *recorder) contents() []string {
	var all []string
	rest := r.said()
	for {
		_, after, found := strings.Cut(rest, "\r\nDATA\r\n")
		if !found {
			return all
		}
		// The line end before the content belongs to DATA, so that a message of nothing ends at once.
		content, tail, found := strings.Cut("\r\n"+after, "\r\n.\r\n")
		if !found {
			return all
		}
		content = strings.ReplaceAll(content+"\r\n", "\r\n.", "\r\n")
		all = append(all, strings.TrimPrefix(content, "\r\n"))
		rest = "\r\n" + tail
	}
}

// pieces returns what each read from Postfix brought.
func (r *recorder) pieces() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, k := range r.talks {
		k.mu.Lock()
		all = append(all, k.pieces...)
		k.mu.Unlock()
	}
	return all
}
