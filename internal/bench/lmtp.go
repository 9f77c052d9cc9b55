package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// lmtpClient is an LMTP connection (RFC 2033) of one goroutine.
type lmtpClient struct {
	conn    net.Conn
	release func() bool
	r       *bufio.Reader
	out     []byte
	piped   bool // PIPELINING (RFC 2920)
}

// dialLMTP connects to host:port or unix:path and says LHLO. The connection is closed when ctx ends.
func dialLMTP(ctx context.Context, address string) (*lmtpClient, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	d := net.Dialer{Timeout: time.Minute}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &lmtpClient{conn: conn, r: bufio.NewReader(conn)}
	c.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err = c.reply("220"); err == nil {
		err = c.send("LHLO bench.example.org\r\n")
	}
	if err == nil {
		var lines string
		lines, err = c.reply("250")
		c.piped = strings.Contains(strings.ToUpper(lines), "PIPELINING")
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *lmtpClient) close() error {
	c.release()
	return c.conn.Close()
}

func (c *lmtpClient) send(text string) error {
	c.out = append(c.out[:0], text...)
	return c.flush()
}

func (c *lmtpClient) flush() error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	return err
}

// reply reads one reply of one or more lines. Another code than the one wanted is a *refused.
func (c *lmtpClient) reply(code string) (string, error) {
	var lines strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("LMTP: %w", err)
		}
		lines.WriteString(line)
		if len(line) < 4 || lines.Len() > 64<<10 {
			return "", wrongf("LMTP reply %q", head([]byte(line)))
		}
		if line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, code) {
			return "", &refused{"LMTP", strings.TrimSpace(line)}
		}
		return lines.String(), nil
	}
}

// errHungUp is a connection that the server closed between two messages, as it may (RFC 5321 3.8): nothing is lost.
var errHungUp = errors.New("the server closed the connection between two messages")

// deliver hands one message to one recipient and waits for the outcome. Without PIPELINING it waits for every answer.
func (c *lmtpClient) deliver(recipient string, message []byte) error {
	steps := []struct{ line, code string }{
		{"MAIL FROM:<bench@bench.example.org>\r\n", "250"}, {"RCPT TO:<" + recipient + ">\r\n", "250"}, {"DATA\r\n", "354"}}
	if c.piped {
		if err := c.send(steps[0].line + steps[1].line + steps[2].line); err != nil {
			return err
		}
	}
	for i, s := range steps {
		if !c.piped {
			if err := c.send(s.line); err != nil {
				return err
			}
		}
		_, err := c.reply(s.code)
		if i == 0 && errors.Is(err, io.EOF) {
			return errHungUp
		}
		if err != nil {
			return err // the caller gives the connection up
		}
	}
	c.out = stuff(c.out[:0], message)
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.reply("250")
	return err
}

// stuff writes a message for DATA: a dot before lines that begin with one, and the end (RFC 5321 4.5.2).
func stuff(out, message []byte) []byte {
	for line := range bytes.Lines(message) {
		if line[0] == '.' {
			out = append(out, '.')
		}
		out = append(out, line...)
	}
	return append(out, ".\r\n"...)
}

// hungUpLimit is how often servers may hang up in one run.
const hungUpLimit = 1000

