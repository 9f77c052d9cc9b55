// Package terms reads and writes segments of the text index: which messages of a
// range may contain a string, and which certainly do. It is pure: it reads an
// io.ReaderAt and writes an io.Writer.
//
// A segment is a dictionary of the terms that occur in its messages, each with the
// list of the messages it is in. A string is found as a substring because the whole
// dictionary is searched for it: it is some hundred times smaller than the text, and
// lies in memory or in one piece on disk. Terms are of two kinds (cut.go):
//
//   - words, whole: runs of letters and digits of scripts that put space between
//     words, up to maxWord octets;
//   - grams: overlapping pieces of two or three characters, of longer runs and of
//     scripts that are written without spaces. These are the trigrams other indexes
//     make of everything; docs/decisions/0043-text-index.md says why this one does not.
//
// Text comes folded (package search folds it), cut into pieces anywhere between
// characters. What a field number stands for is the caller's affair.
//
// A Builder makes a segment of messages, Merge one of several, a Segment is read.
// segment.go describes the form of the file. Everything in it is covered by
// checksums; ErrDamaged says that one does not agree.
package terms
