// Package internal_test holds the drawing of the house (docs/architecture.md, "The house") as text, and fails when an
// import breaks it. The Go standard library does the same in go/build/deps_test.go.
package internal_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// house is the import table: the floor, the package below internal/, and what it is for. A package may import those of
// floors below its own, never one above it or beside it. A new package is added here and in docs/architecture.md with
// its reason.
const house = `
	0  mail            the words everybody shares
	0  message         RFC 5322 and MIME: parse once, cut by offset
	0  observe         counters, log attributes, transcripts

	1  imapwire        IMAP grammar both ways
	1  view            what one client has been told
	1  search          does this message match
	1  search/terms    segments of the text index: read, write, merge
	1  auth            who is this
	1  deflate         compression as it arrives, for COMPRESS
	1  guard           which tries to sign in are looked at
	1  oidc            is this token a provider's, and whose
	1  policy          which of an organisation's rules hold for an account
	1  netserver       listeners, TLS, deadlines, draining
	1  store           the contract the store drivers keep

	2  store/storetest the conformance suite, the memory driver, the failing driver
	2  store/embedded  one node: one directory
	2  store/cluster   many nodes: PostgreSQL and S3

	3  account         the living mailbox; the only caller of the store

	4  delivery        one message, many recipients
	4  index           the text indexes of accounts: built, merged, asked
	4  importer        mail from and to mbox and Maildir

	5  imapserver      one IMAP conversation
	5  lmtpserver      one LMTP conversation
	5  authserver      other servers ask who somebody is: Dovecot's protocol
	5  bench           load on any IMAP server, measured; a client, so it knows nothing of ours
`

// testOnly are packages that stand beside the house and only tests import. They may import whatever is in it.
var testOnly = map[string]string{
	"testenv":             "it tells tests what the machine offers; a server does not ask",
	"account/accounttest": "it goes over a store after a test; a server has account.Check",
}

// reserved are imports that only some packages may have, outside tests, each with its reason. A package named by a
// path below internal/ covers what is below it; "cmd" is the roof. A banned path covers what is below it, too.
var reserved = []struct {
	banned string
	except []string
	reason string
}{
	{"postern/internal/store", []string{"account", "store", "cmd"},
		"only account numbers messages and calls the store; a second caller would be a second owner of that fact"},
	{"github.com/cockroachdb/pebble", []string{"store/embedded"},
		"the engine is the embedded driver's own affair; the other driver has none"},
	{"github.com/jackc/pgx", []string{"store/cluster"}, "PostgreSQL is the cluster driver's own affair"},
	{"github.com/minio/minio-go", []string{"store/cluster"}, "S3 is the cluster driver's own affair"},
	{"github.com/pelletier/go-toml", []string{"cmd"}, "configuration lives in the roof; packages take plain fields"},
	{"github.com/alecthomas/kong", []string{"cmd"}, "flags live in the roof"},
	{"flag", []string{"cmd", "bench/compare"}, "flags live in the roof, and in the race that stands beside the house"},
	{"github.com/emersion/go-imap", nil, "the protocol is ours; go-imap is a client in tests"},
	{"github.com/jhillyerd/enmime", nil, "MIME is ours; enmime is a second opinion in tests"},
	{"testing", []string{"store/storetest", "testenv", "account/accounttest"}, "a server does not carry its tests with it"},
}

// importException is one import that breaks the floors and is drawn in the house.
type importException struct{ from, to, reason string }

var importExceptions = []importException{
	{"store/embedded", "store/storetest", "tests only: a driver is tested by the suite beside it"},
	{"store/cluster", "store/storetest", "tests only: a driver is tested by the suite beside it"},
	{"search", "search/terms", "tests only: what an index says must agree with what a search finds"},
	{"bench", "imapserver", "tests only: a load generator wants a server"},
	{"bench", "lmtpserver", "tests only: a load generator wants a server"},
}

// A source is one Go file and what it imports.
type source struct {
	path    string // "internal/view/view.go"
	pkg     string // "internal/view"
	isTest  bool
	imports []string
}

func TestImports(t *testing.T) {
	floors, err := readHouse(house)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := readSources("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("no Go files were found")
	}
	for _, complaint := range judge(floors, sources) {
		t.Error(complaint)
	}
}

// readHouse reads the table.
func readHouse(table string) (map[string]int, error) {
	floors := map[string]int{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		floor, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) < 3 {
			return nil, fmt.Errorf("the table's line %q is not: floor, package, purpose", line)
		}
		if _, twice := floors[fields[1]]; twice {
			return nil, fmt.Errorf("the table has %s twice", fields[1])
		}
		floors[fields[1]] = floor
	}
	return floors, nil
}

// readSources reads the imports of every Go file of the module at root, whatever its build tags.
func readSources(root string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "testdata" || name == "build" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(relative), isTest: strings.HasSuffix(name, "_test.go")}
		s.pkg = strings.TrimSuffix(s.path, "/"+name)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		sources = append(sources, s)
		return nil
	})
	return sources, err
}

