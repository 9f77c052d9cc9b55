//go:build !linux

package imapserver

import "time"

var started = time.Now()

// threadTime is the time that went by, where the system's clocks of threads are
// not asked: waiting counts as work.
func threadTime() time.Duration { return time.Since(started) }
