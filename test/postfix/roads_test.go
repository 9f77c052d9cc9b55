package postfix_test

import (
	"fmt"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/internal/testenv"
	"postern/test/peer"
)

// TestRecipients sends one message to many kinds of recipients. Each gets what is his, and the bounce is about the one
// who is not there.
func TestRecipients(t *testing.T) {
	h := bySocket(t, "")
	ann, bob := h.account("ann@example.org"), h.account("bob@example.org")
	jörg := h.account("jörg@example.org")
	h.postern.Command(t, "mailbox", "create", "ann@example.org", "Lists")
	h.postern.Command(t, "alias", "add", "both@example.org", "ann@example.org", "bob@example.org")
	h.postern.Command(t, "alias", "add", "@example.com", "bob@example.org")

	h.submit("bob@example.org", []string{
		"ann@example.org", "nobody@example.org", "ann+Lists@example.org", "ann+none@example.org", "both@example.org",
		"whoever@example.com",
	}, head+"to many\r\n")
	annTo, bobTo := recipients(ann), recipients(bob)
	h.until("every copy", func() bool { return len(annTo("INBOX")) >= 3 && len(bobTo("INBOX")) >= 3 })
	if got, want := annTo("INBOX"), []string{"ann+none@example.org", "ann@example.org", "both@example.org"}; !slices.Equal(got, want) {
		t.Errorf("Ann's INBOX has mail for %q, want %q", got, want)
	}
	if got, want := annTo("Lists"), []string{"ann+Lists@example.org"}; !slices.Equal(got, want) {
		t.Errorf("Ann's Lists has mail for %q, want %q", got, want)
	}
	// The bounce went to the sender, who is Bob.
	if got, want := bobTo("INBOX"), []string{"bob@example.org", "both@example.org", "whoever@example.com"}; !slices.Equal(got, want) {
		t.Errorf("Bob's INBOX has mail for %q, want %q", got, want)
	}
	for _, m := range bob("INBOX") {
		if !strings.HasPrefix(m.Body, "Return-Path: <>\r\n") {
			continue
		}
		if n := strings.Count(m.Body, "\r\nFinal-Recipient: "); n != 1 || !strings.Contains(m.Body, "\r\nFinal-Recipient: rfc822; nobody@example.org\r\n") {
			t.Errorf("the bounce speaks of %d recipients:\n%s", n, m.Body)
		}
		if !strings.Contains(m.Body, "\r\nStatus: 5.1.1\r\n") || !strings.Contains(m.Body, "550 5.1.1 <nobody@example.org> no such recipient here") {
			t.Errorf("the bounce says\n%s", m.Body)
		}
	}

	h.submit("grüße@example.net", []string{"jörg@example.org"}, strings.Replace(head, "Subject: x", "Subject: ö", 1)+"unicode\r\n", "SMTPUTF8")
	body := h.await(jörg, "INBOX", 1)[0].Body
	if !strings.HasPrefix(body, "Return-Path: <grüße@example.net>\r\nDelivered-To: jörg@example.org\r\n") ||
		!strings.Contains(body, "with UTF8LMTP id ") || !strings.HasSuffix(body, "Subject: ö\r\n\r\nunicode\r\n") {
		t.Errorf("got %q", body)
	}
	h.emptyQueue()
}

// recipients reads whom the messages of a mailbox were delivered to, sorted.
func recipients(read func(string) []peer.Message) func(mailbox string) []string {
	return func(mailbox string) []string {
		var all []string
		for _, m := range read(mailbox) {
			_, after, _ := strings.Cut(m.Body, "\r\nDelivered-To: ")
			address, _, _ := strings.Cut(after, "\r\n")
			all = append(all, address)
		}
		slices.Sort(all)
		return all
	}
}

// TestUnknownRecipientAtTheDoor has Postfix ask Postern before it takes mail in, as docs/postfix.md shows.
func TestUnknownRecipientAtTheDoor(t *testing.T) {
	h := bySocket(t, documented(t, "verify")+stranger)
	read := h.account("ann@example.org")
	if got := h.submit("f@example.net", []string{"nobody@example.org", "ann@example.org"}, head); !slices.Equal(got, []int{550, 250}) {
		t.Errorf("RCPT was answered %d, want 550 and 250", got)
	}
	h.await(read, "INBOX", 1) // and nothing was stored by asking
}

// stranger makes the test a client that may not send anywhere.
const stranger = "mynetworks = 192.0.2.1\naddress_verify_poll_delay = 1s\n"

