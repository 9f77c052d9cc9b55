package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"postern/cmd/postern/config"
	"postern/internal/observe"
)

// logbook is the server's log. Its level can be changed while it is in use.
type logbook struct {
	*slog.Logger
	level slog.LevelVar
	queue *logQueue
}

// openLog makes the log: text for people, JSON for machines. The journal has
// times of its own, and levels that journalctl -p asks for, so text for it has
// no time and begins with its level as sd-daemon(3) writes it.
func openLog(w io.Writer, c config.Log, metrics *observe.Registry) *logbook {
	b := new(logbook)
	b.setLevel(c.Level)
	dropped := metrics.Counter("postern_log_lines_dropped_total", "Lines of the log that were lost because whoever reads it did not keep up, or could not be written.")
	b.queue = newLogQueue(w, dropped.AddN, func(lines uint64) {
		b.Warn("lines of the log were lost", slog.Uint64(observe.KeyCount, lines))
	})
	o := &slog.HandlerOptions{Level: &b.level}
	switch {
	case c.Format == "json":
		b.Logger = slog.New(slog.NewJSONHandler(b.queue, o))
	case c.Format == "auto" && isJournal(w, os.Getenv("JOURNAL_STREAM")):
		b.Logger = slog.New(newJournalHandler(b.queue, o))
	default:
		b.Logger = slog.New(slog.NewTextHandler(b.queue, o))
	}
	return b
}

// setLevel puts a level of the configuration in force.
func (b *logbook) setLevel(name string) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	b.level.Set(level)
}

// close writes what is left.
func (b *logbook) close() { b.queue.close() }

// isJournal reports whether w is the stream that systemd connected to the
// journal and names in JOURNAL_STREAM, as DEVICE:INODE (systemd.exec(5)).
func isJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", st.Dev, st.Ino) == stream
}

// journalHandler writes each record with the text handler of its level, whose
// lines begin with that level.
type journalHandler struct{ debug, info, warn, err slog.Handler }

func newJournalHandler(w io.Writer, o *slog.HandlerOptions) *journalHandler {
	bare := *o
	bare.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	at := func(prefix string) slog.Handler { return slog.NewTextHandler(prefixed{w, prefix}, &bare) }
	return &journalHandler{debug: at("<7>"), info: at("<6>"), warn: at("<4>"), err: at("<3>")}
}

func (h *journalHandler) of(level slog.Level) slog.Handler {
	switch {
	case level >= slog.LevelError:
		return h.err
	case level >= slog.LevelWarn:
		return h.warn
	case level >= slog.LevelInfo:
		return h.info
	}
	return h.debug
}

// Enabled reports whether records of the level are written.
func (h *journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.of(level).Enabled(ctx, level)
}

// Handle writes a record.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

// WithAttrs gives a handler whose records have these attributes too.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.each(func(one slog.Handler) slog.Handler { return one.WithAttrs(attrs) })
}

// WithGroup gives a handler whose records' attributes are in a group.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return h.each(func(one slog.Handler) slog.Handler { return one.WithGroup(name) })
}

func (h *journalHandler) each(change func(slog.Handler) slog.Handler) slog.Handler {
	return &journalHandler{debug: change(h.debug), info: change(h.info), warn: change(h.warn), err: change(h.err)}
}

// prefixed writes each line with something before it. A slog handler writes a
// record with one call.
type prefixed struct {
	w      io.Writer
	prefix string
}

// Write writes the line.
func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
