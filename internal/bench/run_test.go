package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every profile runs, does what it was told to, finds nothing wrong with a server that is right, and leaves nothing
// behind.
func TestProfiles(t *testing.T) {
	w := newWorld(t, 2)
	report, err := Run(t.Context(), w.config())
	if err != nil {
		t.Fatal(err)
	}
	if wrong := report.Wrong(); wrong != nil {
		t.Errorf("wrong: %q", wrong)
	}
	rows := map[string]Row{}
	for _, row := range report.Rows {
		name := row.Profile + " " + row.Operation
		if _, twice := rows[name]; twice {
			t.Errorf("%s stands there twice", name)
		}
		rows[name] = row
		if row.Operations == 0 && row.Note == "" {
			t.Errorf("%s: nothing was done", name)
		}
		if row.CPUMillis != nil {
			t.Errorf("%s: processor time of an unknown process", name)
		}
	}
	names, _ := Profiles()
	for _, p := range names {
		if !slices.ContainsFunc(report.Rows, func(r Row) bool { return r.Profile == p }) {
			t.Errorf("there is no row of %s", p)
		}
	}
	for name, want := range map[string]int64{
		"lmtp delivery":                         w.delivered.Load(),
		"push last octet of APPEND to EXISTS":   4,
		"push last octet of APPEND to its OK":   4,
		"idle TLS connections in IDLE":          5,
		"big filling, one connection":           150,
		"big SELECT":                            20,
		"big SEARCH UNSEEN":                     20,
		"big FETCH 1:* (UID FLAGS)":             2,
		"big SEARCH BODY, in at most 1 %":       2,
		"big SEARCH BODY, in none":              2,
		"big SEARCH BODY, in half":              2,
		"big SEARCH SUBJECT, in at most 1 %":    2,
		"big STORE 1:* +FLAGS":                  2,
		"big SORT (REVERSE DATE)":               2,
		"big THREAD REFERENCES":                 2,
		"big FETCH 1:1000 BODY.PEEK[] of 10 KB": 2,
	} {
		if got := rows[name].Operations; got != want {
			t.Errorf("%s: %d operations, want %d (%+v)", name, got, want, rows[name])
		}
	}
	if got := rows["big FETCH 1:1000 BODY.PEEK[] of 10 KB"].Octets; got != 2*bodyMessages*bodySize {
		t.Errorf("%d octets of bodies", got)
	}
	for u := range w.users {
		for name, n := range w.mailboxes(u) {
			if n != 0 || strings.Contains(name, "bench") {
				t.Errorf("%s is left with %d messages", name, n)
			}
		}
	}
	prints(t, report)
}