// TestListOfRecipients makes the list of docs/postfix.md by the command there.
func TestListOfRecipients(t *testing.T) {
	const list = "/etc/postfix/postern-recipients"
	postfix := peer.NewPostfix(t)
	postern := peer.NewNode(t, filepath.Join(t.TempDir(), "data"), "")
	postern.Start(t)
	postern.AddAccount(t, "ann@example.org")
	postern.Command(t, "alias", "add", "alias@example.org", "ann@example.org")
	postern.Command(t, "alias", "add", "@example.com", "ann@example.org")

	text, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(), "docs", "postfix.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n    (postern account list;")
	command, _, found := strings.Cut("(postern account list;"+after, " > "+list)
	if !found {
		t.Fatal("docs/postfix.md has no command that makes " + list)
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+postern.Wrapper(t)+":"+os.Getenv("PATH"))
	made, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	inside := postfix.File(t, "postern-recipients", made)
	settings := strings.Replace(documented(t, "main.cf"), documentedTransport, "lmtp:inet:"+postern.LMTP, 1)
	postfix.Start(t, settings+strings.Replace(documented(t, "map"), list, inside, 1)+stranger+
		"smtpd_recipient_restrictions = reject_unauth_destination\n")
	h := &house{t, postern, postfix}
	got := h.submit("f@example.net", []string{
		"ann@example.org", "nobody@example.org", "alias@example.org", "any@example.com", "ann+detail@example.org", "x@elsewhere.example",
	}, head)
	if want := []int{250, 550, 250, 250, 250, 454}; !slices.Equal(got, want) {
		t.Errorf("RCPT was answered %d, want %d; the list is\n%s", got, want, made)
	}
	h.emptyQueue()
}

// TestPosternIsDown: mail waits in Postfix and is delivered once.
func TestPosternIsDown(t *testing.T) {
	h := bySocket(t, "")
	read := h.account("ann@example.org")
	h.postern.Stop(t)
	for i := range 3 {
		h.submit("f@example.net", []string{"ann@example.org"}, fmt.Sprintf("%swaiting %d\r\n", head, i))
	}
	h.until("deferred mail", func() bool {
		waiting := 0
		for _, name := range h.postfix.Queued(t) {
			if strings.HasPrefix(name, "deferred/") {
				waiting++
			}
		}
		return waiting == 3
	})
	h.postern.Start(t)
	h.postfix.Flush(t)
	h.emptyQueue()
	h.await(read, "INBOX", 3)
}

// TestKilledUnderDeliveries kills Postern, kill -9, while many messages come in. None is lost. A message whose 250 was
// on its way when Postern died comes again: that is the one window in which a second copy can be, and it is no larger
// than the deliveries that were under way.
func TestKilledUnderDeliveries(t *testing.T) {
	const (
		senders, each = 6, 25
		atATime       = 8
		kills         = 3
	)
	h := bySocket(t, fmt.Sprintf("lmtp_destination_concurrency_limit = %d\nlmtp_initial_destination_concurrency = %[1]d\n", atATime))
	read := h.account("ann@example.org")
	var sending sync.WaitGroup
	failed := make(chan error, senders)
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				if err := h.trySubmit(strings.Replace(head, "Subject: x", fmt.Sprintf("Subject: %d/%d", s, i), 1) + strings.Repeat("text\r\n", 200)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for k := range kills {
		// Some have come in since the last kill, and more are on their way.
		enough := (k + 1) * senders * each / (kills + 2)
		h.until(fmt.Sprintf("%d deliveries", enough), func() bool { return len(read("INBOX")) >= enough })
		h.postern.Kill(t)
		h.postern.Start(t)
		h.postfix.Flush(t)
	}
	sending.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	h.emptyQueue()
	copies := map[string]int{}
	for _, m := range read("INBOX") {
		_, after, _ := strings.Cut(m.Body, "\r\nSubject: ")
		subject, text, _ := strings.Cut(after, "\r\n\r\n")
		copies[subject]++
		if text != strings.Repeat("text\r\n", 200) {
			t.Errorf("%s is not whole: %d octets", subject, len(text))
		}
	}
	again, lost := 0, []string(nil)
	for s := range senders {
		for i := range each {
			subject := fmt.Sprintf("%d/%d", s, i)
			n := copies[subject]
			if n == 0 {
				lost = append(lost, subject)
			}
			again += max(0, n-1)
		}
	}
	if lost != nil {
		t.Errorf("lost: %q", lost)
	}
	t.Logf("%d messages, %d kills, %d second copies", senders*each, kills, again)
	if again > kills*atATime {
		t.Errorf("%d second copies; at most %d deliveries were under way at %d kills", again, kills*atATime, kills)
	}
	h.postern.Stop(t)
	h.postern.Command(t, "check", "--account=ann@example.org")
}

// trySubmit is submit for goroutines of their own.
func (h *house) trySubmit(content string) error {
	conn, err := textproto.Dial("tcp", h.postfix.SMTP)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, step := range []struct {
		say  string
		code int
	}{
		{"", 220}, {"EHLO client.example.net", 250}, {"MAIL FROM:<f@example.net>", 250}, {"RCPT TO:<ann@example.org>", 250},
		{"DATA", 354}, {content + ".", 250}, {"QUIT", 221},
	} {
		if step.say != "" {
			if err := conn.PrintfLine("%s", step.say); err != nil {
				return err
			}
		}
		if _, _, err := conn.ReadResponse(step.code); err != nil {
			return fmt.Errorf("%.40q: %w", step.say, err)
		}
	}
	return nil
}
