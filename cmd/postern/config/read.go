package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Mistake is one thing wrong with a configuration file.
type Mistake struct {
	Line int // 0: not of one line
	Text string
}

// Mistakes is everything wrong with a configuration file, in order of lines.
type Mistakes struct {
	File string
	List []Mistake
}

// Error lists the mistakes, each on a line of its own as FILE:LINE: TEXT.
func (m *Mistakes) Error() string {
	var b strings.Builder
	for i, x := range m.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		if x.Line > 0 {
			fmt.Fprintf(&b, "%s:%d: %s", m.File, x.Line, x.Text)
		} else {
			fmt.Fprintf(&b, "%s: %s", m.File, x.Text)
		}
	}
	return b.String()
}

// Further is a check that needs to know more than what a setting may look like:
// what other packages take, or what there is on this machine. It calls note for
// each mistake, with the setting it is of, as "tls.key" or "listen.imap[0].owner".
type Further func(cfg *Config, note func(setting, mistake string))

// Read reads a configuration file over the defaults. The error is a *Mistakes
// that lists everything wrong with it; that it cannot be read is such a mistake.
func Read(file string, further ...Further) (Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the file is named already
		}
		return Config{}, &Mistakes{File: file, List: []Mistake{{Text: "the configuration cannot be read: " + err.Error()}}}
	}
	return Parse(file, data, further...)
}

// Parse reads a configuration over the defaults; file is its name in errors.
func Parse(file string, data []byte, further ...Further) (Config, error) {
	cfg := Default()
	r := reader{mistakes: Mistakes{File: file}, data: data, seen: map[string]int{}, lines: map[string]int{}}
	r.document(reflect.ValueOf(&cfg).Elem())
	cfg.check(&r)
	for _, f := range further {
		f(&cfg, func(setting, mistake string) { r.mistake(r.lines[setting], "%s: %s", withoutIndex(setting), mistake) })
	}
	if len(r.mistakes.List) > 0 {
		slices.SortStableFunc(r.mistakes.List, func(a, b Mistake) int { return a.Line - b.Line })
		return Config{}, &r.mistakes
	}
	return cfg, nil
}

// withoutIndex is a setting's name as it stands in the file.
func withoutIndex(setting string) string {
	before, after, _ := strings.Cut(setting, "[")
	_, after, _ = strings.Cut(after, "]")
	return before + after
}

// reader walks the expressions of a document and sets what they name, noting
// every mistake on its way instead of stopping at the first.
type reader struct {
	mistakes Mistakes
	data     []byte
	seen     map[string]int // key path, with indices of array tables → line
	lines    map[string]int // the same without the file's order: for check
}

func (r *reader) mistake(line int, format string, args ...any) {
	r.mistakes.List = append(r.mistakes.List, Mistake{line, fmt.Sprintf(format, args...)})
}

// document sets the fields of root from the whole document.
func (r *reader) document(root reflect.Value) {
	var p unstable.Parser
	p.Reset(r.data)
	table, path := root, ""
	for p.NextExpression() {
		e := p.Expression()
		key, raw := keyOf(e.Key())
		line := r.line(&p, raw)
		switch e.Kind {
		case unstable.Table:
			table, path = r.table(root, key, line)
		case unstable.ArrayTable:
			table, path = r.arrayTable(root, key, line)
		case unstable.KeyValue:
			if table.IsValid() {
				r.keyValue(&p, table, path, key, line, e.Value())
			}
		}
	}
	if err := p.Error(); err != nil {
		r.syntax(err)
	}
}

// syntax notes where the document is no TOML. The line is found by having the
// library decode it again, as its parser gives none.
func (r *reader) syntax(err error) {
	var decode *toml.DecodeError
	line := 0
	if errors.As(toml.Unmarshal(r.data, new(map[string]any)), &decode) {
		line, _ = decode.Position()
	}
	r.mistake(line, "this is not TOML: %s; nothing after it was read", strings.TrimPrefix(err.Error(), "toml: "))
}

func keyOf(it unstable.Iterator) (parts []string, raw unstable.Range) {
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
		raw = it.Node().Raw
	}
	return parts, raw
}

func (r *reader) line(p *unstable.Parser, raw unstable.Range) int {
	return bytes.Count(r.data[:min(int(raw.Offset), len(r.data))], []byte{'\n'}) + 1
}

// find walks down from root to the field that a dotted key names.
func (r *reader) find(root reflect.Value, key []string, line int) (reflect.Value, bool) {
	v := root
	for i, k := range key {
		f, ok := reflect.Value{}, false
		if v.Kind() == reflect.Struct {
			f, ok = field(v, k)
		}
		if !ok {
			r.unknown(v, strings.Join(key[:i], "."), k, line)
			return reflect.Value{}, false
		}
		v = f
	}
	return v, true
}

// table finds what [a.b] names.
func (r *reader) table(root reflect.Value, key []string, line int) (reflect.Value, string) {
	path := strings.Join(key, ".")
	v, ok := r.find(root, key, line)
	if !ok {
		return reflect.Value{}, ""
	}
	if isTables(v) {
		r.mistake(line, "%s may be given several times: write [[%s]]", path, path)
		return reflect.Value{}, ""
	}
	if v.Kind() != reflect.Struct {
		r.mistake(line, "%s is a setting, not a table: write %s = …", path, path)
		return reflect.Value{}, ""
	}
	r.once("["+path+"]", line)
	return v, path
}

