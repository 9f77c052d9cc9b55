package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"postern/internal/mail"
)

const fewIterations = leastIterations

func withScram(c *Config) {
	c.Iterations, c.ScramReady, c.SaltKey = fewIterations, func() bool { return true }, []byte("a key for salts")
}

// scramFixture has accounts with keys.
func scramFixture(t testing.TB, change func(*Config)) *fixture {
	f := newFixture(t, func(c *Config) {
		withScram(c)
		if change != nil {
			change(c)
		}
	})
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	for _, name := range []string{"ada@example.org", "off@example.org"} {
		e := f.dir.entries[name]
		record, err := SetPassword(e.Record, "correct horse", cheap, fewIterations)
		if err != nil {
			t.Fatal(err)
		}
		e.Record = record
		f.dir.entries[name] = e
	}
	return f
}

// tlsPeer is somebody on a TLS connection, and what the client's end of it exports.
var tlsPeer = sync.OnceValues(func() (Peer, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		panic(err)
	}
	a, b := net.Pipe()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}, SessionTicketsDisabled: true})
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		panic(err)
	}
	if err := <-done; err != nil {
		panic(err)
	}
	state, mine := server.ConnectionState(), client.ConnectionState()
	data, err := mine.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		panic(err)
	}
	return Peer{Session: "S2", Remote: peer.Remote, TLS: &state}, data
})

// converse runs an exchange with a client's conversation, whose messages change may
// spoil: 0 is the first, 1 the final one.
func converse(t *testing.T, f *fixture, mechanism string, from Peer, conv *scram.ClientConversation, change func(step int, message string) string) (*Identity, error) {
	t.Helper()
	m, err := f.Start(mechanism, from)
	if err != nil {
		return nil, err
	}
	if challenge, id, err := m.Next(t.Context(), nil); err != nil || id != nil || challenge == nil || len(challenge) > 0 {
		t.Fatalf("before the first message: %q, %v, %v", challenge, id, err)
	}
	server := ""
	for step := 0; ; step++ {
		message, err := conv.Step(server)
		if err != nil {
			t.Fatalf("the client: %v", err)
		}
		if change != nil {
			message = change(step, message)
		}
		challenge, id, err := m.Next(t.Context(), []byte(message))
		if err != nil || id != nil {
			return id, err
		}
		server = string(challenge)
		if step == 1 {
			if _, err := conv.Step(server); err != nil || !conv.Valid() {
				t.Errorf("the client does not believe the server: %v", err)
			}
			_, id, err := m.Next(t.Context(), []byte{})
			return id, err
		}
	}
}

