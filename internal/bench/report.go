package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run found, in the order in which it was measured.
type Report struct {
	Server  string // what was measured: its address
	Seed    uint64 // of the corpus
	Began   time.Time
	Rows    []Row
	Stopped bool `json:",omitempty"` // the run was broken off: what it had not measured by then is missing
}

// Row is one operation. Processor time and memory are those of the server's processes; they are absent without a pid.
type Row struct {
	Profile, Operation string
	State              string   `json:",omitempty"` // "cold" or "warm", for the big mailbox
	Operations         int64    // done and checked
	Seconds            float64  // by the clock; of operations one after another the sum of their times
	PerSecond          float64  // Operations by Seconds
	Latency            *Latency `json:",omitempty"`
	Octets             int64    `json:",omitempty"` // of mail moved
	CPUSeconds         *float64 `json:",omitempty"` // until the server was at rest again
	CPUMillis          *float64 `json:",omitempty"` // for one operation
	PSSKiB             *float64 `json:",omitempty"` // of the whole server afterwards
	PSSKiBEach         *float64 `json:",omitempty"` // for one idle connection: what it added
	Note               string   `json:",omitempty"`
	Wrong              []string `json:",omitempty"` // answers that cannot be right, or refusals
}

// Latency is what a client waited, in milliseconds.
type Latency struct{ P50, P95, P99, Max float64 }

// latency sorts the times and gives the nearest ranks.
func latency(times []time.Duration) *Latency {
	if len(times) == 0 {
		return nil
	}
	slices.Sort(times)
	rank := func(percent int) float64 {
		at := (len(times)*percent + 99) / 100
		return millis(times[max(at, 1)-1])
	}
	return &Latency{rank(50), rank(95), rank(99), millis(times[len(times)-1])}
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

// Wrong lists what the server got wrong, with the operation it was at.
func (r *Report) Wrong() []string {
	var all []string
	for _, row := range r.Rows {
		for _, w := range row.Wrong {
			all = append(all, row.Profile+" "+row.Operation+": "+w)
		}
	}
	return all
}

// Print writes the report as a table for people.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\toperations\tper second\tp50 ms\tp95 ms\tp99 ms\tCPU ms each\tper CPU s\tPSS MiB\t\n")
	for _, row := range r.Rows {
		name := strings.TrimSpace(row.Profile + ": " + row.Operation + " " + row.State)
		fmt.Fprintf(t, "%s\t%d\t%s\t", name, row.Operations, figure(row.PerSecond))
		if l := row.Latency; l != nil {
			fmt.Fprintf(t, "%s\t%s\t%s\t", figure(l.P50), figure(l.P95), figure(l.P99))
		} else {
			fmt.Fprint(t, "\t\t\t")
		}
		if row.CPUMillis != nil && *row.CPUMillis > 0 {
			fmt.Fprintf(t, "%s\t%s\t", figure(*row.CPUMillis), figure(1000 / *row.CPUMillis))
		} else {
			fmt.Fprint(t, "\t\t")
		}
		if row.PSSKiB != nil {
			fmt.Fprint(t, figure(*row.PSSKiB/1024))
		}
		fmt.Fprintf(t, "\t%s\n", row.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, wrong := range r.Wrong() {
		if _, err := fmt.Fprintln(w, "WRONG", wrong); err != nil {
			return err
		}
	}
	return nil
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
