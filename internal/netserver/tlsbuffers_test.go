package netserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// TestReadBuffersAreKnown fails with a Go whose crypto/tls has changed: then look at it again, because connections take
// 6 KiB more until that is done.
func TestReadBuffersAreKnown(t *testing.T) {
	if !readBuffers.known {
		t.Error("the fields rawInput, hand and input of tls.Conn are not what they were: see tlsbuffers.go")
	}
	other := reflect.StructOf([]reflect.StructField{
		{Name: "RawInput", Type: reflect.TypeFor[bytes.Buffer]()}, {Name: "Hand", Type: reflect.TypeFor[[]byte]()},
	})
	if findReadBuffers(other).known || findReadBuffers(reflect.TypeFor[net.TCPAddr]()).known {
		t.Error("other fields are taken for them")
	}
}

// choppy is a connection whose octets the test lets through one by one.
type choppy struct {
	net.Conn
	chunk func() int
}

func (c choppy) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m := min(c.chunk(), len(p)-n)
		if _, err = c.Conn.Write(p[n : n+m]); err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// tlsPair gives both ends of a TLS connection; the client's writes are cut up.
func tlsPair(t *testing.T, chunk func() int) (server, client *tls.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	out, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	pair, _, err := SelfSigned(t.TempDir(), []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	server = tls.Server(in, &tls.Config{Certificates: []tls.Certificate{certificate}})
	client = tls.Client(choppy{out, chunk}, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// bufferRoom is how much memory the buffers of a connection hold.
func bufferRoom(c *tls.Conn) (n int) {
	for _, offset := range []uintptr{readBuffers.rawInput, readBuffers.hand} {
		n += (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset)).Cap()
	}
	return n
}

// TestTrim takes the buffers away between any two reads, some of which end in the middle of a record because their time was
// over, and looks that every octet comes, in order, and that the memory is really given back.
func TestTrim(t *testing.T) {
	if !readBuffers.known {
		t.Skip("buffers are not known")
	}
	random := rand.New(rand.NewPCG(1, 2))
	server, client := tlsPair(t, func() int { return 1 + random.IntN(4000) })
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i>>8 ^ i)
	}
	go func() {
		sizes := rand.New(rand.NewPCG(3, 4))
		for rest := want; len(rest) > 0; {
			n := min(1+sizes.IntN(40_000), len(rest))
			if _, err := client.Write(rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
	}()
	waits := rand.New(rand.NewPCG(5, 6))
	var got []byte
	buf := make([]byte, 20_000)
	inTheMiddle, peak := 0, bufferRoom(server)
	if peak <= 2*trimmedBuffer {
		t.Errorf("a handshake leaves only %d octets: is there anything to give back?", peak)
	}
	for len(got) < len(want) {
		readBuffers.trim(server)
		by := time.Now().Add(time.Minute)
		if waits.IntN(2) == 0 {
			by = time.Now().Add(time.Duration(waits.IntN(50)) * time.Microsecond)
		}
		if err := server.SetReadDeadline(by); err != nil {
			t.Fatal(err)
		}
		n, err := server.Read(buf[:1+waits.IntN(len(buf))])
		got = append(got, buf[:n]...)
		peak = max(peak, bufferRoom(server))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(server), readBuffers.rawInput)).Len() > 0 {
				inTheMiddle++
			}
		case err != nil:
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("what came is not what was sent")
	}
	t.Logf("%d reads ended in the middle of a record", inTheMiddle)
	readBuffers.trim(server)
	if now := bufferRoom(server); now > 2*trimmedBuffer || peak < 16<<10 {
		t.Errorf("the buffers hold %d octets, and held %d", now, peak)
	}

	// What was read in part is not touched: the rest of a record is still there.
	go func() { client.Write([]byte("abcdef")) }()
	if err := server.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, buf[:3]); err != nil || string(buf[:3]) != "abc" {
		t.Fatalf("%q, %v", buf[:3], err)
	}
	readBuffers.trim(server)
	if _, err := io.ReadFull(server, buf[:3]); err != nil || string(buf[:3]) != "def" {
		t.Fatalf("%q, %v", buf[:3], err)
	}
}

// TestTrimWhileOthersWrite writes from another goroutine all the while, which is how news is told.
func TestTrimWhileOthersWrite(t *testing.T) {
	server, client := tlsPair(t, func() int { return 1 << 20 })
	const rounds = 200
	go func() {
		for range rounds {
			server.Write([]byte("news"))
		}
	}()
	go func() {
		for range rounds {
			client.Write([]byte("NOOP"))
		}
	}()
	told := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, client, rounds*4)
		told <- err
	}()
	buf := make([]byte, 4)
	for range rounds {
		readBuffers.trim(server)
		if _, err := io.ReadFull(server, buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-told; err != nil {
		t.Error(err)
	}
}
