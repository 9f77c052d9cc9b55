package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// paced gives a function that says how far an operation has come, not more often
// than is worth a line. failed is told when nobody hears it any more.
func (a *answer) paced(text string, failed func(error)) func(done, total int64) {
	said := int64(-1)
	return func(done, total int64) {
		if said >= 0 && done < total && done-said < total/200+1 {
			return
		}
		said = done
		if err := a.progress(done, total, text); err != nil {
			failed(err)
		}
	}
}

// meter prints what an operation says to standard output, and how far it has come
// to standard error: as a bar on a terminal, otherwise a line for each tenth, or for
// each thousand where the total is unknown.
type meter struct {
	t     *terminal
	bar   *progressbar.ProgressBar // nil: none, or no terminal
	live  bool
	text  string
	tenth int64
	next  int64 // where the total is unknown
}

func (t *terminal) meter() *meter {
	f, ok := t.err.(*os.File)
	return &meter{t: t, live: ok && term.IsTerminal(int(f.Fd()))}
}

// each takes a line of an answer.
func (m *meter) each(l answerLine) error {
	if !l.Progress {
		if m.bar != nil {
			_ = m.bar.Clear() // a bar that stays is ugly, no more
		}
		_, err := fmt.Fprintln(m.t.out, l.Text)
		return err
	}
	if l.Text != m.text {
		m.done()
		m.text, m.tenth, m.next = l.Text, 0, 1000
	}
	if m.live {
		return m.draw(l)
	}
	if l.Total <= 0 {
		if l.Done < m.next {
			return nil
		}
		m.next = l.Done + 1000
		_, err := fmt.Fprintf(m.t.err, "postern: %s: %d\n", l.Text, l.Done)
		return err
	}
	if tenth := l.Done * 10 / l.Total; tenth > m.tenth {
		m.tenth = tenth
		_, err := fmt.Fprintf(m.t.err, "postern: %s %d %%\n", l.Text, min(tenth, 10)*10)
		return err
	}
	return nil
}

func (m *meter) draw(l answerLine) error {
	if m.bar == nil {
		m.bar = progressbar.NewOptions64(max(l.Total, 1), progressbar.OptionSetWriter(m.t.err),
			progressbar.OptionSetDescription(l.Text), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
	}
	if l.Total > 0 && m.bar.GetMax64() != l.Total {
		m.bar.ChangeMax64(l.Total)
	}
	return m.bar.Set64(min(l.Done, m.bar.GetMax64()))
}

// done takes the bar away.
func (m *meter) done() {
	if m.bar != nil {
		_ = m.bar.Clear() // likewise
		m.bar = nil
	}
}

// octets writes a size for people.
func octets(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d octets", n)
}

// drain reads what comes with an operation that takes nothing, so that the
// control socket notices when the other side goes away.
func drain(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}
