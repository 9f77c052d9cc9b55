// Package observe is how Postern can be watched: counters with a help text,
// the names under which things appear in logs, references that lead from a
// client's error message to the log line that explains it, and transcripts of
// single sessions.
//
// It keeps three rules for everybody who uses it. What a stranger sent never
// reaches a log as it came (Quote, Untrusted). A password never reaches a log
// or a transcript at all. And nothing here is global: a Registry, a Transcripts
// and a slog.Logger are values that the roof makes and hands down, so that two
// servers in one process do not mix their figures.
package observe
