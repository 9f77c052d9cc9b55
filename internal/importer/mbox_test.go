package importer

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
)

const from = "From a@example.org Mon Jan  5 10:00:00 2026\n"

// mboxTexts gives the messages of an mbox.
func mboxTexts(t testing.TB, m Mbox) (texts []string, all []Message) {
	t.Helper()
	folders, err := m.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for msg, err := range folders[0].Messages(t.Context(), func(string) bool { return false }) {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, readAll(t, msg))
		all = append(all, msg)
	}
	return texts, all
}

func TestMbox(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"empty lines only", "\n\n", nil},
		{"two", from + "A: 1\n\nx\n\n" + from + "B: 2\n\ny\n\n", []string{"A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"}},
		{"CRLF", strings.ReplaceAll(from+"A: 1\n\nx\n\n"+from+"B: 2\n\ny\n\n", "\n", "\r\n"), []string{"A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"}},
		{"no line end at the end", from + "A: 1\n\nx", []string{"A: 1\r\n\r\nx"}},
		{"no empty line between", from + "A: 1\n\nx\n" + from + "B: 2\n\ny\n", []string{"A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"}},
		{"From in a paragraph", from + "A: 1\n\nas I said\nFrom a@example.org Mon Jan  5 10:00:00 2026\nonward it rained\n",
			[]string{"A: 1\r\n\r\nas I said\r\nFrom a@example.org Mon Jan  5 10:00:00 2026\r\nonward it rained\r\n"}},
		{"From without a date", from + "A: 1\n\nx\n\nFrom here on\n\nFrom: me\n", []string{"A: 1\r\n\r\nx\r\n\r\nFrom here on\r\n\r\nFrom: me\r\n"}},
		{"mboxrd", from + "A: 1\n\n>From x\n>>From y\n> From z\n>Fromm\n", []string{"A: 1\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n>Fromm\r\n"}},
		{"quoted at the beginning", from + ">From x\nA: 1\n\n", []string{"From x\r\nA: 1\r\n"}},
		{"a length that lies", from + "Content-Length: 3\n\nlonger\n\n" + from + "Content-Length: 9000\n\ny\n", []string{"Content-Length: 3\r\n\r\nlonger\r\n", "Content-Length: 9000\r\n\r\ny\r\n"}},
		{"no body", from + "A: 1\n\n" + from + "B: 2\n\n\n", []string{"A: 1\r\n", "B: 2\r\n\r\n"}},
		{"no message", from + "\n" + from, []string{"", ""}},
		{"NUL and CR", from + "A: 1\n\n\x00\r\x00\n", []string{"A: 1\r\n\r\n\x00\r\x00\r\n"}},
		{"long lines", from + "A: " + strings.Repeat("x", 600_000) + "\n\n" + strings.Repeat("From ", 200_000) + "\n\n" + from + "B: 2\n\n",
			[]string{"A: " + strings.Repeat("x", 600_000) + "\r\n\r\n" + strings.Repeat("From ", 200_000) + "\r\n", "B: 2\r\n"}},
		{"UW-IMAP's own", from + "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nThis text\n\n" + from + "B: 2\n\n", []string{"B: 2\r\n"}},
		{"many quotes", from + "A: 1\n\n" + strings.Repeat(">", 300) + "From x\n", []string{"A: 1\r\n\r\n" + strings.Repeat(">", 300) + "From x\r\n"}},
	} {
		got, _ := mboxTexts(t, mboxFile(t, c.in))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %.300q\nwant %.300q", c.name, got, c.want)
		}
	}
	m := mboxFile(t, "Subject: a mail and no mbox\n\n")
	folders, err := m.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range folders[0].Messages(t.Context(), func(string) bool { return false }) {
		if err == nil || !strings.Contains(err.Error(), "no mbox file") {
			t.Errorf("got error %v", err)
		}
	}
}

