package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"postern/internal/bench"
)

// The marks between which the table stands.
const (
	beginMark = "<!-- what follows is written by bench/compare -->"
	endMark   = "<!-- end of what bench/compare writes -->"
)

// key names a row over all contenders and rounds.
type key struct{ profile, operation, state string }

// cell is the median of one contender for one row.
type cell struct {
	perSecond, cpu, p50, p99, each float64 // cpu in milliseconds for one operation; each in KiB
	note                           string
	wrong                          []string
	there                          bool
}

// wanted are the ratios that are aimed at, by profile and operation: times less processor time, and times per second.
var wanted = map[string]string{
	"mixed commands in long sessions":                               "3 / 1.5",
	"login sessions of connect, LOGIN, SELECT, three FETCH, LOGOUT": "4",
	"append APPEND":                         "3 / 2",
	"lmtp delivery":                         "5 / 3",
	"big FETCH 1:* (UID FLAGS)":             "4",
	"big FETCH 1:* (UID ENVELOPE)":          "4",
	"big FETCH 1:* BODYSTRUCTURE":           "3",
	"big SEARCH UNSEEN":                     "5",
	"big SEARCH SUBJECT, in at most 1 %":    "8",
	"big SORT (REVERSE DATE)":               "3",
	"big THREAD REFERENCES":                 "5",
	"big SEARCH BODY, in at most 1 %":       "50",
	"big SEARCH BODY, in none":              "50",
	"big SEARCH BODY, in half":              "2",
	"big SEARCH TEXT, in at most 1 %":       "50",
	"big STORE 1:* +FLAGS":                  "2",
	"big STORE 1:* +FLAGS.SILENT":           "2",
	"big FETCH 1:1000 BODY.PEEK[] of 10 KB": "1.5",
	"big FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE and header fields)": "3",
}

// table writes everything that stands between the marks.
func (o *options) table(results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Written %s by `%s` on %s.\n\n", time.Now().Format("2 Jan 2006"), command(), machine())
	for _, r := range results {
		fmt.Fprintf(&b, "* **%s**: %s; %s\n", r.Name, r.Version, strings.Join(r.Settings, "; "))
	}
	fmt.Fprintf(&b, "\nRounds: %d, of which the medians stand here. TLS 1.3 with X25519 on both sides; everything else as it comes. CPU is the server's "+
		"processes together, until they are at rest. \"Ratio\" is Postern against the best of the others for that row: how many "+
		"times less CPU an operation takes (and, after the slash, how many times more of them a second); above 1 Postern is ahead. "+
		"\"Aim\" is what it is to become.\n", o.rounds)
	keys := allKeys(results)
	section(&b, "\nOperations per second / milliseconds of CPU for one:\n\n", keys, results,
		func(k key) bool { return slices.Contains([]string{"mixed", "login", "append", "lmtp"}, k.profile) },
		func(c cell) string { return fmt.Sprintf("%s / %s", figure(c.perSecond), figure(c.cpu)) }, true)
	section(&b, fmt.Sprintf("\nOne mailbox of %d messages, cold (the first after a restart, the system's own cache warm) and warm "+
		"(a new connection): milliseconds by the clock / of CPU:\n\n", o.messages), keys, results,
		func(k key) bool { return k.profile == "big" && k.state != "" },
		func(c cell) string { return fmt.Sprintf("%s / %s", figure(c.p50), figure(c.cpu)) }, false)
	section(&b, "\nFilling it by one connection that waits for every OK, messages per second / milliseconds of CPU for one:\n\n",
		keys, results, func(k key) bool { return k.profile == "big" && k.state == "" },
		func(c cell) string { return fmt.Sprintf("%s / %s", figure(c.perSecond), figure(c.cpu)) }, true)
	section(&b, "\nNews, milliseconds, median / p99:\n\n", keys, results, func(k key) bool { return k.profile == "push" },
		func(c cell) string { return fmt.Sprintf("%s / %s", figure(c.p50), figure(c.p99)) }, false)
	section(&b, fmt.Sprintf("\n%d idle connections, KiB (PSS) for each:\n\n", o.idle), keys, results,
		func(k key) bool { return k.profile == "idle" }, func(c cell) string { return figure(c.each) }, false)
	complaints(&b, results)
	return b.String()
}

// command is how to run it again.
func command() string {
	words := []string{"go run ./bench/compare"}
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "raw" && f.Name != "out" && f.Name != "postern" {
			words = append(words, "-"+f.Name+" "+f.Value.String())
		}
	})
	return strings.Join(words, " ")
}

