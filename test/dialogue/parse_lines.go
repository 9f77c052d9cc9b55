package dialogue

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// takeSend reads a line of a client.
func (p *parser) takeSend(client, mark, text string) error {
	switch mark {
	case "|":
		p.beginLiteral("C"+client+"|", text, func(octets []byte) error {
			p.add(Step{Client: client, Do: Send, Send: octets, Raw: true, Octets: true})
			return p.count(client, len(octets))
		})
		return nil
	case "=:":
		octets, err := strconv.Unquote(text)
		if err != nil {
			return p.errorf("C=: wants a Go string in quotes: %v", err)
		}
		p.add(Step{Client: client, Do: Send, Send: []byte(octets), Raw: true})
		return nil
	case ":":
	default:
		return p.errorf("a client has no C%s line", mark)
	}
	if strings.Contains(text, "{}") || strings.Contains(text, "{+}") {
		if at, open := p.counts[client]; open {
			return p.errorf("the literal of line %d has not come yet", p.d.Steps[at].Line)
		}
		if !strings.HasSuffix(text, "}") {
			return p.errorf("{} stands at the end of a line")
		}
		p.counts[client] = len(p.d.Steps)
	}
	if p.goesOn(client) {
		text = spaced(text)
	}
	p.add(Step{Client: client, Do: Send, Send: []byte(text + "\r\n")})
	return nil
}

// goesOn reports whether a client's next line is the rest of one after its literal.
func (p *parser) goesOn(client string) bool {
	for _, step := range slices.Backward(p.d.Steps) {
		if step.Client == client {
			return step.Do == Send && step.Octets
		}
	}
	return false
}

// spaced puts the space before what follows a literal: IMAP has either a space or a ")" there.
func spaced(text string) string {
	if text == "" || text[0] == ')' {
		return text
	}
	return " " + text
}

// count fills the size of a client's literal into the line that announced it with {} or {+}.
func (p *parser) count(client string, size int) error {
	at, open := p.counts[client]
	if !open {
		return nil // announced with a number, which goes out as it is
	}
	delete(p.counts, client)
	line := p.d.Steps[at].Send
	line = bytes.Replace(line, []byte("{}\r\n"), fmt.Appendf(nil, "{%d}\r\n", size), 1)
	line = bytes.Replace(line, []byte("{+}\r\n"), fmt.Appendf(nil, "{%d+}\r\n", size), 1)
	p.d.Steps[at].Send = line
	return nil
}

// serverLiteral is the end of a server's line that a literal follows.
var serverLiteral = regexp.MustCompile(`\{([0-9]*)\}$`)

// takeExpect reads a line of the server into list. prefix is what its literals' lines begin with, before the "S".
func (p *parser) takeExpect(list *[]Expectation, client, mark, text, prefix string) error {
	var mode Mode
	switch mark {
	case ":":
		mode = Exact
	case "*:":
		mode = Unordered
	case "?:":
		mode = Optional
	case "~:":
		mode = Regexp
		if _, err := regexp.Compile(text); err != nil {
			return p.errorf("%v", err)
		}
	case "-:":
		mode = Gone
		if _, err := numbers(text); err != nil {
			return p.errorf("%v", err)
		}
	default:
		return p.errorf("a server has no S%s line here", mark)
	}
	if p.more != nil {
		text = spaced(text)
	} else {
		*list = append(*list, Expectation{Line: p.line, Mode: mode})
		p.more = &(*list)[len(*list)-1]
	}
	line := p.more
	m := serverLiteral.FindStringSubmatch(text)
	if m == nil || mode == Regexp {
		line.Pattern += text
		p.more = nil
		if mode != Regexp && mode != Gone {
			return p.checkPattern(line)
		}
		return nil
	}
	line.Pattern += strings.TrimSuffix(text, m[0])
	p.literal = &literal{prefix: prefix + "S" + client + "|", finish: func(octets []byte) error {
		if octets == nil {
			return p.errorf("no literal follows, whose lines begin with %sS%s|", prefix, client)
		}
		if m[1] != "" && m[1] != strconv.Itoa(len(octets)) {
			return p.errorf("the literal is said to have %s octets and has %d", m[1], len(octets))
		}
		line.Pattern += fmt.Sprintf("{%d}\r\n%s", len(octets), octets)
		return nil
	}}
	return nil
}

// checkPattern finds mistakes in a pattern when the file is read, not when it is played.
func (p *parser) checkPattern(e *Expectation) error {
	if err := checkPattern(e.Pattern); err != nil {
		return &ParseError{Name: p.name, Line: e.Line, Text: err.Error()}
	}
	return nil
}

