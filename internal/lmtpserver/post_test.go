package lmtpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/account"
	"postern/internal/auth"
	"postern/internal/delivery"
	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
)

// post is a server over the real delivery agent and a store in memory. Everything else of these tests uses a fake;
// here it is the promises that need both that are tested.
type post struct {
	t     *testing.T
	srv   *Server
	pool  *account.Pool
	ann   mail.AccountID
	store store.Store

	mu  sync.Mutex
	now time.Time // of the store and the agent; sockets go by the real one
}

func newPost(t *testing.T, limits Limits) *post {
	t.Helper()
	st := storetest.Memory()
	p := &post{t: t, store: st, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	st.SetNow(p.clock)
	p.pool = account.NewPool(st, account.Options{Now: p.clock, Every: -1})
	t.Cleanup(func() {
		ctx := context.Background()
		if err := p.pool.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := account.Check(ctx, st, func(p account.Problem) { t.Errorf("after the test: %v", p) }); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	ann, err := st.Directory().Create(t.Context(), store.Identity{Name: "ann@x.test"}, p.clock())
	if err != nil {
		t.Fatal(err)
	}
	p.ann = ann.ID
	if err := st.Directory().SetAlias(t.Context(), "@all.test", []mail.AccountID{ann.ID}); err != nil {
		t.Fatal(err)
	}
	agent := delivery.New(delivery.Options{
		Pool: p.pool, Directory: found{st.Directory()}, Notes: shelved{st.Shelf()}, Hostname: "mx.test",
		Rules: auth.Rules{Separator: '+'}, Now: p.clock,
	})
	p.srv = New(Options{Hostname: "mx.test", Deliverer: agent, Limits: limits})
	return p
}

func (p *post) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *post) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// found and shelved are what the roof makes of a store's directory and shelf.
type found struct{ store.Directory }

func (d found) Accounts(ctx context.Context, name string) ([]mail.AccountID, error) {
	t, err := d.Find(ctx, name)
	return t.Accounts, err
}

type shelved struct{ store.Shelf }

func (s shelved) Leave(ctx context.Context, name string, expires time.Time) error {
	_, err := s.Put(ctx, name, nil, store.AnyVersion, expires)
	return err
}

func (s shelved) Take(ctx context.Context, name string) (bool, error) {
	v, err := s.Get(ctx, name)
	if mail.KindOf(err) == mail.NotFound && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.Delete(ctx, name, v.Version)
	return err == nil, err
}

// call connects. over is closed when the server is done with the conversation.
func (p *post) call() (client *net.TCPConn, over <-chan struct{}) {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close()
		p.srv.Serve(context.Background(), conn, "s1", nil)
	}()
	p.t.Cleanup(func() {
		dialed.Close()
		<-done
	})
	return dialed.(*net.TCPConn), done
}

// inbox gives the messages in Ann's INBOX.
func (p *post) inbox() (all []string) {
	p.t.Helper()
	acct, err := p.pool.Open(p.t.Context(), p.ann)
	if err != nil {
		p.t.Fatal(err)
	}
	defer acct.Release()
	box, err := acct.Mailbox(mail.Inbox, mail.RightRead)
	if err != nil {
		p.t.Fatal(err)
	}
	sel, err := box.Select(p.t.Context(), false)
	if err != nil {
		p.t.Fatal(err)
	}
	defer sel.Close()
	rows, _ := sel.Rows(make([]account.Row, 0, 2000), sel.Start().UIDs)
	err = sel.Summaries(p.t.Context(), rows, func(_ int, s *account.Summary) error {
		body, err := sel.Body(p.t.Context(), s)
		if err != nil {
			return err
		}
		defer body.Close()
		text, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		all = append(all, string(text))
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// until waits for ann to have n messages.
func (p *post) until(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(p.inbox()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("there are %d messages, want %d", len(p.inbox()), n)
		}
	}
}

func (p *post) wantCount(what string, n int) {
	p.t.Helper()
	if got := len(p.inbox()); got != n {
		p.t.Errorf("%s: there are %d messages, want %d", what, got, n)
	}
}

// message is a whole conversation up to the final dot.
func message(text string) string {
	return "LHLO c\r\nMAIL FROM:<f@z.test>\r\nRCPT TO:<ann@x.test>\r\nDATA\r\n" + text + "\r\n.\r\n"
}

// break resets the connection: what the other side said and was not read is lost, as when the client's machine dies.
func breakOff(t *testing.T, c *net.TCPConn, over <-chan struct{}) {
	t.Helper()
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
	<-over
}

// deliver says it all in good order and gives the reply to the message.
func (p *post) deliver(text string) string {
	p.t.Helper()
	client, over := p.call()
	if _, err := io.WriteString(client, message(text)+"QUIT\r\n"); err != nil {
		p.t.Fatal(err)
	}
	said, err := io.ReadAll(client)
	if err != nil {
		p.t.Fatal(err)
	}
	client.Close()
	<-over
	lines := strings.Split(strings.TrimSpace(string(said)), "\r\n")
	return lines[len(lines)-2] // the last is QUIT's
}

const taken = "250 2.0.0 <ann@x.test> delivered"

// TestRepeatAfterABrokenConnection: where the connection broke between our reply and the client's next octet, the
// byte-equal repeat is answered 250 and not stored again.
func TestRepeatAfterABrokenConnection(t *testing.T) {
	for _, c := range []struct {
		name, behind string // what the client sends in one packet with the final dot
		unsure       bool
		then         func(t *testing.T, c *net.TCPConn, over <-chan struct{})
	}{
		{"reset", "", true, breakOff},
		{"reset behind QUIT", "QUIT\r\n", true, breakOff}, // Postfix does this
		{"reset behind another message's beginning", "MAIL FROM:<>\r\nRCPT TO:<ann@x.test>\r\n", true, breakOff},
		{"closed without QUIT", "", true, func(t *testing.T, c *net.TCPConn, over <-chan struct{}) {
			c.CloseWrite()
			io.Copy(io.Discard, c)
			<-over
		}},
		{"QUIT, and closed in good order", "QUIT\r\n", false, func(t *testing.T, c *net.TCPConn, over <-chan struct{}) {
			io.Copy(io.Discard, c)
			c.Close()
			<-over
		}},
		{"reset after the next command", "", false, func(t *testing.T, c *net.TCPConn, over <-chan struct{}) {
			for said := ""; !strings.Contains(said, taken); {
				b := make([]byte, 1000)
				n, err := c.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				said += string(b[:n])
			}
			io.WriteString(c, "NOOP\r\n")
			if _, err := c.Read(make([]byte, 100)); err != nil { // the answer, so it was read
				t.Fatal(err)
			}
			breakOff(t, c, over)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPost(t, Limits{})
			client, over := p.call()
			io.WriteString(client, message("Subject: a")+c.behind)
			p.until(1)
			c.then(t, client, over)
			p.wantCount("at first", 1)
			if got := p.deliver("Subject: b"); got != taken {
				t.Errorf("another message: %q", got)
			}
			p.wantCount("another message", 2)
			want := 3
			if c.unsure {
				want = 2
			}
			if got := p.deliver("Subject: a"); got != taken {
				t.Errorf("the repeat: %q", got)
			}
			p.wantCount("the repeat", want)
			if got := p.deliver("Subject: a"); got != taken { // a note is good for one repeat
				t.Errorf("the repeat of the repeat: %q", got)
			}
			p.wantCount("the repeat of the repeat", want+1)
		})
	}
}

// TestUnsureForADay: after 24 hours the repeat is a message like any other.
func TestUnsureForADay(t *testing.T) {
	for after, want := range map[time.Duration]int{24*time.Hour - time.Second: 1, 24 * time.Hour: 2} {
		p := newPost(t, Limits{})
		client, over := p.call()
		io.WriteString(client, message("Subject: a"))
		p.until(1)
		breakOff(t, client, over)
		p.pass(after)
		if got := p.deliver("Subject: a"); got != taken {
			t.Errorf("after %v: %q", after, got)
		}
		p.wantCount(fmt.Sprint("after ", after), want)
	}
}

// TestRepeatInOtherCompany: a client may hand the message over again for some of the recipients only.
func TestRepeatInOtherCompany(t *testing.T) {
	p := newPost(t, Limits{})
	client, over := p.call()
	io.WriteString(client, strings.Replace(message("Subject: a"), "DATA", "RCPT TO:<any@all.test>\r\nRCPT TO:<ann@x.test>\r\nDATA", 1))
	p.until(3)
	breakOff(t, client, over)
	again, _ := p.call()
	play(t, again, strings.Replace(hello, "SIZE 100", "SIZE 67108864", 1)+`
		C: MAIL FROM:<f@z.test>
		C: RCPT TO:<any@all.test>
		C: DATA
		S: 250 2.1.0 OK
		S: 250 2.1.5 OK
		S: 354 end with CRLF . CRLF
		C: Subject: a
		C: .
		S: 250 2.0.0 <any@all.test> delivered
	`)
	p.wantCount("one of three", 3)
}

// TestAddressesThatAreNone: an empty local part, and so many that a client would be taken for a stranger if they
// counted as bad commands.
func TestAddressesThatAreNone(t *testing.T) {
	p := newPost(t, Limits{Bad: 3, Message: 100})
	client, _ := p.call()
	play(t, client, hello+`
		C: MAIL FROM:<f@z.test>
		S: 250 2.1.0 OK
		C: RCPT TO:<""@x.test>
		S: 550 5.1.1 <""@x.test> no such recipient here
		C: RCPT TO:<@a.test,@b.test:ann@x.test>
		S: 250 2.1.5 OK
		C: RCPT TO:<""@all.test>
		S: 250 2.1.5 OK
		C: RCPT TO:<ä@x.test>
		S: 553 5.6.7 an address beyond ASCII needs SMTPUTF8
		C: RCPT TO:ann@x.test
		S: 501 5.1.3 an address stands in angle brackets
		C: RCPT TO:<>
		S: 501 5.1.3 a recipient has an address
		C: RCPT TO:<`+strings.Repeat("a", 260)+`@x.test>
		S: 501 5.1.3 an address has 254 octets at most and no control characters
		C: DATA
		S: 354 end with CRLF . CRLF
		C: .
		S: 250 2.0.0 <ann@x.test> delivered
		S: 250 2.0.0 <""@all.test> delivered
	`)
	p.wantCount("two of seven", 2)
}

// TestThousandRecipients: one reply for each, in order, and a temporary one for the recipient beyond the limit.
func TestThousandRecipients(t *testing.T) {
	p := newPost(t, Limits{Message: 100})
	client, _ := p.call()
	dialogue := hello + "C: MAIL FROM:<f@z.test>\nS: 250 2.1.0 OK\n"
	for i := range 1000 {
		dialogue += fmt.Sprintf("C: RCPT TO:<n%d@all.test>\nS: 250 2.1.5 OK\n", i)
	}
	dialogue += "C: RCPT TO:<ann@x.test>\nS: 452 4.5.3 too many recipients\nC: DATA\nS: 354 end with CRLF . CRLF\nC: x\nC: .\n"
	for i := range 1000 {
		dialogue += fmt.Sprintf("S: 250 2.0.0 <n%d@all.test> delivered\n", i)
	}
	play(t, client, dialogue)
	p.wantCount("after all", 1000)
}

// TestSizeLies: what counts is what comes, not what was announced.
func TestSizeLies(t *testing.T) {
	p := newPost(t, Limits{Message: 100})
	client, _ := p.call()
	play(t, client, hello+`
		C: MAIL FROM:<f@z.test> SIZE=1
		S: 250 2.1.0 OK
		C: RCPT TO:<ann@x.test>
		S: 250 2.1.5 OK
		C: DATA
		S: 354 end with CRLF . CRLF
		C: twenty octets at least
		C: .
		S: 250 2.0.0 <ann@x.test> delivered
		C: MAIL FROM:<f@z.test> SIZE=1
		S: 250 2.1.0 OK
		C: RCPT TO:<ann@x.test>
		S: 250 2.1.5 OK
		C: DATA
		S: 354 end with CRLF . CRLF
		C: `+strings.Repeat("x", 100)+`
		C: .
		S: 552 5.3.4 <ann@x.test> a message may have 100 octets at most
		C: MAIL FROM:<f@z.test> SIZE=18446744073709551615
		S: 501 5.5.4 SIZE wants a number of octets
		C: MAIL FROM:<f@z.test> SIZE=-1
		S: 501 5.5.4 SIZE wants a number of octets
	`)
	p.wantCount("after the lies", 1)
}

// TestByteByByte sends a conversation in as many packets as it has octets.
func TestByteByByte(t *testing.T) {
	p := newPost(t, Limits{})
	client, over := p.call()
	for _, b := range []byte(message("Subject: a\r\n\r\n..a\r.\n.\r\r\n\x00") + "QUIT\r\n") {
		if _, err := client.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	io.Copy(io.Discard, client)
	client.Close()
	<-over
	if got := p.inbox(); len(got) != 1 || !strings.HasSuffix(got[0], "+0000\r\nSubject: a\r\n\r\n.a\r.\n.\r\r\n\x00\r\n") {
		t.Errorf("got %q", got)
	}
}

// TestCutAtEveryByteOfAPost ends the connection after every octet: before the final dot nothing is stored, after it
// exactly one message is, and it stays one when the client tries again.
func TestCutAtEveryByteOfAPost(t *testing.T) {
	whole := message("Subject: a\r\n\r\n..a")
	p := newPost(t, Limits{})
	for n := range len(whole) + 1 {
		client, over := p.call()
		io.WriteString(client, whole[:n])
		client.CloseWrite()
		io.Copy(io.Discard, client)
		<-over
		want := 0
		if n == len(whole) {
			want = 1
		}
		p.wantCount(fmt.Sprint("cut at ", n), want)
	}
	if got := p.deliver("Subject: a\r\n\r\n..a"); got != taken {
		t.Errorf("the repeat: %q", got)
	}
	p.wantCount("the repeat", 1)
}

// TestBodyChunksWithoutRecipients: the last chunk gets a reply for each recipient, and there is none.
func TestBodyChunksWithoutRecipients(t *testing.T) {
	p := newPost(t, Limits{Message: 100})
	client, _ := p.call()
	play(t, client, hello+`
		C: MAIL FROM:<f@z.test>
		C: RCPT TO:<nobody@x.test>
		C: BDAT 5 LAST
		C: abc
		C: NOOP
		S: 250 2.1.0 OK
		S: 550 5.1.1 <nobody@x.test> no such recipient here
		S: 250 2.0.0 OK
		C: MAIL FROM:<f@z.test>
		S: 250 2.1.0 OK
	`)
}