// judge returns a complaint for every import that breaks the table, and for every package the table lacks.
func judge(floors map[string]int, sources []source) []string {
	complaints := map[string]bool{}
	for _, s := range sources {
		pkg, inHouse := strings.CutPrefix(s.pkg, "internal/")
		if inHouse {
			_, listed := floors[pkg]
			if _, beside := testOnly[pkg]; !listed && !beside {
				complaints[fmt.Sprintf("%s is not in the table of internal/deps_test.go: give it its floor and say what it is for", s.pkg)] = true
				continue
			}
		}
		for _, imported := range s.imports {
			if why := judgeFloor(floors, s, imported); why != "" {
				complaints[fmt.Sprintf("%s imports %s: %s", s.path, imported, why)] = true
			}
			if why := judgeReserved(s, imported); why != "" {
				complaints[fmt.Sprintf("%s imports %s: %s", s.path, imported, why)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(complaints))
}

// judgeFloor says what is wrong with an import of ours by the floors, or "".
func judgeFloor(floors map[string]int, s source, imported string) string {
	if strings.HasPrefix(imported, "postern/cmd/") && !strings.HasPrefix(s.pkg, "cmd/") {
		return "nothing imports the roof"
	}
	if strings.HasPrefix(imported, "postern/test/") && !s.isTest && !under(s.pkg, "test") && !under(s.pkg, "bench") {
		return "only tests import the test yard"
	}
	to, ours := strings.CutPrefix(imported, "postern/internal/")
	if !ours {
		return ""
	}
	from, inHouse := strings.CutPrefix(s.pkg, "internal/")
	fromTestOnly := testOnly[from] != "" && inHouse
	toTestOnly := testOnly[to]
	switch {
	case under(s.pkg, "test") && to == "testenv":
		return "" // the one thing the yard takes from the house
	case toTestOnly != "" && !s.isTest && !fromTestOnly:
		return toTestOnly
	case under(s.pkg, "test"):
		return "the test yard looks at Postern from outside and imports nothing of it"
	case !inHouse || from == to || fromTestOnly || toTestOnly != "":
		return "" // the roof; a test of the package itself; what stands beside the house
	case s.isTest && slices.ContainsFunc(importExceptions, func(e importException) bool { return e.from == from && e.to == to }):
		return ""
	case floors[to] < floors[from]:
		return ""
	case floors[to] == floors[from]:
		return fmt.Sprintf("both are on floor %d, and packages of one floor do not know each other", floors[from])
	}
	return fmt.Sprintf("it points up, from floor %d to floor %d", floors[from], floors[to])
}

// judgeReserved says what is wrong with an import that only some packages may have, or "".
func judgeReserved(s source, imported string) string {
	if s.isTest || under(s.pkg, "test") {
		return ""
	}
	for _, rule := range reserved {
		if !under(imported, rule.banned) {
			continue
		}
		pkg := strings.TrimPrefix(s.pkg, "internal/")
		if !slices.ContainsFunc(rule.except, func(allowed string) bool { return under(pkg, allowed) }) {
			return rule.reason
		}
	}
	return ""
}

// under reports whether path is dir or below it.
func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// The judge finds what it is there to find.
func TestJudge(t *testing.T) {
	cases := []struct {
		name   string
		source source
		want   string // part of the one complaint; "" for none
	}{
		{"down", source{pkg: "internal/account", imports: []string{"postern/internal/store"}}, ""},
		{"up", source{pkg: "internal/view", imports: []string{"postern/internal/account"}}, "points up, from floor 1 to floor 3"},
		{"beside", source{pkg: "internal/view", imports: []string{"postern/internal/search"}}, "both are on floor 1"},
		{"a driver's test and the suite", source{pkg: "internal/store/embedded", isTest: true,
			imports: []string{"postern/internal/store/storetest"}}, ""},
		{"a driver and the suite", source{pkg: "internal/store/embedded",
			imports: []string{"postern/internal/store/storetest"}}, "both are on floor 2"},
		{"not in the table", source{pkg: "internal/util", imports: nil}, "not in the table"},
		{"the store from a conversation", source{pkg: "internal/imapserver", imports: []string{"postern/internal/store"}},
			"only account"},
		{"the memory driver in a conversation's test", source{pkg: "internal/imapserver", isTest: true,
			imports: []string{"postern/internal/store/storetest"}}, ""},
		{"the engine outside its driver", source{pkg: "internal/account",
			imports: []string{"github.com/cockroachdb/pebble/v2/vfs"}}, "the embedded driver's own affair"},
		{"the roof wires", source{pkg: "cmd/postern", imports: []string{"postern/internal/store/embedded", "flag"}}, ""},
		{"testenv in a server", source{pkg: "internal/auth", imports: []string{"postern/internal/testenv"}}, "does not ask"},
		{"testenv in a test", source{pkg: "internal/auth", isTest: true, imports: []string{"postern/internal/testenv"}}, ""},
		{"the yard and the house", source{pkg: "test/peer", imports: []string{"postern/internal/mail"}}, "from outside"},
		{"the house and the yard", source{pkg: "internal/mail", imports: []string{"postern/test/dialogue"}}, "only tests"},
		{"a conversation's test and the player", source{pkg: "internal/imapserver", isTest: true,
			imports: []string{"postern/test/dialogue"}}, ""},
	}
	floors, err := readHouse(house)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := judge(floors, []source{c.source})
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("complaints: %q", got)
			case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
				t.Errorf("complaints: %q, want one with %q", got, c.want)
			}
		})
	}
}

// docs/architecture.md draws every package of the table.
func TestHouseIsDrawn(t *testing.T) {
	drawing, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	floors, err := readHouse(house)
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range floors {
		if !strings.Contains(string(drawing), pkg) {
			t.Errorf("docs/architecture.md does not draw %s", pkg)
		}
	}
}
