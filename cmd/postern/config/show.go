package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Show writes the configuration as a file that Read reads back, each setting
// with its explanation and, where it differs, its default.
func Show(w io.Writer, c Config) error {
	s := shower{w: w}
	s.table("", reflect.ValueOf(c), reflect.ValueOf(Default()))
	return s.err
}

type shower struct {
	w   io.Writer
	err error
}

func (s *shower) printf(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}

func (s *shower) comment(text string) {
	if text != "" {
		s.printf("# %s\n", text)
	}
}

// table writes plain settings first and tables after them, as TOML wants it.
func (s *shower) table(path string, v, defaults reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		tag, kind := t.Field(i).Tag, t.Field(i).Type
		name := tag.Get("toml")
		if name == "-" || kind.Kind() == reflect.Struct || isTables(v.Field(i)) {
			continue
		}
		s.comment(tag.Get("doc"))
		value, standard := literal(v.Field(i)), literal(defaults.Field(i))
		if value != standard {
			s.printf("# Default: %s\n", standard)
		}
		s.printf("%s = %s\n", name, value)
	}
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name := join(path, tag.Get("toml"))
		switch {
		case tag.Get("toml") == "-":
		case isTables(v.Field(i)):
			s.tables(name, tag.Get("doc"), v.Field(i), defaults.Field(i))
		case t.Field(i).Type.Kind() == reflect.Struct:
			s.printf("\n")
			s.comment(tag.Get("doc"))
			s.printf("[%s]\n", name)
			s.table(name, v.Field(i), defaults.Field(i))
		}
	}
}

// tables writes an array of tables: the first element whole, of others what is not as
// it is without being set. One that is empty, and would be, is shown as it could
// begin.
func (s *shower) tables(name, doc string, list, defaults reflect.Value) {
	s.printf("\n")
	s.comment(doc)
	base, off := elementDefault(list.Type().Elem()), ""
	switch {
	case list.Len() > 0:
	case defaults.Len() > 0:
		s.printf("# (none: in a file, write %s = [] under its table)\n", name)
	default:
		list, off = reflect.Append(list, base), "#"
	}
	for i := range list.Len() {
		if i > 0 {
			s.printf("\n")
		}
		s.printf("%s[[%s]]\n", off, name)
		v := list.Index(i)
		for f := range v.NumField() {
			tag := v.Type().Field(f).Tag
			if tag.Get("toml") == "-" {
				continue
			}
			show := i == 0 || literal(v.Field(f)) != literal(base.Field(f))
			if p, ok := v.Interface().(Policy); ok && off == "" {
				show = p.Given[tag.Get("toml")]
			}
			if i == 0 && show {
				s.comment(tag.Get("doc"))
			}
			if show {
				s.printf("%s%s = %s\n", off, tag.Get("toml"), literal(v.Field(f)))
			}
		}
	}
}

// literal writes a value as TOML.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case string:
		return tomlString(x)
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case time.Duration:
		return tomlString(shortDuration(x))
	case Size:
		return tomlString(x.String())
	case Mode:
		return tomlString(x.String())
	case []string:
		quoted := make([]string, len(x))
		for i, e := range x {
			quoted[i] = tomlString(e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprintf("%v", x)
	}
}

// tomlString quotes as a TOML basic string, which knows no \x and \a.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// shortDuration writes 24h0m0s as 24h, and more than one whole day in days.
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
