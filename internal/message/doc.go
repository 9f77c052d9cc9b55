// Package message reads Internet mail: RFC 5322 headers and MIME bodies.
//
// A message is parsed once, when it arrives, in one pass over its bytes and in
// memory that does not grow with its size. What comes out is a [Summary]: the
// envelope, the tree of MIME parts with the offset of each, and what sorting
// and searching want to know. Everything later is cut from the stored bytes by
// those offsets ([Summary.Section]), so a FETCH of a body section parses
// nothing again.
//
//	p := message.NewParser()
//	io.Copy(io.MultiWriter(spool, p), conn)   // parse while storing
//	summary, err := p.Close()
//
// # Broken mail
//
// Mail in the world is often wrong, and the people it was sent to want to read
// it all the same. So nothing here fails because of what a message contains:
// every sequence of bytes has a Summary. The only errors are those of the
// reader underneath. Where the RFCs leave a choice, or senders ignore them,
// docs/decisions/0002-mime-corner-cases.md says what was chosen and why.
//
// # Hostile mail
//
// All parsers are iterative or bounded in depth, linear in their input, and
// stop at the limits named in limits.go. Past a limit the rest is dropped from
// the Summary or reported as application/octet-stream; the stored bytes are
// never touched. The tree of parts cannot be cyclic: parts are created by a
// stack that only moves forward, and each part's range lies inside its
// parent's.
//
// # Line ends
//
// A line ends with LF, with or without a CR before it. Stored bytes are never
// changed, so sizes and offsets count what is stored, and a bare CR is content.
package message