// takeOther reads "dovecot: why" and "dovecot skips: why".
func (p *parser) takeOther(server string, skips bool, reason string) error {
	if reason == "" {
		return p.errorf("say why %s differs", server)
	}
	if skips {
		if p.skipped == nil {
			p.skipped, p.blockBegun = map[string]string{}, false
		}
		if _, twice := p.skipped[server]; p.blockBegun || twice {
			return p.errorf("a block within a block")
		}
		p.skipped[server] = reason
		return nil
	}
	if len(p.d.Steps) == 0 || p.d.Steps[len(p.d.Steps)-1].Do != Await {
		return p.errorf("%s can only differ from S: lines, and there are none right above", server)
	}
	p.other = &Answer{Line: p.line, Reason: reason}
	p.d.Steps[len(p.d.Steps)-1].Others[server] = p.other
	return nil
}

// takeOtherLine reads "dovecot S: ...".
func (p *parser) takeOtherLine(server, line string) error {
	if p.other == nil || p.d.Steps[len(p.d.Steps)-1].Others[server] != p.other {
		return p.errorf("%q comes first, with the reason", server+": ")
	}
	m := lineForm.FindStringSubmatch(line)
	if m == nil {
		return p.errorf("this is no line of a dialogue: %q", line)
	}
	if m[2] != p.d.Steps[len(p.d.Steps)-1].Client {
		return p.errorf("the lines right above are S%s: lines", p.d.Steps[len(p.d.Steps)-1].Client)
	}
	return p.takeExpect(&p.other.Expect, m[2], m[3], m[4], server+" ")
}

// beginLiteral starts a literal with its first line.
func (p *parser) beginLiteral(prefix, first string, finish func([]byte) error) {
	p.literal = &literal{prefix: prefix, lines: []string{first}, finish: finish}
}

// endLiteral hands the lines of the literal on, joined by CRLF. No lines at all are nil.
func (p *parser) endLiteral() error {
	l := p.literal
	p.literal = nil
	if l.lines == nil {
		return l.finish(nil)
	}
	return l.finish([]byte(strings.Join(l.lines, "\r\n")))
}

// finish ends what is open at the end of the file and checks what only the whole shows.
func (p *parser) finish() error {
	if p.literal != nil {
		if err := p.endLiteral(); err != nil {
			return err
		}
	}
	if p.body != nil {
		p.endBody()
	}
	switch {
	case len(p.d.Steps) == 0:
		return p.errorf("nothing is said")
	case p.skipped != nil:
		return p.errorf("a skips: block has no end")
	case p.more != nil:
		return p.errorf("the server's last line stops at its literal")
	case len(p.counts) > 0:
		return p.errorf("a literal announced with {} never comes")
	}
	return errors.Join(p.checkAnswers(), p.checkGroups())
}

// checkGroups refuses optional lines at the end of a run, unless the server closes the connection after them: whether
// they come could not be known.
func (p *parser) checkGroups() error {
	for i, step := range p.d.Steps {
		if i+1 < len(p.d.Steps) && p.d.Steps[i+1].Do == Closed && p.d.Steps[i+1].Client == step.Client {
			continue
		}
		runs := [][]Expectation{step.Expect}
		for _, other := range step.Others {
			runs = append(runs, other.Expect)
		}
		for _, run := range runs {
			if n := len(run); n > 0 && run[n-1].Mode == Optional {
				return &ParseError{p.name, run[n-1].Line, "an S: line must follow an S?: line"}
			}
		}
	}
	return nil
}

// tagForm is the tag of a command line.
var tagForm = regexp.MustCompile(`^([A-Za-z0-9.]+) [A-Za-z]`)

// checkAnswers demands that every tagged command is answered in the file, so that no answer is forgotten and found
// only as a puzzling line at the next command.
func (p *parser) checkAnswers() error {
	for i, step := range p.d.Steps {
		m := tagForm.FindSubmatch(step.Send)
		if step.Do != Send || step.Raw || m == nil {
			continue
		}
		answered := slices.ContainsFunc(p.d.Steps[i:], func(later Step) bool {
			if later.Client != step.Client {
				return false
			}
			if later.Do == Closed || later.Do == Hangup {
				return true
			}
			return slices.ContainsFunc(later.Expect, func(e Expectation) bool {
				return e.Mode == Regexp || strings.HasPrefix(e.Pattern, string(m[1])+" ") || strings.HasPrefix(e.Pattern, "* BAD")
			})
		})
		if !answered {
			return &ParseError{p.name, step.Line, fmt.Sprintf("no S%s: line answers the tag %s", step.Client, m[1])}
		}
	}
	return nil
}