// arrayTable finds what [[a.b]] names and adds an element to it.
func (r *reader) arrayTable(root reflect.Value, key []string, line int) (reflect.Value, string) {
	path := strings.Join(key, ".")
	v, ok := r.find(root, key, line)
	if !ok {
		return reflect.Value{}, ""
	}
	if !isTables(v) {
		r.mistake(line, "%s is given once: write [%s]", path, path)
		return reflect.Value{}, ""
	}
	if _, given := r.seen[path]; !given { // the file's tables take the place of the defaults
		v.SetLen(0)
		r.seen[path] = line
	}
	v.Set(reflect.Append(v, elementDefault(v.Type().Elem())))
	at := fmt.Sprintf("%s[%d]", path, v.Len()-1)
	r.lines[at] = line
	return v.Index(v.Len() - 1), at
}

func (r *reader) keyValue(p *unstable.Parser, table reflect.Value, path string, key []string, line int, value *unstable.Node) {
	v := table
	for i, k := range key {
		f, ok := reflect.Value{}, false
		if v.Kind() == reflect.Struct {
			f, ok = field(v, k)
		}
		if !ok {
			r.unknown(v, join(path, key[:i]...), k, line)
			return
		}
		v = f
	}
	full := join(path, key...)
	r.once(full, line)
	r.lines[full] = line
	if isTables(v) && value.Kind == unstable.Array && value.Child() == nil {
		v.SetLen(0) // imaps = []: none
		r.seen[full] = line
		return
	}
	if v.Kind() == reflect.Struct || isTables(v) {
		r.mistake(line, "%s is a table: write [%s] or [[%s]]", full, full, full)
		return
	}
	if err := set(v, value); err != nil {
		r.mistake(line, "%s: %s", full, err)
	}
	if p, ok := table.Addr().Interface().(*Policy); ok {
		if p.Given == nil {
			p.Given = map[string]bool{}
		}
		p.Given[key[0]] = true
	}
}

func (r *reader) once(path string, line int) {
	if first, again := r.seen[path]; again {
		r.mistake(line, "%s was given on line %d already", path, first)
		return
	}
	r.seen[path] = line
}

func join(path string, key ...string) string {
	all := strings.Join(key, ".")
	if path == "" || all == "" {
		return path + all
	}
	return path + "." + all
}

// field finds the field of that TOML name.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("toml"); tag == name && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// unknown notes a key that is none, with the one that may be meant.
func (r *reader) unknown(v reflect.Value, path, name string, line int) {
	var known []string
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("toml"); tag != "-" {
				known = append(known, tag)
			}
		}
	}
	full := join(path, name)
	best, distance := "", min(3, 1+len(name)/2) // of a short name little is left to mean
	for _, k := range known {
		if d := editDistance(k, name); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		r.mistake(line, "unknown setting %s: did you mean %s?", full, join(path, best))
	case len(known) > 0:
		r.mistake(line, "unknown setting %s: known here are %s", full, strings.Join(known, ", "))
	default:
		r.mistake(line, "unknown setting %s", full)
	}
}

// editDistance is the number of insertions, deletions and replacements between
// two short names.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// isTables reports whether a setting is an array of tables: [[name]], any number of times.
func isTables(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct
}

// elementDefault is what a table of an array starts from.
func elementDefault(t reflect.Type) reflect.Value {
	if d, ok := elementDefaults[t]; ok {
		return reflect.ValueOf(d())
	}
	return reflect.Zero(t)
}

// elementDefaults are those that are not zero.
var elementDefaults = map[reflect.Type]func() any{
	reflect.TypeFor[Listener](): func() any { return listenerDefault() },
	reflect.TypeFor[OIDC]():     func() any { return OIDC{Claim: "email"} },
	reflect.TypeFor[Rule]():     func() any { return ruleDefault() },
}

// ParseDuration reads a duration as Go does, or in days of 24 hours: "30d".
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// set gives v the value of the node, or says what was expected.
func set(v reflect.Value, n *unstable.Node) error {
	text, isText := string(n.Data), n.Kind == unstable.String
	switch v.Interface().(type) {
	case string:
		if !isText {
			return errors.New("expected a string in quotes")
		}
		v.SetString(text)
	case bool:
		if n.Kind != unstable.Bool {
			return errors.New("expected true or false")
		}
		v.SetBool(text == "true")
	case int:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64)
		if n.Kind != unstable.Integer || err != nil {
			return errors.New("expected a whole number")
		}
		v.SetInt(i)
	case time.Duration:
		d, err := ParseDuration(text)
		if !isText || err != nil || d < 0 {
			return errors.New(`expected a duration in quotes, as in "90s", "10m", "24h" or "30d"`)
		}
		v.SetInt(int64(d))
	case Size:
		if !isText {
			return errors.New(`expected a size in quotes, as in "64 MiB"`)
		}
		s, err := ParseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(s))
	case Mode:
		m, err := strconv.ParseUint(text, 8, 12)
		if !isText || err != nil {
			return errors.New(`expected permissions in octal, in quotes, as in "0660"`)
		}
		v.SetUint(m)
	case []string:
		list := []string{}
		if n.Kind != unstable.Array {
			return errors.New(`expected a list of strings, as in ["a", "b"]`)
		}
		for it := n.Children(); it.Next(); {
			if it.Node().Kind != unstable.String {
				return errors.New(`expected a list of strings, as in ["a", "b"]`)
			}
			list = append(list, string(it.Node().Data))
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("a setting of type %s cannot be read", v.Type())
	}
	return nil
}
