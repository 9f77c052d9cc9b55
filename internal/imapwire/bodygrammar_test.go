package imapwire

import (
	"fmt"
	"strconv"
	"strings"
)

// bodyGrammar checks text against the productions "envelope" and "body" of RFC
// 9051 9, written down a second time from there. It is what a strict client does.
type bodyGrammar struct {
	text string
	at   int
	err  error

	extensible bool // BODYSTRUCTURE: extension data is asked for
	global     bool // message/global is as message/rfc822
	parts      int
}

func (g *bodyGrammar) fail(want string) {
	if g.err == nil {
		end := min(len(g.text), g.at+20)
		g.err = fmt.Errorf("%s expected at %d: %q", want, g.at, g.text[min(g.at, end):end])
	}
}

func (g *bodyGrammar) peek() byte {
	if g.err != nil || g.at >= len(g.text) {
		return 0
	}
	return g.text[g.at]
}

func (g *bodyGrammar) lit(want string) {
	if g.err != nil || !strings.HasPrefix(g.text[g.at:], want) {
		g.fail(fmt.Sprintf("%q", want))
		return
	}
	g.at += len(want)
}

func (g *bodyGrammar) str() string {
	if g.err != nil {
		return ""
	}
	if g.peek() == '{' {
		digits, _, _ := strings.Cut(g.text[g.at+1:], "}")
		n, err := strconv.Atoi(digits)
		g.lit("{" + digits + "}\r\n")
		if err != nil || g.err != nil || g.at+n > len(g.text) {
			g.fail("a literal")
			return ""
		}
		value := g.text[g.at : g.at+n]
		if g.at += n; strings.Contains(value, "\x00") {
			g.fail("no NUL")
		}
		return value
	}
	g.lit(`"`)
	var value []byte
	for {
		c := g.peek()
		switch {
		case c == '"':
			g.at++
			return string(value)
		case c == '\\':
			if g.at++; g.peek() != '"' && g.peek() != '\\' {
				g.fail("a quoted special")
				return ""
			}
			c = g.peek()
		case c == 0 || c == '\r' || c == '\n' || c >= 0x80:
			g.fail("a quoted character")
			return ""
		}
		value = append(value, c)
		g.at++
	}
}

func (g *bodyGrammar) isNil() bool {
	if g.peek() == 'N' {
		g.lit("NIL")
		return true
	}
	return false
}

func (g *bodyGrammar) nstring() {
	if !g.isNil() {
		g.str()
	}
}

func (g *bodyGrammar) number() {
	start := g.at
	for g.peek() >= '0' && g.peek() <= '9' {
		g.at++
	}
	if g.at == start {
		g.fail("a number")
	}
}

// listOf reads "(" 1*element ")" with sep between the elements, or NIL.
func (g *bodyGrammar) listOf(sep string, element func()) {
	if g.isNil() {
		return
	}
	g.lit("(")
	for element(); g.err == nil && g.peek() != ')'; element() {
		g.lit(sep)
	}
	g.lit(")")
}

func (g *bodyGrammar) envelope() {
	g.lit("(")
	g.nstring()
	g.lit(" ")
	g.nstring()
	for range 6 {
		g.lit(" ")
		g.listOf("", g.address)
	}
	g.lit(" ")
	g.nstring()
	g.lit(" ")
	g.nstring()
	g.lit(")")
}

func (g *bodyGrammar) address() {
	g.lit("(")
	g.nstring()
	for range 3 {
		g.lit(" ")
		g.nstring()
	}
	g.lit(")")
}

func (g *bodyGrammar) params() {
	g.listOf(" ", func() {
		g.str()
		g.lit(" ")
		g.str()
	})
}

func (g *bodyGrammar) body() {
	if g.parts++; g.err != nil {
		return
	}
	g.lit("(")
	if g.peek() == '(' {
		for g.peek() == '(' {
			g.body()
		}
		g.lit(" ")
		g.str()
		if g.extensible {
			g.lit(" ")
			g.params()
			g.extension()
		}
		g.lit(")")
		return
	}
	typ := strings.ToUpper(g.str())
	g.lit(" ")
	subtype := strings.ToUpper(g.str())
	g.lit(" ")
	g.params()
	g.lit(" ")
	g.nstring()
	g.lit(" ")
	g.nstring()
	g.lit(" ")
	g.str()
	g.lit(" ")
	g.number()
	switch {
	case typ == "MESSAGE" && (subtype == "RFC822" || subtype == "GLOBAL" && g.global):
		g.lit(" ")
		g.envelope()
		g.lit(" ")
		g.body()
		g.lit(" ")
		g.number()
	case typ == "TEXT":
		g.lit(" ")
		g.number()
	}
	if g.extensible {
		g.lit(" ")
		g.nstring()
		g.extension()
	}
	g.lit(")")
}

// extension is disposition, language and location.
func (g *bodyGrammar) extension() {
	g.lit(" ")
	if !g.isNil() {
		g.lit("(")
		g.str()
		g.lit(" ")
		g.params()
		g.lit(")")
	}
	g.lit(" ")
	if g.peek() == '(' {
		g.listOf(" ", func() { g.str() })
	} else {
		g.nstring()
	}
	g.lit(" ")
	g.nstring()
}

// checkBody checks text as a body, checkEnvelope as an envelope.
func checkBody(text []byte, extensible, global bool) (parts int, err error) {
	g := bodyGrammar{text: string(text), extensible: extensible, global: global}
	g.body()
	if g.err == nil && g.at != len(text) {
		g.fail("the end")
	}
	return g.parts, g.err
}

func checkEnvelope(text []byte) error {
	g := bodyGrammar{text: string(text)}
	g.envelope()
	if g.err == nil && g.at != len(text) {
		g.fail("the end")
	}
	return g.err
}
