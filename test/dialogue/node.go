package dialogue

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A node is a piece of a server's line: an atom, a string or a parenthesised list. Patterns and lines are cut the same
// way, so that what the RFCs leave to the server (the order of flags, quoted string or literal) need not be
// written down twice.
type node struct {
	kind  kind
	text  string // atom: as written; string: its octets
	kids  []node // list
	raw   string // as written
	glued bool   // no space before it although something stands there: )( in a BODYSTRUCTURE
}

type kind int

const (
	atom kind = iota
	str
	list
)

// Marks in patterns.
const (
	rest          = "..." // whatever follows, if anything
	optionalMark  = "?"   // after a name in an unordered list: may be missing
	forbiddenMark = "!"   // before a name in an unordered list: must be missing
)

// cutNodes cuts a line into its nodes. With pattern set, captures in braces are part of an atom.
func cutNodes(text string, pattern bool) ([]node, error) {
	c := &cutter{text: text, pattern: pattern}
	nodes, err := c.sequence(false, 0)
	if err != nil {
		return nil, fmt.Errorf("at octet %d: %w", c.at, err)
	}
	return nodes, nil
}

type cutter struct {
	text    string
	at      int
	pattern bool
}

// maxNodeDepth bounds lists in lists; no server's answer to a test comes near.
const maxNodeDepth = 200

// sequence reads nodes up to the end, or up to the ")" of the list it is in.
func (c *cutter) sequence(inList bool, depth int) ([]node, error) {
	if depth > maxNodeDepth {
		return nil, fmt.Errorf("lists nest deeper than %d", maxNodeDepth)
	}
	nodes := []node{}
	spaced := true // a space, or the beginning, is right before
	for c.at < len(c.text) {
		switch b := c.text[c.at]; {
		case b == ')':
			if !inList {
				return nil, fmt.Errorf(`")" without "("`)
			}
			if spaced && len(nodes) > 0 {
				return nil, fmt.Errorf(`a space before ")"`)
			}
			return nodes, nil
		case b == ' ':
			if spaced {
				return nil, fmt.Errorf("a space where something must stand")
			}
			spaced = true
			c.at++
		default:
			begin := c.at
			n, err := c.node(depth)
			if err != nil {
				return nil, err
			}
			n.raw, n.glued = c.text[begin:c.at], !spaced
			nodes = append(nodes, n)
			spaced = false
		}
	}
	if inList {
		return nil, fmt.Errorf(`a list without its ")"`)
	}
	if spaced && len(nodes) > 0 {
		return nil, fmt.Errorf("a space at the end of the line")
	}
	return nodes, nil
}

func (c *cutter) node(depth int) (node, error) {
	switch {
	case c.text[c.at] == '(':
		c.at++
		kids, err := c.sequence(true, depth+1)
		if err != nil {
			return node{}, err
		}
		c.at++ // the ")"
		return node{kind: list, kids: kids}, nil
	case c.text[c.at] == '"':
		return c.quoted()
	}
	if m := literalHead.FindStringSubmatch(c.text[c.at:]); m != nil {
		size, err := strconv.Atoi(m[1])
		if err != nil || size > len(c.text)-c.at-len(m[0]) {
			return node{}, fmt.Errorf("a literal longer than the line")
		}
		c.at += len(m[0])
		octets := c.text[c.at : c.at+size]
		c.at += size
		return node{kind: str, text: octets}, nil
	}
	return c.atom()
}

// literalHead is what announces a literal, or a literal8.
var literalHead = regexp.MustCompile(`^~?\{([0-9]+)\}\r\n`)

func (c *cutter) quoted() (node, error) {
	var text strings.Builder
	for c.at++; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; b {
		case '"':
			c.at++
			return node{kind: str, text: text.String()}, nil
		case '\\':
			c.at++
			if c.at == len(c.text) || (c.text[c.at] != '"' && c.text[c.at] != '\\') {
				if c.pattern { // a regular expression in a capture
					text.WriteByte('\\')
					c.at--
					continue
				}
				return node{}, fmt.Errorf(`only \ and " are escaped in a quoted string`)
			}
			text.WriteByte(c.text[c.at])
		case '\r', '\n', 0:
			return node{}, fmt.Errorf("octet %#02x in a quoted string", b)
		default:
			text.WriteByte(b)
		}
	}
	return node{}, fmt.Errorf("a quoted string without its end")
}

// atom reads up to a space or parenthesis, and past those within [brackets] and {captures}.
func (c *cutter) atom() (node, error) {
	begin, brackets := c.at, 0
	for c.at < len(c.text) {
		b := c.text[c.at]
		switch {
		case c.pattern && b == '{' && isCapture(c.text[c.at:]):
			end, err := captureEnd(c.text[c.at:])
			if err != nil {
				return node{}, err
			}
			c.at += end
			continue
		case b == '[':
			brackets++
		case b == ']':
			brackets = max(0, brackets-1)
		case brackets == 0 && (b == ' ' || b == '(' || b == ')' || b == '"'):
			return node{kind: atom, text: c.text[begin:c.at]}, nil
		case b == '\r' || b == '\n' || b == 0:
			return node{}, fmt.Errorf("octet %#02x in an atom", b)
		}
		c.at++
	}
	if brackets > 0 {
		return node{}, fmt.Errorf(`"[" without "]"`)
	}
	return node{kind: atom, text: c.text[begin:c.at]}, nil
}
