package dialogue

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Servers are the names by which a file may speak of a server that answers differently. Postern is not among them:
// it has no exceptions.
var Servers = []string{"dovecot", "cyrus"}

var (
	// "C: text", "S2*: text", "C| literal line"
	lineForm = regexp.MustCompile(`^([CS])([0-9]*)(:|\||=:|\*:|\?:|~:|-:)(?: (.*))?$`)
	// "C2 starts TLS", "S closes"
	verbForm = regexp.MustCompile(`^([CS])([0-9]*) (starts TLS|starts DEFLATE|ends DEFLATE|connects|closes)$`)
	// "dovecot: why", "dovecot skips: why"
	otherForm = regexp.MustCompile(`^([a-z]+)( skips)?: *(.*)$`)
	// "dovecot S: text"
	otherLine = regexp.MustCompile(`^([a-z]+) (S[0-9]*(?::|\||\*:|\?:|~:|-:).*)$`)
)

// Parse reads a dialogue. Its errors are *ParseError.
func Parse(name string, text []byte) (*Dialogue, error) {
	p := &parser{name: name, counts: map[string]int{}, d: &Dialogue{
		Name: name, Transport: TLS,
		Start: map[string]string{}, Accounts: map[string]string{}, Skips: map[string]string{},
	}}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		p.line = i + 1
		if err := p.take(line); err != nil {
			return nil, err
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.d, nil
}

type parser struct {
	name string
	line int
	d    *Dialogue

	begun      bool              // the preamble is over
	body       *bytes.Buffer     // a message of the preamble that is being read
	literal    *literal          // the literal that is being read
	counts     map[string]int    // by client: the step whose {} waits for its literal to be counted
	more       *Expectation      // a server's line that goes on after its literal
	other      *Answer           // the other server's answer that is being read
	skipped    map[string]string // the servers, and the reasons, of the "skips" block that is being read
	blockBegun bool              // a step of that block has been read
}

// literal collects the lines of one literal and knows where it goes.
type literal struct {
	prefix string // how its lines begin: "C|", "S2|", "dovecot S|"
	lines  []string
	finish func(octets []byte) error
}

func (p *parser) errorf(format string, args ...any) error {
	return &ParseError{Name: p.name, Line: p.line, Text: fmt.Sprintf(format, args...)}
}

// take reads one line of the file.
func (p *parser) take(line string) error {
	if p.literal != nil {
		if rest, ok := strings.CutPrefix(line, p.literal.prefix); ok {
			p.literal.lines = append(p.literal.lines, strings.TrimPrefix(rest, " "))
			return nil
		}
		if err := p.endLiteral(); err != nil {
			return err
		}
	}
	if p.body != nil {
		if rest, ok := strings.CutPrefix(line, "|"); ok {
			p.body.WriteString(strings.TrimPrefix(rest, " ") + "\r\n")
			return nil
		}
		p.endBody()
	}
	if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if !p.begun {
		if handled, err := p.takePreamble(line); handled || err != nil {
			return err
		}
		p.begun = true
	}
	return p.takeStep(line)
}

func (p *parser) takeStep(line string) error {
	if m := otherLine.FindStringSubmatch(line); m != nil && slices.Contains(Servers, m[1]) {
		return p.takeOtherLine(m[1], m[2])
	}
	if line == "end" {
		if p.skipped == nil {
			return p.errorf("end without a beginning")
		}
		p.skipped, p.other = nil, nil
		return nil
	}
	if m := otherForm.FindStringSubmatch(line); m != nil && slices.Contains(Servers, m[1]) {
		return p.takeOther(m[1], m[2] != "", m[3])
	}
	p.other = nil
	if m := verbForm.FindStringSubmatch(line); m != nil {
		return p.takeVerb(m[1], m[2], m[3])
	}
	m := lineForm.FindStringSubmatch(line)
	if m == nil {
		return p.errorf("this is no line of a dialogue: %q", line)
	}
	if m[1] == "C" {
		return p.takeSend(m[2], m[3], m[4])
	}
	step := p.lastAwait(m[2])
	if step == nil {
		step = p.add(Step{Client: m[2], Do: Await, Others: map[string]*Answer{}})
	}
	return p.takeExpect(&step.Expect, m[2], m[3], m[4], "")
}

// add appends a step, with what the block around it says.
func (p *parser) add(step Step) *Step {
	step.Line = p.line
	step.Skips = p.skipped
	p.blockBegun = true
	p.d.Steps = append(p.d.Steps, step)
	return &p.d.Steps[len(p.d.Steps)-1]
}

// lastAwait returns the last step where it awaits lines for this client and no other server's answer ended it.
func (p *parser) lastAwait(client string) *Step {
	if len(p.d.Steps) == 0 {
		return nil
	}
	last := &p.d.Steps[len(p.d.Steps)-1]
	if last.Do != Await || last.Client != client || len(last.Others) > 0 {
		return nil
	}
	if wasSkipped := len(last.Skips) > 0; wasSkipped != (p.skipped != nil) {
		return nil
	}
	return last
}

func (p *parser) takeVerb(who, client, verb string) error {
	action := map[string]Action{"Cstarts TLS": StartTLS, "Cstarts DEFLATE": StartDeflate, "Cends DEFLATE": EndDeflate, "Cconnects": Connect, "Ccloses": Hangup, "Scloses": Closed}
	do, ok := action[who+verb]
	if !ok {
		return p.errorf("only a client %s", verb)
	}
	p.add(Step{Client: client, Do: do})
	return nil
}