func scramClient(t testing.TB, user, password, authzid string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClientUnprepped(user, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScram(t *testing.T) {
	f := scramFixture(t, nil)
	secure, binding := tlsPeer()
	exporter := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: binding}
	wrong := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: bytes.Repeat([]byte{7}, 32)}
	unique := scram.ChannelBinding{Type: scram.ChannelBindingTLSUnique, Data: bytes.Repeat([]byte{7}, 32)}
	masked := secure
	masked.NoBinding = true
	replace := func(step int, old, new string) func(int, string) string {
		return func(s int, m string) string {
			if s != step {
				return m
			}
			if !strings.Contains(m, old) {
				t.Errorf("%q is not in %q", old, m)
			}
			return strings.Replace(m, old, new, 1)
		}
	}
	for _, test := range []struct {
		name, mechanism         string
		from                    Peer
		user, password, authzid string
		binding                 *scram.ChannelBinding
		change                  func(int, string) string
		kind                    mail.Kind // 0: signed in
	}{
		{name: "right", mechanism: mechScram, from: peer, user: "ada@example.org", password: "correct horse"},
		{name: "right, in other letters", mechanism: mechScram, from: peer, user: "ADA", password: "correct horse"},
		{name: "right, over TLS", mechanism: mechScram, from: secure, user: "ada", password: "correct horse"},
		{name: "bound", mechanism: mechScramPlus, from: secure, user: "ada", password: "correct horse", binding: &exporter},
		{name: "as herself", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", authzid: "ada@example.org"},
		{name: "as somebody else", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", authzid: "off@example.org", kind: mail.NotAuthorized},
		{name: "wrong password", mechanism: mechScram, from: peer, user: "ada", password: "wrong horse", kind: mail.AuthFailed},
		{name: "nobody", mechanism: mechScram, from: peer, user: "eve", password: "correct horse", kind: mail.AuthFailed},
		{name: "disabled", mechanism: mechScram, from: peer, user: "off", password: "correct horse", kind: mail.AuthFailed},
		{name: "without keys", mechanism: mechScram, from: peer, user: "none", password: "", kind: mail.AuthFailed},
		{name: "bound to another connection", mechanism: mechScramPlus, from: secure, user: "ada", password: "correct horse", binding: &wrong, kind: mail.AuthFailed},
		{name: "bound in the way of TLS 1.2", mechanism: mechScramPlus, from: secure, user: "ada", password: "correct horse", binding: &unique, kind: mail.AuthFailed},
		{name: "bound, but not by the name", mechanism: mechScram, from: secure, user: "ada", password: "correct horse", binding: &exporter, kind: mail.Invalid},
		{name: "by the name, but not bound", mechanism: mechScramPlus, from: secure, user: "ada", password: "correct horse", kind: mail.Invalid},
		{name: "nothing to bind to", mechanism: mechScramPlus, from: peer, user: "ada", password: "correct horse", kind: mail.Cannot},
		{name: "told that there is no binding", mechanism: mechScram, from: secure, user: "ada", password: "correct horse", change: replace(0, "n,,", "y,,"), kind: mail.AuthFailed},
		{name: "header changed afterwards", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: replace(1, "c=biws", "c=eSws"), kind: mail.AuthFailed},
		{name: "base64 with stray bits", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", authzid: "ada", change: replace(1, "YSw=", "YSx="), kind: mail.Invalid},
		{name: "base64 with a line break", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: replace(1, "c=bi", "c=bi\r\n"), kind: mail.Invalid},
		{name: "base64 without padding", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: func(s int, m string) string {
			if s == 1 {
				m = strings.TrimRight(m, "=")
			}
			return m
		}, kind: mail.Invalid},
		{name: "c twice", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: replace(1, "c=biws,", "c=biws,c=biws,"), kind: mail.Invalid},
		{name: "another order", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: func(s int, m string) string {
			if part := strings.Split(m, ","); s == 1 {
				m = part[1] + "," + part[0] + "," + part[2]
			}
			return m
		}, kind: mail.Invalid},
		{name: "another nonce", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: replace(1, ",r=", ",r=x"), kind: mail.AuthFailed},
		{name: "a mandatory extension", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: replace(0, "n,,", "n,,m=x,"), kind: mail.Invalid},
		{name: "an extension", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: func(s int, m string) string {
			if s == 0 {
				m += ",x=y"
			}
			return m
		}, kind: mail.Invalid},
		{name: "a short proof", mechanism: mechScram, from: peer, user: "ada", password: "correct horse", change: func(s int, m string) string {
			if s == 1 {
				m = m[:strings.LastIndex(m, "p=")] + "p=" + base64.StdEncoding.EncodeToString(make([]byte, 31))
			}
			return m
		}, kind: mail.AuthFailed},
		{name: "a control character", mechanism: mechScram, from: peer, user: "ada\x01", password: "correct horse", kind: mail.Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := scramClient(t, test.user, test.password, test.authzid)
			conv := c.NewConversation()
			if test.binding != nil {
				conv = c.NewConversationWithChannelBinding(*test.binding)
			}
			id, err := converse(t, f, test.mechanism, test.from, conv, test.change)
			switch {
			case test.kind != 0 && (err == nil || mail.KindOf(err) != test.kind):
				t.Errorf("%v, %v; want %v", id, err, test.kind)
			case test.kind == 0 && (err != nil || id.Name != "ada@example.org"):
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	// Where the binding is hidden from a client, it rightly says that it was not offered.
	c := scramClient(t, "ada", "correct horse", "")
	if _, err := converse(t, f, mechScram, masked, c.NewConversation(), replace(0, "n,,", "y,,")); mail.KindOf(err) != mail.AuthFailed {
		// The client hashed "n,,": what it proves is something else than what it says.
		t.Errorf("a header changed on the way: %v", err)
	}
}

// TestScramOfNobody: a user who does not exist looks like one who does, the same
// each time and after a restart, and another looks different (number 48).
func TestScramOfNobody(t *testing.T) {
	first := func(f *fixture, user string) (salt, iterations string) {
		m, err := f.Start(mechScram, peer)
		if err != nil {
			t.Fatal(err)
		}
		challenge, _, err := m.Next(t.Context(), []byte("n,,n="+user+",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		part := strings.Split(string(challenge), ",")
		if len(part) != 3 || !strings.HasPrefix(part[0], "r=abc") || len(part[0]) < 20 {
			t.Fatalf("%q", challenge)
		}
		return part[1], part[2]
	}
	f, again := scramFixture(t, nil), scramFixture(t, nil)
	eve, iterations := first(f, "eve@example.org")
	for _, g := range []*fixture{f, again} {
		if s, i := first(g, "EVE"); s != eve || i != iterations {
			t.Errorf("eve: %s %s, then %s %s", eve, iterations, s, i)
		}
	}
	if s, _ := first(f, "mallory@example.org"); s == eve {
		t.Error("two of nobody have one salt")
	}
	ada, i := first(f, "ada")
	if i != iterations || len(ada) != len(eve) {
		t.Errorf("ada: %s %s, eve: %s %s", ada, i, eve, iterations)
	}
}

// TestScramKeysGoWithThePassword: keys of a password that was changed by a program
// which knows nothing of them are none.
func TestScramKeysGoWithThePassword(t *testing.T) {
	f := scramFixture(t, nil)
	e := f.dir.entries["ada@example.org"]
	if !HasKeys(e.Record) {
		t.Fatal("no keys")
	}
	record, err := SetPassword(e.Record, "another horse", cheap, 0)
	if err != nil {
		t.Fatal(err)
	}
	if HasKeys(record) {
		t.Error("the keys of the old password count for the new one")
	}
	e.Record, e.Version = record, e.Version+1
	f.dir.entries["ada@example.org"] = e
	for _, password := range []string{"correct horse", "another horse"} {
		if _, err := converse(t, f, mechScram, peer, scramClient(t, "ada", password, "").NewConversation(), nil); mail.KindOf(err) != mail.AuthFailed {
			t.Errorf("%s: %v", password, err)
		}
	}
	// Who signs in with the password gets keys.
	if _, err := f.Login(t.Context(), peer, "ada", "another horse"); err != nil {
		t.Fatal(err)
	}
	if _, err := converse(t, f, mechScram, peer, scramClient(t, "ada", "another horse", "").NewConversation(), nil); err != nil {
		t.Error(err)
	}
}

// TestScramIsGuarded: what the guard refuses fails, right or wrong, and it hears how
// others ended.
func TestScramIsGuarded(t *testing.T) {
	for _, test := range []struct {
		password string
		ruling   Ruling
		ok       bool
		told     []Outcome
	}{
		{"correct horse", Ruling{Check: true}, true, []Outcome{CheckedRight}},
		{"wrong horse", Ruling{Check: true}, false, []Outcome{CheckedWrong}},
		{"correct horse", Ruling{Refuse: true}, false, nil},
		{"correct horse", Ruling{Check: true, Refuse: true}, false, []Outcome{CheckedRight}},
	} {
		g := &strict{ruling: func(*Question) Ruling { return test.ruling }}
		f := scramFixture(t, func(c *Config) { c.Guard = g })
		id, err := converse(t, f, mechScram, peer, scramClient(t, "ada", test.password, "").NewConversation(), nil)
		if test.ok != (err == nil && id != nil) || err != nil && err.Error() != failed().Error() {
			t.Errorf("%+v: %v, %v", test, id, err)
		}
		if len(g.settled) != len(test.told) || len(test.told) > 0 && g.settled[0] != test.told[0] {
			t.Errorf("%+v: it was told %v", test, g.settled)
		}
		if len(g.asked) != 1 || g.asked[0].Password != "" || g.asked[0].Account == 0 {
			t.Errorf("it was asked %+v", g.asked)
		}
	}
}

// TestScramIsAnnounced where all have keys, and bound where there is TLS.
func TestScramIsAnnounced(t *testing.T) {
	secure, _ := tlsPeer()
	masked := secure
	masked.NoBinding = true
	ready := false
	f := newFixture(t, func(c *Config) { withScram(c); c.ScramReady = func() bool { return ready } })
	for _, test := range []struct {
		ready bool
		peer  Peer
		want  string
	}{
		{false, secure, "PLAIN LOGIN"},
		{true, secure, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"},
		{true, masked, "SCRAM-SHA-256 PLAIN LOGIN"},
		{true, peer, "SCRAM-SHA-256 PLAIN LOGIN"},
	} {
		ready = test.ready
		if got := strings.Join(f.Mechanisms(test.peer), " "); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

// FuzzScram gives the server any two messages, the second also in place of a proof
// that is otherwise right: nobody gets in.
func FuzzScram(f *testing.F) {
	for _, seed := range [][2]string{
		{"n,,n=ada,r=abc", "c=biws,r=abc,p=AAAA"}, {"y,,n=ada,r=abc", ""}, {"p=tls-exporter,,n=ada,r=abc", "c=,r=,p="},
		{"n,a=ada,n=ada,r=abc", "c=biws"}, {"n,,m=x,n=ada,r=abc", "p=,r=,c="}, {",,,", ",,,"}, {"n,,n==2C,r=\xff", "c=\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	x := scramFixture(f, nil)
	f.Fuzz(func(t *testing.T, first, final string) {
		m, err := x.Start(mechScram, peer)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{first, final, ""} {
			_, id, err := m.Next(context.Background(), []byte(message))
			if id != nil {
				t.Fatalf("%q, %q signed in", first, final)
			}
			if err != nil {
				break
			}
		}
	})
}
