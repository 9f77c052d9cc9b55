package account

import (
	"context"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"postern/internal/mail"
)

// refMetadata is the reference's idea of metadata: by name in small letters.
type refMetadata map[string]string

// set makes changes to the reference.
func (r refMetadata) set(changes []mail.Metadata) {
	for _, c := range changes {
		if c.Value == nil {
			delete(r, strings.ToLower(c.Name))
		} else {
			r[strings.ToLower(c.Name)] = string(c.Value)
		}
	}
}

func (r refMetadata) text() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		parts = append(parts, name+"="+r[name])
	}
	return strings.Join(parts, " ")
}

// metadata sets entries of a mailbox or of the server.
func (m *modelTest) metadata(t *rapid.T) {
	i := m.anyNode(t)
	names := []string{"/private/a", "/shared/a", "/Private/A", "/shared/b/c", "/private/vendor/x/y"}
	of, ref := m.anyBox(t), m.server
	if server := rapid.IntRange(0, 4).Draw(t, "server") == 0; server {
		names, of = []string{"/private/a", "/private/b"}, nil
	} else {
		ref = of.metadata
	}
	var changes []mail.Metadata
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, strings.ToLower).Draw(t, "names") {
		c := mail.Metadata{Name: name}
		if rapid.Bool().Draw(t, "set") {
			c.Value = []byte(rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "value"))
		}
		changes = append(changes, c)
	}
	run := func() error {
		_, err := m.nodes[i].a.SetMetadata(context.Background(), changes)
		return err
	}
	if of != nil {
		mb := m.handle(t, i, of)
		run = func() error {
			_, err := mb.SetMetadata(context.Background(), changes)
			return err
		}
	}
	m.do(t, i, []*action{{what: "metadata", run: run, verify: func(_ *rapid.T, did, _ bool) {
		if did {
			ref.set(changes)
		}
	}}})
}

// compareMetadata holds a node to the reference.
func (m *modelTest) compareMetadata(t *rapid.T, n *node, boxes map[string]*refBox) {
	if got := strings.ToLower(annotated(n.a.Metadata())); got != m.server.text() {
		t.Fatalf("entries of the server are %q, want %q", got, m.server.text())
	}
	for name, b := range boxes {
		mb, err := n.a.Mailbox(name, mail.RightLookup)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ToLower(annotated(mb.Metadata())); got != b.metadata.text() {
			t.Fatalf("entries of %s are %q, want %q", name, got, b.metadata.text())
		}
	}
}