// machine names the processor and the system.
func machine() string {
	model := "an unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), model, bytes.TrimSpace(kernel), runtime.Version())
}

func allKeys(results []result) []key {
	var keys []key
	for _, r := range results {
		for _, rows := range r.Rounds {
			for _, row := range rows {
				if k := (key{row.Profile, row.Operation, row.State}); !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
		}
	}
	return keys
}

// section writes one table.
func section(b *strings.Builder, title string, keys []key, results []result, mine func(key) bool, show func(cell) string, perSecond bool) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k key) bool { return !mine(k) })
	if len(keys) == 0 {
		return
	}
	b.WriteString(title + "|")
	for _, r := range results {
		b.WriteString(" | " + r.Name)
	}
	b.WriteString(" | ratio | aim |\n|---" + strings.Repeat("|---", len(results)+2) + "|\n")
	for _, k := range keys {
		b.WriteString("| " + strings.TrimSpace(k.operation+" **"+k.state+"**"))
		var cells []cell
		for _, r := range results {
			c := median(r, k)
			cells = append(cells, c)
			switch {
			case !c.there:
				b.WriteString(" | -")
			case len(c.wrong) > 0:
				b.WriteString(" | wrong")
			case c.note == bench.NotAnnounced:
				b.WriteString(" | none")
			default:
				b.WriteString(" | " + show(c))
			}
		}
		fmt.Fprintf(b, " | %s | %s |\n", ratio(cells, k.profile, perSecond), wanted[k.profile+" "+k.operation])
	}
	text := strings.ReplaceAll(b.String(), " ****", "")
	b.Reset()
	b.WriteString(text)
}

// median gives one contender's medians for a row.
func median(r result, k key) cell {
	var c cell
	var perSecond, cpu, p50, p99, each []float64
	for _, rows := range r.Rounds {
		for _, row := range rows {
			if (key{row.Profile, row.Operation, row.State}) != k {
				continue
			}
			c.there, c.note, c.wrong = true, row.Note, append(c.wrong, row.Wrong...)
			perSecond = append(perSecond, row.PerSecond)
			cpu = append(cpu, value(row.CPUMillis))
			each = append(each, value(row.PSSKiBEach))
			if row.Latency != nil {
				p50, p99 = append(p50, row.Latency.P50), append(p99, row.Latency.P99)
			}
		}
	}
	c.perSecond, c.cpu, c.p50, c.p99, c.each = middle(perSecond), middle(cpu), middle(p50), middle(p99), middle(each)
	return c
}

func value(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

func middle(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2
	}
	return list[len(list)/2]
}

// ratio compares the first with the best of the others.
func ratio(cells []cell, profile string, perSecond bool) string {
	cost := func(c cell) float64 { // what is less is better
		switch profile {
		case "push":
			return c.p50
		case "idle":
			return c.each
		}
		return c.cpu
	}
	best, fastest := 0.0, 0.0
	for _, c := range cells[1:] {
		if v := cost(c); c.there && len(c.wrong) == 0 && v > 0 && (best == 0 || v < best) {
			best = v
		}
		if c.there && len(c.wrong) == 0 {
			fastest = max(fastest, c.perSecond)
		}
	}
	ours := cells[0]
	if !ours.there || best == 0 || cost(ours) == 0 {
		return ""
	}
	s := figure(best / cost(ours))
	if perSecond && fastest > 0 {
		s += " / " + figure(ours.perSecond/fastest)
	}
	return s
}

// complaints lists what was wrong or failed.
func complaints(b *strings.Builder, results []result) {
	for _, r := range results {
		known := map[string]bool{}
		list := slices.Clone(r.Failed)
		for _, rows := range r.Rounds {
			for _, w := range (&bench.Report{Rows: rows}).Wrong() {
				list = append(list, "wrong answer: "+w)
			}
		}
		for _, what := range list {
			if what = strings.ReplaceAll(what, "\n", " "); !known[what] && len(known) < 8 {
				if len(known) == 0 {
					fmt.Fprintf(b, "\n%s:\n\n", r.Name)
				}
				known[what] = true
				fmt.Fprintf(b, "* %s\n", what)
			}
		}
	}
}

// figure writes a number with three digits that count.
func figure(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

// replace puts text between the marks of a file.
func replace(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), beginMark)
	_, tail, there := strings.Cut(rest, endMark)
	if !ok || !there {
		return fmt.Errorf("%s has no marks for the table, which is:\n%s", file, text)
	}
	return os.WriteFile(file, []byte(head+beginMark+"\n\n"+text+"\n"+endMark+tail), 0o644)
}
