package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"ada", `"ada"`},
		{"", `""`},
		{"it's", `"it's"`},
		{`a"b\c`, `"a\"b\\c"`},
		{"a\r\nb", `"a\r\nb"`},
		{"\x1b[2J", `"\x1b[2J"`},
		{"\xff\xfe", `"\xff\xfe"`},
		{"żółw", `"żółw"`},
		{"a\u202eb", `"a\u202eb"`}, // right-to-left override
		{"a\u200bb", `"a\u200bb"`}, // zero-width space
		{strings.Repeat("x", 256), `"` + strings.Repeat("x", 256) + `"`},
		{strings.Repeat("x", 257), `"` + strings.Repeat("x", 256) + `…"`},
		{strings.Repeat("x", 255) + "é", `"` + strings.Repeat("x", 255) + `…"`},
		{strings.Repeat("\x00", 100), `"` + strings.Repeat(`\x00`, 64) + `…"`},
	} {
		if got := Quote(c.in); got != c.want {
			t.Errorf("Quote(%q) = %s, want %s", c.in, got, c.want)
		}
	}
	if got, want := Clean(`a "b" c`+"\n"), `a "b" c\n`; got != want {
		t.Errorf("Clean = %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("no %s", Untrusted("a\nb")), `no "a\nb"`; got != want {
		t.Errorf("Untrusted in an error text = %s, want %s", got, want)
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a\"b", "\xf0\x9f\x92", strings.Repeat("é", 200), "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{Quote(s), Clean(s)} {
			if !utf8.ValidString(got) {
				t.Fatalf("%q is not valid UTF-8", got)
			}
			if len(got) > MaxUntrusted+len(cutMark)+2 {
				t.Fatalf("%d bytes came out", len(got))
			}
			for _, r := range got {
				if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
					t.Fatalf("%U came out", r)
				}
			}
		}
	})
}

// TestLogLines checks that hostile strings stay inside their value in both forms
// of the log.
func TestLogLines(t *testing.T) {
	hostile := "eve\"\nlevel=ERROR msg=forged \xff{\"a\":1}" + strings.Repeat("z", 1000)
	emit := func(h slog.Handler) {
		log := slog.New(h)
		log.LogAttrs(context.Background(), slog.LevelInfo, "login failed", Session("S1"),
			Remote(netip.MustParseAddrPort("192.0.2.1:99")), Text(KeyUser, hostile), Account(uint64(7)),
			Duration(1500*time.Millisecond), Error(fmt.Errorf("outer: %w", errors.New(hostile))))
	}
	var text, js bytes.Buffer
	emit(slog.NewTextHandler(&text, nil))
	emit(slog.NewJSONHandler(&js, nil))
	if n := bytes.Count(text.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("text log has %d lines:\n%s", n, text.String())
	}
	var line map[string]any
	if err := json.Unmarshal(js.Bytes(), &line); err != nil {
		t.Fatalf("JSON log: %v\n%s", err, js.String())
	}
	for key, want := range map[string]any{KeySession: "S1", KeyRemote: "192.0.2.1:99", KeyAccount: 7.0, KeyDuration: "1.5s"} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	user, _ := line[KeyUser].(string)
	if !strings.HasPrefix(user, `eve"\nlevel=ERROR msg=forged \xff{`) || len(user) > MaxUntrusted+len(cutMark) {
		t.Errorf("user = %q", user)
	}
	fault, _ := line[KeyError].(string)
	if !strings.HasPrefix(fault, `outer: eve"\nlevel=ERROR msg=forged`) || strings.Contains(fault, "\n") {
		t.Errorf("error = %q", fault)
	}
}

func TestErrorIsBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("é", 10_000), strings.Repeat("\xff", 10_000), strings.Repeat("a", 10_000)} {
		got := Error(errors.New(text)).Value.Resolve().String()
		if len(got) > maxError+len(cutMark) || !utf8.ValidString(got) || !strings.HasSuffix(got, cutMark) {
			t.Errorf("%d bytes, ends in %q", len(got), got[max(0, len(got)-10):])
		}
		if strings.Contains(got, cutMark+"a") || strings.Contains(text, "é") && strings.Contains(got, `\x`) {
			t.Errorf("cut in the middle: %.80q", got)
		}
	}
	if got := Error(nil).Value.String(); got != "" {
		t.Errorf("Error(nil) = %q", got)
	}
}

