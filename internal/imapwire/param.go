package imapwire

import "postern/internal/mail"

// Param is a parameter of a command in the syntax all extensions share
// (RFC 4466 3, tagged-ext): a name and, often, a value.
type Param struct {
	Name  string // in capitals
	Value *Value // nil if there is none
}

// Value is the value of a Param: bare text, a string, or a list of values.
type Value struct {
	Text   string
	IsList bool
	List   []Value // IsList
	Quoted bool    // Text came as a string: "NIL" in quotes is not NIL
}

// Number gives a bare value as an unsigned 63-bit number (mod-sequence values,
// RFC 7162).
func (v *Value) Number() (uint64, bool) {
	if v == nil || v.IsList || v.Quoted {
		return 0, false
	}
	return parseNumber([]byte(v.Text), 1<<63-1)
}

// NumSet gives a bare value as a sequence set.
func (v *Value) NumSet() (mail.NumSet, bool) {
	if v == nil || v.IsList || v.Quoted {
		return mail.NumSet{}, false
	}
	return ParseNumSet([]byte(v.Text))
}

// Params reads a parenthesised list of parameters, each a name and, after a
// space, possibly a value. A value is a number, a sequence set or a list; a list
// may hold strings and atoms besides. What begins with a letter is a name, so
// this needs no knowledge of which parameters have values.
func (r *Reader) Params(dst *[]Param) bool { return r.params(dst, false, nil) }

// params is Params; none says whether the list may be empty. If it is given, other
// is asked first to read the value behind a name, if there is one: it knows those
// that are of no common syntax.
func (r *Reader) params(dst *[]Param, none bool, other func(name string) bool) bool {
	if !r.open() {
		return false
	}
	*dst = nil
	if none && r.shut() {
		return true
	}
	var out []Param
	for {
		var p Param
		if !r.item() || !r.paramName(&p.Name) {
			return r.expected("a parameter's name")
		}
		if other != nil && !other(p.Name) {
			return r.expected("a parameter's value")
		}
		space := r.SP()
		if c := r.next(); space && !startsName(c) {
			p.Value = new(Value)
			if !r.value(p.Value) {
				return r.expected("a parameter's value")
			}
			space = r.SP()
		}
		out = append(out, p)
		if !space {
			*dst = out
			return r.shut() || r.expected(`a space or ")"`)
		}
	}
}

// ExpectParams demands a parenthesised list of parameters.
func (r *Reader) ExpectParams(dst *[]Param) bool {
	return r.Params(dst) || r.expected("a list of parameters")
}

// startsName reports whether a parameter's name begins with c. A minus is left
// out of tagged-label-fchar: it begins a negative range (RFC 9394 4), and no
// parameter's name.
func startsName(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '.'
}

func (r *Reader) paramName(dst *string) bool {
	if !startsName(r.next()) {
		return false
	}
	var w wordBuffer
	*dst = string(r.word(labelChar, &w))
	return r.err == nil
}

// value reads one value. Its depth is bounded by Limits.Depth.
func (r *Reader) value(v *Value) bool {
	if c := r.next(); c != '(' {
		if c == '"' || c == '{' {
			v.Quoted = true
			return r.String(&v.Text)
		}
		return r.token(valueChar, &v.Text)
	}
	v.IsList = true
	return r.list("values", true, func() bool {
		v.List = append(v.List, Value{})
		return r.value(&v.List[len(v.List)-1]) || r.expected("a value")
	})
}
