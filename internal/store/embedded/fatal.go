package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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

// exit is the Fatal nobody replaced.
func exit(message string) {
	fmt.Fprintln(os.Stderr, "postern: "+message)
	os.Exit(74) // EX_IOERR of sysexits.h
}
