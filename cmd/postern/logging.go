package main

import (
	"io"
	"log/slog"

	"postern/cmd/postern/config"
)

// newLog makes the log: text for people, JSON for machines. Under systemd the
// journal has its own times, and text reads well there too.
func newLog(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration was checked
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