func TestFault(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	ref := Fault(context.Background(), log, "store failed", errors.New("disk on fire"), Session("S9"))
	if len(ref) != 8 || strings.Trim(string(ref), refAlphabet) != "" {
		t.Errorf("ref = %q", ref)
	}
	for _, want := range []string{"ref=" + string(ref), "disk on fire", "session=S9", "level=ERROR"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log lacks %s: %s", want, out.String())
		}
	}
	seen := map[string]bool{}
	for range 10_000 {
		seen[NewSession()] = true
	}
	if len(seen) != 10_000 || len(NewSession()) != 12 {
		t.Errorf("%d session names of length %d", len(seen), len(NewSession()))
	}
}

func TestCounters(t *testing.T) {
	r := NewRegistry()
	r.Counter("postern_things_total", "Things done.").AddN(2)
	r.Counter("postern_things_total", "Things done.").Add()
	g := r.Gauge("postern_open", "Things open.")
	g.Add(5)
	g.Add(-2)
	set := r.CounterBy("postern_commands_total", "Commands.", "command", "NOOP", "FETCH")
	set.Of("NOOP").Add()
	for i := range 100 {
		set.Of(fmt.Sprintf("X%d", i)).Add()
	}
	want := map[string]float64{
		"postern_things_total": 3, "postern_open": 3, "postern_commands_total NOOP": 1,
		"postern_commands_total FETCH": 0, "postern_commands_total other": 100,
	}
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help text", f.GetName())
		}
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s = %v, want %v", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("figures: %v", got)
	}

	var none *Registry
	none.Counter("a", "b").Add()
	none.CounterBy("a", "b", "c").Of("d").Add()

	defer func() {
		if recover() == nil {
			t.Error("one name with two meanings was accepted")
		}
	}()
	r.Gauge("postern_things_total", "Things done.")
}

func TestTranscript(t *testing.T) {
	var out bytes.Buffer
	clock := func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 5e6, time.UTC) }
	set := NewTranscripts(&out, slog.New(slog.DiscardHandler), clock)
	local := netip.MustParseAddr("127.0.0.1")

	if set.Open("S1", local, "ada@example.org").On() {
		t.Fatal("on before anybody was selected")
	}
	var off *Transcript
	off.Client([]byte("a NOOP\r\n"))
	off.Note("nothing")
	if (*Transcripts)(nil).Open("S1", local, "") != nil {
		t.Fatal("nil switch is on")
	}

	set.Select([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []string{"ada@example.org"})
	if set.Open("S2", netip.MustParseAddr("192.0.2.1"), "").On() {
		t.Error("on for a network that was not selected")
	}
	if !set.Open("S3", netip.MustParseAddr("192.0.2.1"), "ada@example.org").On() {
		t.Error("off for a user that was selected")
	}
	tr := set.Open("S4", netip.MustParseAddr("::ffff:127.0.0.1"), "")
	if !tr.On() {
		t.Fatal("off for a network that was selected")
	}
	line := []byte("a LOGIN ada hunter2\r\n")
	tr.Client(line, Secret{12, 19})
	tr.Client(line, Secret{12, 99})
	tr.Client(line, Secret{15, 19}, Secret{12, 15})
	tr.Server([]byte("a OK done\r\n"))
	tr.Client([]byte("x \x00\xff\r\nforged\r\n"))
	tr.Note("TLS started")
	set.Select(nil, nil)
	tr.Note("still written")

	const at = "2026-11-23T12:00:00.005Z S4 "
	want := at + "C: a LOGIN ada [secret]\n" +
		at + "C: [secret]\n" +
		at + "C: [secret]\n" +
		at + "S: a OK done\n" +
		at + `C: x \x00\xff\r\nforged` + "\n" +
		at + "-: TLS started\n" +
		at + "-: still written\n"
	if out.String() != want {
		t.Errorf("transcript:\n%s\nwant:\n%s", out.String(), want)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the password was written down")
	}
}

func TestTranscriptIsBoundedAndSaysWhenItFails(t *testing.T) {
	var out, logged bytes.Buffer
	set := NewTranscripts(&out, slog.New(slog.NewTextHandler(&logged, nil)), time.Now)
	everybody := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	set.Select(everybody, nil)
	tr := set.Open("S", netip.MustParseAddr("192.0.2.1"), "")
	tr.Client(bytes.Repeat([]byte("a"), 1<<20))
	if n := out.Len(); n > maxTranscriptLine+200 {
		t.Errorf("%d bytes were written", n)
	}
	if !strings.Contains(out.String(), "(1048576 bytes)") {
		t.Error("the cut is not said")
	}

	set.out = brokenWriter{}
	tr.Note("one")
	tr.Note("two")
	if n := strings.Count(logged.String(), "transcript cannot be written"); n != 1 {
		t.Errorf("the fault was logged %d times", n)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