// deliveries is the profile of LMTP: every connection goes round all users.
func (r *runner) deliveries(ctx context.Context) error {
	n, users := r.cfg.Connections, len(r.cfg.Users)
	letters := r.pool()
	// Every account is opened once before, as those are that get mail.
	r.begin("lmtp: signing in", users)
	_, closeAll, err := r.connect(ctx, users, func(*client, int) error { return nil })
	if err != nil {
		return err
	}
	closeAll()
	conns := make([]*lmtpClient, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.close()
			}
		}
	}()
	done := make([][]int, n) // deliveries of each connection to each user
	for i := range conns {
		if conns[i], err = dialLMTP(ctx, r.cfg.LMTP); err != nil {
			return err
		}
		done[i] = make([]int, users)
	}
	row := Row{Profile: "lmtp", Operation: "delivery",
		Note: fmt.Sprintf("%d connections, %d users, %d octets on average", n, users, r.cfg.Size)}
	next := make([]int, n)
	var again atomic.Int64
	defer r.tidyInboxes(ctx)
	whole := ctx // longer than what load gives its workers
	err = r.load(ctx, row, n, func(_ context.Context, i int, t *tally) error {
		to := (i + next[i]) % users
		l := letters[(i*31+next[i])%len(letters)].raw
		next[i]++
		began := time.Now()
		err := conns[i].deliver(r.cfg.Users[to].Name, l)
		if errors.Is(err, errHungUp) && again.Add(1) <= hungUpLimit {
			_ = conns[i].close()
			if conns[i], err = dialLMTP(whole, r.cfg.LMTP); err == nil {
				err = conns[i].deliver(r.cfg.Users[to].Name, l)
			}
		}
		var no *refused
		if errors.As(err, &no) {
			return fmt.Errorf("delivery to %s: %w", r.cfg.Users[to].Name, err)
		}
		if err == nil {
			done[i][to]++
			t.octets += int64(len(l))
		}
		return t.count(began, err)
	})
	if err != nil {
		return err
	}
	if k := again.Load(); k > 0 {
		r.report.Rows[len(r.report.Rows)-1].Note += fmt.Sprintf("; the server hung up %d times", k)
	}
	return r.countDeliveries(ctx, done)
}

// countDeliveries looks whether every user has what was acknowledged.
func (r *runner) countDeliveries(ctx context.Context, done [][]int) error {
	r.begin("lmtp: counting what arrived", len(r.cfg.Users))
	last := &r.report.Rows[len(r.report.Rows)-1]
	for u := range r.cfg.Users {
		want := 0
		for i := range done {
			want += done[i][u]
		}
		found, err := r.inbox(ctx, u, false)
		if err != nil && !isWrong(err) {
			return err
		}
		if err == nil && found != want {
			err = wrongf("%s has %d messages, %d were acknowledged", r.cfg.Users[u].Name, found, want)
		}
		if err != nil {
			last.Wrong = append(last.Wrong, err.Error())
		}
		r.done.Add(1)
	}
	return nil
}

// inbox counts this run's messages in a user's INBOX, and expunges them if asked and the server can expunge some
// and not others (UIDPLUS, RFC 4315).
func (r *runner) inbox(ctx context.Context, user int, expunge bool) (int, error) {
	c, err := r.signIn(ctx, user)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if err := c.do("SELECT INBOX", nil); err != nil {
		return 0, err
	}
	uids, err := c.numbers("UID SEARCH HEADER X-Postern-Bench "+quote(r.corpus.run), "SEARCH")
	if err != nil || !expunge || len(uids) == 0 || !c.caps["UIDPLUS"] && !c.caps["IMAP4REV2"] {
		return len(uids), err
	}
	for len(uids) > 0 { // commands of a bounded length
		some := uids[:min(500, len(uids))]
		uids = uids[len(some):]
		set := strings.Trim(strings.ReplaceAll(fmt.Sprint(some), " ", ","), "[]")
		if err := c.do("UID STORE "+set+` +FLAGS.SILENT (\Deleted)`, nil); err != nil {
			return 0, err
		}
		if err := c.do("UID EXPUNGE "+set, nil); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// tidyInboxes removes what was delivered.
func (r *runner) tidyInboxes(ctx context.Context) {
	r.begin("lmtp: removing what was delivered", len(r.cfg.Users))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	for u := range r.cfg.Users {
		if _, err := r.inbox(ctx, u, true); err != nil && !isWrong(err) {
			return // the server is gone, and the run says why
		}
		r.done.Add(1)
	}
}
