package dialogue

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Target is the server a dialogue is played against.
type Target struct {
	Server    string // its name in dialogue files
	Plain     string // host:port without TLS from the first byte
	TLS       string // host:port with
	TLSConfig *tls.Config
	// NewAccount makes an account nobody used before.
	NewAccount func() (name, password string)
	// NewAdministrator makes one that may set the limits of all accounts (SETQUOTA). Nil: the server is not asked what that is
	// needed for.
	NewAdministrator func() (name, password string)
	// SetQuota gives an account limits by resource (RFC 9208 5). Nil: the server is not asked what a quota is needed for.
	SetQuota func(account string, limits map[string]uint64) error
	// Patience is how long one line may take to come; 20 seconds where it is 0. It is a bound on failure, not a
	// measure: a dialogue that goes well never waits for it.
	Patience time.Duration
	// PassOver are lines that this server may say at any time and no file need speak of; regular expressions. A line
	// that the file does expect is not passed over.
	PassOver []*regexp.Regexp
}

func (t Target) patience() time.Duration {
	if t.Patience == 0 {
		return 20 * time.Second
	}
	return t.Patience
}

// Play plays d against target. It returns nil when everything went as written, *Failure when it did not, *Unfit when
// the dialogue is not for this server.
func Play(ctx context.Context, d *Dialogue, target Target) error {
	if why, skip := d.Skips[target.Server]; skip {
		return &Unfit{target.Server, why}
	}
	p := &player{d: d, target: target, vars: variables{}, clients: map[string]*client{}, said: &transcript{}}
	defer p.hangUp()
	if err := p.prepare(ctx); err != nil {
		var unfit *Unfit
		if errors.As(err, &unfit) {
			return err
		}
		return p.failure(1, "before the first line: "+err.Error())
	}
	for i := range d.Steps {
		step := &d.Steps[i]
		if _, skip := step.Skips[target.Server]; skip {
			continue
		}
		if err := p.step(ctx, i, step); err != nil {
			return err
		}
	}
	return p.leave()
}

type player struct {
	d       *Dialogue
	target  Target
	vars    variables
	clients map[string]*client
	said    *transcript
	unsent  bytes.Buffer  // lines of one client that go out together
	mayCome []Expectation // optional lines right before "S closes"
}

func (p *player) failure(line int, text string) error {
	return &Failure{Name: p.d.Name, Line: line, Server: p.target.Server, Text: text, Transcript: p.said.String()}
}

// step does one step. Consecutive lines of one client go out in one write: they are a pipeline.
func (p *player) step(ctx context.Context, i int, step *Step) error {
	if step.Do == Connect {
		if err := p.connect(ctx, step.Client); err != nil {
			return p.failure(step.Line, err.Error())
		}
		return nil
	}
	c := p.clients[step.Client]
	if c == nil {
		return p.failure(step.Line, fmt.Sprintf("C%s is not connected", step.Client))
	}
	switch step.Do {
	case Send:
		octets := step.Send
		if !step.Raw {
			line, err := p.vars.put(string(octets))
			if err != nil {
				return p.failure(step.Line, err.Error())
			}
			octets = []byte(line)
		}
		p.unsent.Write(octets)
		if p.goesOn(i) {
			return nil
		}
		err := c.send(p.unsent.Bytes())
		p.unsent.Reset()
		if err != nil {
			return p.failure(step.Line, "sending: "+err.Error())
		}
	case StartTLS:
		if err := c.startTLS(ctx, p.target.TLSConfig); err != nil {
			return p.failure(step.Line, err.Error())
		}
	case StartDeflate:
		if err := c.startDeflate(); err != nil {
			return p.failure(step.Line, err.Error())
		}
	case EndDeflate:
		if err := c.endDeflate(); err != nil {
			return p.failure(step.Line, err.Error())
		}
	case Hangup:
		delete(p.clients, step.Client)
		if err := c.conn.Close(); err != nil {
			return p.failure(step.Line, "closing: "+err.Error())
		}
	case Closed:
		delete(p.clients, step.Client)
		defer c.conn.Close()
		line, err := c.line()
		for err == nil {
			at, ok, _, matchErr := p.find(p.mayCome, line)
			if matchErr != nil || !ok {
				break
			}
			p.mayCome = slices.Delete(p.mayCome, at, at+1)
			line, err = c.line()
		}
		if !isEnd(err) {
			return p.failure(step.Line, fmt.Sprintf("the server was to close the connection\n  got:  %s", orError(line, err)))
		}
	case Await:
		expect := step.Expect
		if other := step.Others[p.target.Server]; other != nil {
			expect = other.Expect
		}
		return p.await(c, expect)
	}
	return nil
}

