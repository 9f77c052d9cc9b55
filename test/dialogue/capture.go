package dialogue

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// Captures: {name} is the value of a variable, {name=regexp} matches and keeps it, {=regexp} matches and forgets it,
// and in lines of a client {base64:text} encodes text. A brace before a digit or another brace is only a brace.

var captureHead = regexp.MustCompile(`^\{([a-z][a-z0-9.]*)?(=|\}|:)`)

// isCapture reports whether s begins with a capture.
func isCapture(s string) bool {
	m := captureHead.FindStringSubmatch(s)
	return m != nil && (m[1] != "" || m[2] == "=")
}

// captureEnd returns the length of the capture s begins with; braces within it are balanced.
func captureEnd(s string) (int, error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, fmt.Errorf("a capture without its }")
}

// eachPiece cuts s into plain text and captures; a capture is given without its braces.
func eachPiece(s string, plain, capture func(string) error) error {
	begin := 0
	for i := 0; i < len(s); {
		if s[i] != '{' || !isCapture(s[i:]) {
			i++
			continue
		}
		length, err := captureEnd(s[i:])
		if err != nil {
			return err
		}
		if err := plain(s[begin:i]); err != nil {
			return err
		}
		if err := capture(s[i+1 : i+length-1]); err != nil {
			return err
		}
		i += length
		begin = i
	}
	return plain(s[begin:])
}

// variables are the values known so far.
type variables map[string]string

// matchText compares text with a pattern that may hold captures, and keeps what they caught in vars.
// With fold set, letters match whatever their case.
func (vars variables) matchText(pattern, text string, fold bool) (bool, error) {
	var expr strings.Builder
	var names []string
	if fold {
		expr.WriteString(`(?i)`)
	}
	expr.WriteString(`^(?s:`)
	err := eachPiece(pattern, func(plain string) error {
		expr.WriteString(regexp.QuoteMeta(plain))
		return nil
	}, func(capture string) error {
		name, sub, isDefinition := strings.Cut(capture, "=")
		if !isDefinition {
			value, known := vars[name]
			if !known {
				return fmt.Errorf("{%s} is not known here", name)
			}
			expr.WriteString(regexp.QuoteMeta(value))
			return nil
		}
		names = append(names, name)
		expr.WriteString(`(` + nonCapturing(sub) + `)`)
		return nil
	})
	if err != nil {
		return false, err
	}
	expr.WriteString(`)$`)
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return false, err
	}
	m := re.FindStringSubmatch(text)
	if m == nil {
		return false, nil
	}
	for i, name := range names {
		if name == "" {
			continue
		}
		if old, known := vars[name]; known && old != m[i+1] {
			return false, nil
		}
		vars[name] = m[i+1]
	}
	return true, nil
}

// groupOpen finds "(" that would open a numbered group.
var groupOpen = regexp.MustCompile(`(\\.)|\((\?)?`)

// nonCapturing makes the groups of a regular expression unnumbered, so that our own numbers hold.
func nonCapturing(expr string) string {
	return groupOpen.ReplaceAllStringFunc(expr, func(found string) string {
		if found == "(" {
			return "(?:"
		}
		return found
	})
}

// put replaces the captures of a client's line by their values.
func (vars variables) put(line string) (string, error) {
	var out strings.Builder
	err := eachPiece(line, func(plain string) error {
		out.WriteString(plain)
		return nil
	}, func(capture string) error {
		if source, ok := strings.CutPrefix(capture, "base64:"); ok {
			inner, err := vars.put(source)
			if err != nil {
				return err
			}
			unquoted, err := strconv.Unquote(`"` + inner + `"`)
			if err != nil {
				return fmt.Errorf("{%s}: %w", capture, err)
			}
			out.WriteString(base64.StdEncoding.EncodeToString([]byte(unquoted)))
			return nil
		}
		value, known := vars[capture]
		if !known {
			return fmt.Errorf("{%s} is not known here", capture)
		}
		out.WriteString(value)
		return nil
	})
	return out.String(), err
}

func (vars variables) clone() variables { return maps.Clone(vars) }
