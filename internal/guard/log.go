package guard

import (
	"context"
	"log/slog"

	"postern/internal/observe"
)

// line is a line of the log.
type line struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

// tell keeps a line for the log: nobody waits for a lock because a log is slow.
func (g *Guard) tell(level slog.Level, text string, attrs ...slog.Attr) {
	g.said = append(g.said, line{level, text, attrs})
}

// unlock frees the lock, and then logs.
func (g *Guard) unlock() {
	said := g.said
	g.said = nil
	g.mu.Unlock()
	for _, l := range said {
		g.o.Log.LogAttrs(context.Background(), l.level, l.text, l.attrs...)
	}
}

func inNetwork(n network) slog.Attr { return slog.String(observe.KeyNetwork, n.String()) }

func (g *Guard) tellAttack(on bool, now uint32) {
	failing := g.load.window.count(now)
	if on {
		g.tell(slog.LevelWarn, "strangers fail at many accounts: an attack is under way", slog.Int(observe.KeyCount, failing))
		return
	}
	g.tell(slog.LevelInfo, "the attack is over", slog.Int(observe.KeyCount, failing))
}
