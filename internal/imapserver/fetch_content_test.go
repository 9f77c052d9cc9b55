package imapserver

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"postern/internal/imapwire"
	"postern/internal/message"
)

// memoryBody is a message in memory that counts how much of it was read.
type memoryBody struct {
	*strings.Reader
	read int64
}

func (b *memoryBody) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.Reader.ReadAt(p, off)
	b.read += int64(n)
	return n, err
}

func (b *memoryBody) Close() error { return nil }

func openInMemory(t *testing.T, text string) (*openMessage, *memoryBody, *message.Summary) {
	t.Helper()
	body := &memoryBody{Reader: strings.NewReader(text)}
	shape, err := message.Parse(body, body.Size())
	if err != nil {
		t.Fatal(err)
	}
	return &openMessage{body: body}, body, shape
}

// longHeader is a header just below what is kept of one.
func longHeader() string {
	return strings.Repeat("X-Long: "+strings.Repeat("v", 900)+"\r\n", 70) + "\r\n"
}

// TestManyHeaderItems asks for the same 64 KB of a header under 1,600 names: what
// is kept until it is written must not grow with the items.
func TestManyHeaderItems(t *testing.T) {
	header := longHeader()
	open, _, shape := openInMemory(t, header+"text\r\n")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	parts := make([]contentPart, 1600)
	for i := range parts {
		section := imapwire.Section{Text: imapwire.SectionHeaderFieldsNot, Fields: []string{fmt.Sprintf("a%d", i)}}
		item := imapwire.FetchItem{Kind: imapwire.FetchSection, Section: section}
		var err error
		if parts[i], err = open.prepare(shape, &item, section); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d items hold %d octets", len(parts), grown)
	}
	for _, i := range []int{0, 1, len(parts) - 1} {
		octets := opened{open: parts[i].open}
		got, err := io.ReadAll(&octets)
		octets.close()
		if err != nil || string(got) != header || parts[i].size != int64(len(header)) {
			t.Fatalf("item %d: %d octets, told %d, want %d, %v", i, len(got), parts[i].size, len(header), err)
		}
	}
}

// TestManyBinaryItems asks for a thousand ranges of one encoded part: it is
// measured once, not once for each.
func TestManyBinaryItems(t *testing.T) {
	const lines = 10_000
	text := "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", lines)
	open, body, shape := openInMemory(t, text)
	body.read = 0
	parts := make([]contentPart, 1000)
	for i := range parts {
		section := imapwire.Section{Part: []uint32{1}}
		item := imapwire.FetchItem{Kind: imapwire.FetchBinary, Section: section, Partial: true, Offset: int64(i), Count: 4}
		var err error
		if parts[i], err = open.prepare(shape, &item, section); err != nil {
			t.Fatal(err)
		}
	}
	if body.read > body.Size() {
		t.Errorf("%d octets were read of a message that has %d", body.read, body.Size())
	}
	for i, want := range map[int]string{0: "ABCA", 1: "BCAB", 998: "CABC"} {
		octets := opened{open: parts[i].open}
		got := make([]byte, 4)
		if _, err := io.ReadFull(&octets, got); err != nil || string(got) != want || parts[i].size != 4 {
			t.Errorf("range %d: %q of %d octets, want %q, %v", i, got, parts[i].size, want, err)
		}
	}
}

// TestLongHeaderItems fetches more of a header than is kept, whole and in ranges.
func TestLongHeaderItems(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	header := longHeader()
	c.append("INBOX", "", header+"text\r\n")
	c.ok("EXAMINE INBOX", anything)
	var items, want []string
	for i := range 4 {
		items = append(items, fmt.Sprintf("BODY.PEEK[HEADER.FIELDS.NOT (a%d)]", i))
		want = append(want, fmt.Sprintf("BODY[HEADER.FIELDS.NOT (a%d)] {%d}\r\n%s", i, len(header), header))
	}
	items = append(items, "BODY.PEEK[HEADER.FIELDS (x-long)]<905.12>", "BODY.PEEK[HEADER.FIELDS (x-long)]<1000000.1>")
	want = append(want, "BODY[HEADER.FIELDS (x-long)]<905> {12}\r\n"+header[905:917], `BODY[HEADER.FIELDS (x-long)]<1000000> ""`)
	c.ok("FETCH 1 ("+strings.Join(items, " ")+")", "* 1 FETCH ("+strings.Join(want, " ")+")")
}
