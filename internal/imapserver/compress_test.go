package imapserver

import (
	"bytes"
	"compress/flate"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"postern/internal/deflate"
	"postern/internal/testenv"
)

// zlibClient speaks through zlib, whose flushes a client may choose from (RFC 4978
// demands none in particular), and waits for each answer before it says more.
const zlibClient = `
import socket, ssl, sys, zlib
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
for flush in (zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH):
  for level in (0, 1, 6, 9):
    s = ctx.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))); s.settimeout(20)
    z, d, kept = None, None, b""
    def line():
        global kept
        while b"\r\n" not in kept:
            got = s.recv(4096)
            assert got, "closed"
            kept += d.decompress(got) if d else got
        one, kept = kept.split(b"\r\n", 1)
        return one
    def say(text):
        s.sendall((z.compress(text) + z.flush(flush)) if z else text)
    def ok(text):
        say(text + b"\r\n")
        tag = text.split()[0]
        while True:
            l = line()
            if l.startswith(tag + b" "):
                assert l.startswith(tag + b" OK"), (flush, level, text, l)
                return
    line()
    ok(b"a LOGIN ada@example.org secret")
    ok(b"b COMPRESS DEFLATE")
    z = zlib.compressobj(level, zlib.DEFLATED, -15); d = zlib.decompressobj(-15)
    for i in range(30):
        ok(b"c%d NOOP" % i)
    ok(b"d SELECT INBOX")
    for i in range(3):
        say(b"e%d APPEND INBOX {30000}\r\n" % i); assert line().startswith(b"+"), level
        say(b"Subject: x\r\n\r\n" + bytes(range(1, 251)) * 119 + b"x" * 236)
        say(b"\r\n")
        while not line().startswith(b"e%d OK" % i): pass
    ok(b"f FETCH 1:* BODY.PEEK[]")
    say(b"g IDLE\r\n"); assert line().startswith(b"+")
    say(b"DONE\r\n"); assert line().startswith(b"g OK")
    say(b"h NOOP\r\ni NOOP\r\n")
    while not line().startswith(b"i OK"): pass
    # The layer ends behind UNAUTHENTICATE, in both directions, and can begin anew.
    for again in (False, True):
        if again:
            ok(b"l COMPRESS DEFLATE"); z = zlib.compressobj(level, zlib.DEFLATED, -15); d = zlib.decompressobj(-15)
        last = z.compress(b"m UNAUTHENTICATE\r\n") + z.flush(zlib.Z_FINISH if again else flush)
        s.sendall(last)
        assert line().startswith(b"m OK")
        z = d = None
        ok(b"n NOOP"); ok(b"o LOGIN ada@example.org secret")
    ok(b"p COMPRESS DEFLATE"); z = zlib.compressobj(level, zlib.DEFLATED, -15); d = zlib.decompressobj(-15)
    if flush != zlib.Z_PARTIAL_FLUSH: # which has no end that could be told from what follows
        s.sendall(z.compress(b"q UNAUTHENTICATE\r\n") + z.flush(flush) + b"r LOGIN bob@example.org secret\r\n")
        assert line().startswith(b"q OK")
        # What was decoded together with the last of the layer is plain.
        kept = d.unused_data + kept if d.eof else kept
        z = d = None
        while not line().startswith(b"r OK"): pass
        ok(b"s LOGOUT")
    s.close()
print("done")
`

func TestCompressZlib(t *testing.T) {
	python := testenv.Need(t, "python3")
	w := newWorld(t, nil)
	_, port, _ := strings.Cut(w.net.Addrs("tls")[0].String(), ":")
	out, err := exec.CommandContext(t.Context(), python, "-c", zlibClient, port).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "done" {
		t.Fatalf("%v\n%s", err, out)
	}
}

// compressed makes a client speak through the layer from now on, and gives what it
// sends compressed octets with.
func (c *client) compressed() {
	c.t.Helper()
	c.ok("COMPRESS DEFLATE")
	if c.r.Buffered() > 0 {
		c.t.Fatal("something follows the OK")
	}
	c.r.Reset(flate.NewReader(c.conn))
}

