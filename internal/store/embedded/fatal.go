package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// engineLog is what pebble logs to. pebble calls Fatalf when it can no longer
// promise anything: a failed fsync of its log, a manifest that cannot be
// written.
type engineLog struct{ s *Store }

// Infof implements pebble.Logger.
func (l engineLog) Infof(format string, args ...any) {
	if l.s.o.Log.Enabled(context.Background(), slog.LevelDebug) {
		l.s.o.Log.Debug("storage engine: " + fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l engineLog) Errorf(format string, args ...any) {
	l.s.o.Log.Error("storage engine: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger.
func (l engineLog) Fatalf(format string, args ...any) {
	l.s.failed.Store(true)
	l.s.o.Fatal(fmt.Sprintf("the store in %s cannot go on, and the server ends so that nothing is acknowledged that is not kept. "+
		"Once the cause is gone, starting it again is safe. The storage engine says: ", l.s.dir) + fmt.Sprintf(format, args...))
}

// failedFlushes is how many flushes may fail one after another. pebble tries
// again at once and for ever, and every commit waits meanwhile: a server that
// neither works nor ends. What was not flushed is in the log.
const failedFlushes = 20

// events is what pebble tells of its work in the background.
func (l engineLog) events() *pebble.EventListener {
	var failed atomic.Int64
	return &pebble.EventListener{
		FlushEnd: func(i pebble.FlushInfo) {
			if i.Err == nil {
				failed.Store(0)
				return
			}
			switch failed.Add(1) {
			case 1:
				l.Errorf("a flush failed and is tried again: %v", i.Err)
			case failedFlushes:
				l.Fatalf("%d flushes failed one after another: %v", failedFlushes, i.Err)
			}
		},
		CompactionEnd: func(i pebble.CompactionInfo) {
			if i.Err != nil {
				l.s.o.Log.Warn("storage engine: a compaction failed and is tried again", "error", i.Err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			l.s.o.Log.Error("storage engine: a file is damaged", "file", i.Path, "error", i.Details)
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			l.s.o.Log.Warn("storage engine: writes wait for compaction", "reason", i.Reason)
		},
	}
}

// exit is the Fatal nobody replaced.
func exit(message string) {
	fmt.Fprintln(os.Stderr, "postern: "+message)
	os.Exit(74) // EX_IOERR of sysexits.h
}