func TestMboxFields(t *testing.T) {
	oslo := time.FixedZone("", 3600)
	for _, c := range []struct {
		from, header, flags string
		date                time.Time
	}{
		{"From a Mon Jan  5 10:00:00 2026", "Status: RO\n", `(\Seen)`, time.Date(2026, 1, 5, 10, 0, 0, 0, oslo)},
		{"From a Mon Jan  5 10:00:00 2026 -0500", "X-Status: AFDT\nStatus: O\n", `(\Answered \Flagged \Deleted \Draft)`, time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC)},
		{"From - Mon Jan 05 10:00:00 2026", "X-Keywords: $Forwarded work \nstatus: r\n", `($Forwarded work)`, time.Date(2026, 1, 5, 10, 0, 0, 0, oslo)},
		{`From "a b"@example.org Mon, 5 Jan 2026 10:00:00 +0200`, "Status: RO\nStatus: O\nX-Status: \nX-Status: F\n", `(\Seen)`, time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)},
		{"From a Mon Jan 99 10:00:00 2026", "Date: Tue, 6 Jan 2026 11:00:00 +0000\n", `()`, time.Date(2026, 1, 6, 11, 0, 0, 0, time.UTC)},
		{"From a Mon Jan 99 10:00:00 2026", "", `()`, time.Time{}},
	} {
		m := mboxFile(t, c.from+"\n"+c.header+"X: y\n\nStatus: R\n\n")
		m.Zone = oslo
		_, all := mboxTexts(t, m)
		if len(all) != 1 || all[0].Flags.String() != c.flags || !all[0].Date.Equal(c.date) {
			t.Errorf("%s %q: got %+v", c.from, c.header, all)
		}
	}
}

// A message is known again, whatever happened to the file around it.
func TestMboxKeys(t *testing.T) {
	one, two := from+"A: 1\n\nx\n\n", from+"A: 1\nB: 2\n\ny\n\n"
	keys := func(text string) (keys []string) {
		_, all := mboxTexts(t, mboxFile(t, text))
		for _, m := range all {
			keys = append(keys, m.Key)
		}
		return keys
	}
	before := keys(one + two)
	for name, text := range map[string]string{
		"flags set":      from + "A: 1\nStatus: RO\nX-Keywords: a\n b\n\nx\n\n" + two,
		"CRLF":           strings.ReplaceAll(one+two, "\n", "\r\n"),
		"no end":         strings.TrimRight(one+two, "\n"),
		"more after":     one + two + from + "C: 3\n\n",
		"more line ends": one + two + "\n\n",
	} {
		if got := keys(text); !slices.Equal(got[:2], before) {
			t.Errorf("%s: got %v, want %v", name, got, before)
		}
	}
	if got := keys(two); got[0] != before[1] {
		t.Errorf("the first deleted: got %v, want %v", got, before)
	}
	twice := keys(one + one)
	if twice[0] != before[0] || twice[1] == twice[0] {
		t.Errorf("the same message twice: %v", twice)
	}
	later := keys(strings.Replace(one, "10:00:00", "10:00:01", 1))
	if later[0] == before[0] || keys(from + "A: 2\n\nx\n\n")[0] == before[0] || keys(from + "A: 1\n\nx\n\nz\n")[0] == before[0] {
		t.Error("different messages have one key")
	}
}

// Python's reader of mbox files finds the same messages.
func TestMboxOracle(t *testing.T) {
	python := testenv.Need(t, "python3")
	text := manyMbox(50) + from + "A: 1\nB: 2\n\nbody\n\nand more\n>Fromage\n\n" + from + "Only: header\n\n" + from + "X: y\n\n\nempty lines\n\n\n\n"
	m := mboxFile(t, text)
	const script = `
import mailbox, json, sys
box = mailbox.mbox(sys.argv[1], create=False)
print(json.dumps([box.get_bytes(k).decode("latin-1") for k in box.keys()]))`
	out, err := exec.Command(python, "-c", script, m.File).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "\n", "\r\n")
	}
	got, _ := mboxTexts(t, m)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func FuzzMbox(f *testing.F) {
	f.Add([]byte(from + "A: 1\n\nx\n\n" + from + "B: 2\n"))
	f.Add([]byte(from + ">From x\n\n>>From \n\r\n\n" + from))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		m := mboxFile(t, string(data))
		folders, err := m.Folders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		size := 0
		for msg, err := range folders[0].Messages(t.Context(), func(string) bool { return false }) {
			if err != nil {
				return
			}
			if keys[msg.Key] {
				t.Errorf("the key %s twice", msg.Key)
			}
			keys[msg.Key] = true
			size += len(readAll(t, msg))
		}
		if size > 2*len(data) {
			t.Errorf("%d octets of messages in %d", size, len(data))
		}
	})
}

// benchMbox is an mbox of messages of 7 KiB.
func benchMbox(n int) string {
	line := strings.Repeat("some words of a mail ", 3) + "\n"
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%sSubject: %d\n\n%s\n", from, i, strings.Repeat(line, 110))
	}
	return text.String()
}

// BenchmarkMbox reads an mbox into a stream.
func BenchmarkMbox(b *testing.B) {
	text := benchMbox(2000)
	m := mboxFile(b, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		folders, err := m.Folders(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := Send(b.Context(), m.Name(), folders, nil, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