// TestCompressWoken wakes an idling session whose client has sent a part of
// something: the deadline that wakes it must not break the stream.
func TestCompressWoken(t *testing.T) {
	w := newWorld(t, nil)
	c, other := w.login(), w.login()
	c.fill(1)
	c.ok("SELECT INBOX", anything)
	other.ok("SELECT INBOX", anything)
	c.compressed()
	raw := c.conn
	say := func(text string) []byte { return deflate.Append(nil, []byte(text)) }
	send := func(octets []byte) {
		t.Helper()
		if _, err := raw.Write(octets); err != nil {
			t.Fatal(err)
		}
	}
	send(say("i IDLE\r\n"))
	c.expect("+...")
	done := say("DONE\r\n")
	for i, octet := range done {
		// Before the first octet and behind it: it is the three bits a block begins
		// with and five of the eight of "D". Once a command has begun to come in
		// nothing is told.
		if i < 2 {
			flag := "x" + strconv.Itoa(i)
			other.ok("STORE 1 FLAGS ("+flag+")", anything)
			for !strings.Contains(c.read(), flag) { // FLAGS comes first
			}
			if got := c.read(); !strings.Contains(got, flag) {
				t.Errorf("%q", got)
			}
		}
		send([]byte{octet})
	}
	for !strings.HasPrefix(c.read(), "i OK") {
	}
	send(say("j NOOP\r\n"))
	c.expect("j OK...")
}

// TestCompressDamaged ends a session whose client sends what cannot be decoded,
// and one whose client sends none at all.
func TestCompressDamaged(t *testing.T) {
	w := newWorld(t, nil)
	for _, text := range []string{"\xff\xff\xff", "a NOOP\r\nb NOOP\r\n", strings.Repeat("x", 10_000)} {
		c := w.login()
		c.compressed()
		if _, err := c.conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		c.expect("* BYE what you compress cannot be decoded...")
	}
}

// TestCompressBombs sends little that becomes much: the limits are those of what
// it becomes.
func TestCompressBombs(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Message = 1 << 20 })
	for text, want := range map[string]string{
		"a APPEND INBOX {2000000+}\r\n" + strings.Repeat("\x01", 2_000_000) + "\r\nb NOOP\r\n": "a NO [TOOBIG]",
		"a FETCH " + strings.Repeat("1,", 10<<20) + "1 FLAGS\r\n":                              "* BYE [TOOBIG]",
	} {
		c := w.login()
		c.ok("SELECT INBOX", anything)
		c.compressed()
		bomb := deflate.Append(nil, []byte(text))
		if len(bomb)*50 > len(text) {
			t.Fatalf("%d octets for %d are no bomb", len(bomb), len(text))
		}
		go c.conn.Write(bomb) // the server may not read all of it
		c.expect(want + "...")
		if strings.HasPrefix(want, "a") {
			c.expect("b OK...")
		}
		c.conn.Close()
	}
}

// TestCompressCut gives the session its input octet by octet, and in all pieces at
// once: the layer begins and ends where it should.
func TestCompressCut(t *testing.T) {
	w := newServer(t, nil)
	defer w.closeStore(t.Context())
	text := compressedStage + string(deflate.Append(nil, []byte("s NOOP\r\nt UNAUTHENTICATE\r\n"))) +
		"u LOGIN bob@example.org secret\r\nv LOGOUT\r\n"
	got := w.hold(text, 1)
	at := strings.Index(got, "r OK DEFLATE") + len("r OK DEFLATE is active from now on\r\n")
	var in deflate.Inflater
	plain, packed := make([]byte, 4096), []byte(got[at:])
	var said string
	for !strings.Contains(said, "signed out") || !in.Flushed() {
		n, read, err := in.Inflate(plain, packed)
		if err != nil {
			t.Fatal(said, err)
		}
		said, packed = said+string(plain[:n]), packed[read:]
	}
	said += string(in.Rest()) + string(packed)
	for _, want := range []string{"s OK", "t OK [CAPABILITY IMAP4rev1", "u OK [CAPABILITY IMAP4rev1", "* BYE", "v OK"} {
		_, rest, ok := strings.Cut(said, want)
		if !ok {
			t.Fatalf("no %q in %q", want, said)
		}
		said = rest
	}
}

// TestCompressMemory says what a session that waits holds for the layer: what its
// client said, and nothing to compress with.
func TestCompressMemory(t *testing.T) {
	layers := make([]compression, 200)
	commands := deflate.Append(nil, []byte("a SELECT INBOX\r\nb UID FETCH 1:* (FLAGS)\r\nc IDLE\r\n"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range layers {
		layers[i].conn = &pipe{in: bytes.NewReader(commands)}
		p := make([]byte, 4096)
		for {
			if _, err := layers[i].Read(p); err == io.EOF {
				break
			}
		}
		if _, err := layers[i].Write(p); err != nil {
			t.Fatal(err)
		}
		layers[i].conn = nil
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(len(layers)); each > 1024 {
		t.Errorf("%d octets each, beside the layer itself", each)
	}
	runtime.KeepAlive(layers)
}