// prints looks at both forms of the report.
func prints(t *testing.T, report *Report) {
	t.Helper()
	var table bytes.Buffer
	if err := report.Print(&table); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(table.String(), "\n"); lines != len(report.Rows)+1 {
		t.Errorf("%d lines for %d rows:\n%s", lines, len(report.Rows), table.String())
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || len(again.Rows) != len(report.Rows) {
		t.Errorf("%v: %d rows of %d", err, len(again.Rows), len(report.Rows))
	}
}

// The big mailbox can be filled once, and measured cold and warm later.
func TestBigInSteps(t *testing.T) {
	w := newWorld(t, 1)
	cfg := w.config("big")
	cfg.Cold, cfg.Keep = true, true
	if report, err := Run(t.Context(), cfg); err == nil {
		t.Errorf("a mailbox that is not there was measured: %+v", report.Rows)
	}
	cfg.Cold = false
	if _, err := FillBig(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Cold = true
	cold, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Cold, cfg.Keep = false, false
	warm, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := append(cold.Wrong(), warm.Wrong()...); wrong != nil {
		t.Errorf("wrong: %q", wrong)
	}
	for i, row := range cold.Rows {
		if row.State != "cold" || row.Operations != 1 {
			t.Errorf("cold: %+v", row)
		}
		if row.Operation != warm.Rows[i].Operation || warm.Rows[i].State != "warm" {
			t.Errorf("warm: %+v beside %s: was it filled again?", warm.Rows[i], row.Operation)
		}
	}
}

// Wrong answers are found out, each by what it should have been.
func TestWrongAnswers(t *testing.T) {
	replace := func(pattern, by string) func(string) string {
		expr := regexp.MustCompile(pattern)
		return func(line string) string { return expr.ReplaceAllString(line, by) }
	}
	cases := []struct {
		name, profile string
		alter         func(string) string
		want          string
	}{
		{"a message that is not found", "big", replace(`^\* SEARCH \d+`, "* SEARCH"), `SEARCH UNSEEN found \d+ messages, a scan \d+ \(\d+ is missing\)`},
		{"a message too much", "big", replace(`^\* SEARCH *(.*)\r`, "* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12\r"), `a scan \d+ \(\d+ is`},
		{"no answer to SEARCH", "big", replace(`^\* SEARCH .*\r\n`, ""), `is missing`},
		{"a message that is not fetched", "big", replace(`^\* 7 FETCH \(UID \d+ FLAGS.*\n`, ""), `149 of 150 messages came`},
		{"a message fetched twice", "big", replace(`^(\* 7 FETCH \(UID \d+ FLAGS.*\n)`, "$1$1"), `message 7 was fetched twice`},
		{"UIDs in no order", "big", replace(`^\* 7 FETCH \(UID \d+ `, "* 7 FETCH (UID 3 "), `UID 3 after 6`},
		{"a flag that is lost", "big", replace(`^(\* \d+ FETCH \(UID \d+ FLAGS.*)\\Seen`, "$1\\Draft"), `150 messages are without \\Seen`},
		{"a wrong size", "big", replace(`RFC822.SIZE \d+`, "RFC822.SIZE 1"), `RFC822.SIZE of message 1 is 1`},
		{"an order that is none", "big", replace(`^\* SORT (\d+) (.*) (\d+)\r`, "* SORT $3 $2 $1\r"), `before the later`},
		{"threads without a message", "big", replace(`^(\* THREAD.*\D)7(\D)`, "${1}8$2"), `message 8 is listed twice`},
		{"a STORE that is refused", "big", replace(`^(b\d+) OK (.*STORE.*)`, "$1 NO $2"), `STORE`},
		{"mail that is lost", "append", replace(`MESSAGES \d+`, "MESSAGES 0"), `has 0 messages, \d+ were acknowledged`},
		{"mail that is altered", "mixed", replace(`^Message-ID: <`, "Message-id: <"), `is not what was appended`},
		{"a STATUS without its answer", "mixed", replace(`^\* STATUS.*\n`, ""), `STATUS without its answer`},
		{"news of too many", "push", replace(`^\* (\d+) EXISTS`, "* ${1}0 EXISTS"), `EXISTS says`},
		{"deliveries that are lost", "lmtp", replace(`^\* SEARCH \d+`, "* SEARCH"), `messages, \d+ were acknowledged`},
	}
	w := newWorld(t, 1)
	if _, err := FillBig(t.Context(), w.config("big")); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := w.config(c.profile)
			cfg.Address, cfg.TLS, cfg.Repeat, cfg.Connections = liar(t, w.net.Addrs("plain")[0].String(), c.alter), nil, 1, 1
			cfg.Keep = true
			report, err := Run(t.Context(), cfg)
			if err != nil && !isWrong(err) {
				t.Fatal(err)
			}
			got := strings.Join(report.Wrong(), "\n")
			if err != nil {
				got += err.Error()
			}
			if !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("found out: %s\nwant %s", got, c.want)
			}
		})
	}
}

// A run that is stopped says what it had measured and takes its mailboxes away.
func TestStop(t *testing.T) {
	w := newWorld(t, 1)
	for _, at := range []struct{ name, profile, line string }{
		{"while filling", "big", "APPENDUID"},
		{"while fetching", "big", "ENVELOPE"},
		{"while idling", "idle", "+ idling"},
		{"in long sessions", "mixed", "RFC822.SIZE"},
		{"while appending", "append", "APPENDUID"},
	} {
		t.Run(at.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := w.config(at.profile)
			cfg.TLS = nil
			cfg.For, cfg.IdleWait = time.Hour, time.Hour
			cfg.Address = liar(t, w.net.Addrs("plain")[0].String(), func(line string) string {
				if strings.Contains(line, at.line) {
					cancel()
				}
				return line
			})
			report, err := Run(ctx, cfg)
			if !errors.Is(err, context.Canceled) || report == nil || !report.Stopped {
				t.Errorf("%v, %+v", err, report)
			}
			for name := range w.mailboxes(0) {
				if strings.Contains(name, "bench") {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// Progress is told while a run lasts, and not after.
func TestProgress(t *testing.T) {
	w := newWorld(t, 1)
	cfg := w.config("idle")
	cfg.IdleWait = 1200 * time.Millisecond // two ticks
	over := false
	var told []string
	cfg.Progress = func(p Progress) {
		if over {
			t.Error("told after the end")
		}
		told = append(told, p.String())
	}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	over = true
	if len(told) == 0 || !strings.HasPrefix(told[len(told)-1], "idle: waiting") {
		t.Errorf("told: %q", told)
	}
}

func TestBadConfig(t *testing.T) {
	user := []Credential{{"a", "b"}}
	for want, cfg := range map[string]Config{
		"no user":              {Address: "127.0.0.1:1"},
		"no profile \"speed\"": {Address: "127.0.0.1:1", Users: user, Profiles: []string{"speed"}},
		"LMTP":                 {Address: "127.0.0.1:1", Users: user, Profiles: []string{"lmtp"}},
		"too few":              {Address: "127.0.0.1:1", Users: user, Messages: -1},
		"no process":           {Address: "127.0.0.1:1", Users: user, PID: 1 << 30},
	} {
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
