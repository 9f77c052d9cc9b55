// Package search answers the questions SEARCH, SORT and THREAD ask: does this
// message match (RFC 3501 and RFC 9051 6.4.4), in which order are these, and which
// belong together (RFC 5256)?
//
// Compile turns mail.Criteria into a Program, once per command. A Program knows
// which of its keys a mailbox's row can answer, which need the message's
// Summary and which need its text, and asks in that order. Most searches are
// over with the rows (Program.MatchRow); for those that are not, an Evaluator
// asks the message's Source for more, and reads a body once however many keys
// look at it, no further than the answer takes.
//
// # What text is compared
//
// Text is compared after decoding: encoded words, transfer encodings and
// charsets undone by package message, markup left in. Both sides are then folded
// as i;unicode-casemap (RFC 5051) says, so that "ÉTÉ" finds "été" however the
// accents are written, and a string matches if it is found anywhere: RFC
// substrings, not words. Text is streamed; memory does not depend on its length,
// and time is linear in it.
//
// docs/decisions/0008-search-and-views.md says what the keys look at where the
// RFCs leave a choice.
//
// # Order and threads
//
// A Sorter and a Threader are given one message after the other, in the order of
// the mailbox: a Heading of each, filled in as far as they need it. Then they give
// all of them, sorted or as a forest. They hold no more of a message than they
// compare it by; references and texts are bounded whoever wrote them. Start at
// basesubject.go, then sort.go, then thread.go, of which every algorithm has a file.
// Choices are in docs/decisions/0017-sort-and-thread.md.
package search