// goesOn reports whether the next step that is taken is a line of the same client.
func (p *player) goesOn(i int) bool {
	for _, next := range p.d.Steps[i+1:] {
		if _, skip := next.Skips[p.target.Server]; skip {
			continue
		}
		return next.Do == Send && next.Client == p.d.Steps[i].Client
	}
	return false
}

// await reads the lines a run of expectations asks for.
func (p *player) await(c *client, run []Expectation) error {
	p.mayCome = nil
	for len(run) > 0 {
		// A group: unordered and optional lines, up to and including the ordered line that follows them.
		n := 0
		for n < len(run) && (run[n].Mode == Unordered || run[n].Mode == Optional) {
			n++
		}
		if n == 0 && run[0].Mode == Gone {
			if err := p.awaitGone(c, &run[0]); err != nil {
				return err
			}
			run = run[1:]
			continue
		}
		var last *Expectation
		if n < len(run) && run[n].Mode != Gone {
			last = &run[n]
		}
		if err := p.awaitGroup(c, slices.Clone(run[:n]), last); err != nil {
			return err
		}
		if last != nil {
			n++
		}
		run = run[n:]
	}
	return nil
}

// awaitGroup reads lines until every unordered one of group came, and then last, where there is one.
func (p *player) awaitGroup(c *client, group []Expectation, last *Expectation) error {
	for {
		missing := slices.IndexFunc(group, func(e Expectation) bool { return e.Mode == Unordered })
		if last == nil && missing < 0 {
			p.mayCome = group
			return nil
		}
		wanted := last
		if missing >= 0 {
			wanted = &group[missing]
		}
		line, err := c.line()
		if err != nil {
			return p.failure(wanted.Line, fmt.Sprintf("%s\n  want: %s", orError(line, err), wanted.Pattern))
		}
		at, ok, why, err := p.find(group, line)
		if err != nil {
			return err
		}
		if ok {
			group = slices.Delete(group, at, at+1)
			continue
		}
		if last != nil {
			isLast, reason, err := matchLine(*last, line, p.vars)
			if err != nil {
				return p.failure(last.Line, err.Error())
			}
			if isLast && missing < 0 {
				return nil
			}
			if isLast {
				why = "it came before the lines that must come first"
			} else if missing < 0 {
				why = reason
			}
		}
		if slices.ContainsFunc(p.target.PassOver, func(r *regexp.Regexp) bool { return r.MatchString(line) }) {
			continue
		}
		return p.failure(wanted.Line, explain(wanted, line, why))
	}
}

// find looks for the first expectation of a group that line fulfils.
func (p *player) find(group []Expectation, line string) (at int, ok bool, why string, err error) {
	for i, e := range group {
		matches, reason, err := matchLine(e, line, p.vars)
		if err != nil {
			return 0, false, "", p.failure(e.Line, err.Error())
		}
		if matches {
			return i, true, "", nil
		}
		if why == "" && e.Mode == Unordered {
			why = reason
		}
	}
	return 0, false, why, nil
}

// explain shows a line that was not expected beside the one that was.
func explain(wanted *Expectation, line, why string) string {
	text := fmt.Sprintf("the server said what the file does not expect\n  want %s %s\n  got     %s",
		wanted.Mode, indent(wanted.Pattern), indent(line))
	if why != "" {
		text += "\n  because " + indent(why)
	}
	return text
}

func indent(line string) string { return strings.ReplaceAll(line, "\r\n", "\n        | ") }

// leave ends every connection that is still open, and demands that the server has nothing more to say.
func (p *player) leave() error {
	end := p.d.Steps[len(p.d.Steps)-1].Line
	for _, name := range slices.Sorted(maps.Keys(p.clients)) {
		c := p.clients[name]
		if err := c.send([]byte("bye LOGOUT\r\n")); err != nil {
			return p.failure(end, "after the last line: "+err.Error())
		}
		for _, prefix := range []string{"* BYE", "bye OK"} {
			line, err := c.line()
			if err != nil || !strings.HasPrefix(line, prefix) {
				return p.failure(end, fmt.Sprintf("after the last line of C%s, to LOGOUT:\n  want: %s ...\n  got:  %s",
					name, prefix, orError(line, err)))
			}
		}
	}
	return nil
}

// hangUp closes what is left, after a failure or LOGOUT.
func (p *player) hangUp() {
	for _, c := range p.clients {
		c.conn.Close()
	}
}

// isEnd reports whether err is the orderly, or at least unmistakable, end of a connection by the server.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || (err != nil && strings.Contains(err.Error(), "connection reset"))
}

func orError(line string, err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the server closed the connection"
	case err != nil && line != "":
		return fmt.Sprintf("%q, then %v", line, err)
	case err != nil:
		return err.Error()
	}
	return line
}
