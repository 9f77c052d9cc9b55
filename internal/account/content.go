package account

import (
	"context"
	"errors"
	"io"
	"sync"

	"postern/internal/mail"
	"postern/internal/message"
	"postern/internal/search"
)

// Content is a stored and parsed message body that is not in any mailbox yet, or
// in some already: it is made once and appended to as many mailboxes of as many
// accounts as are to have it.
type Content struct {
	pool    *Pool
	ref     mail.BodyRef
	size    int64
	summary []byte // what is the same in everybody's summary record

	relatives search.Relatives

	mu    sync.Mutex
	taken map[mail.AccountID]bool // accounts that bear, or may come to bear, ref's mark
}

// Keep stores a message's body and parses it, in one pass and in bounded memory.
// An error of r comes back as it is; mail.TooBig if r gives more than
// Limits.MessageSize.
func (p *Pool) Keep(ctx context.Context, r io.Reader) (*Content, error) {
	parser := message.NewParser()
	bounded := &boundedReader{r: r, left: p.o.Limits.MessageSize, limit: p.o.Limits.MessageSize}
	head := new(headReader)
	ref, size, err := p.store.Bodies().Put(ctx, io.TeeReader(bounded, io.MultiWriter(parser, head)))
	if err != nil {
		return nil, err
	}
	c := &Content{pool: p, ref: ref, size: size}
	summary, err := parser.Close()
	if err != nil {
		c.Abandon(ctx)
		return nil, err
	}
	preview, err := p.preview(ctx, summary, head, ref)
	if ctx.Err() != nil {
		c.Abandon(ctx)
		return nil, ctx.Err()
	}
	// A preview that could not be made now is made when it is asked for.
	c.summary = encodeContent(summary, preview, err == nil)
	c.relatives = search.RelativesOf(summary.Envelope.MessageID.Value, summary.Envelope.InReplyTo.Value, summary.References.Value)
	return c, nil
}

// boundedReader gives mail.TooBig where io.LimitedReader would say the end.
type boundedReader struct {
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(buf []byte) (int, error) {
	// One octet more than may come shows whether there is one.
	if int64(len(buf)) > b.left+1 {
		buf = buf[:b.left+1]
	}
	n, err := b.r.Read(buf)
	if int64(n) > b.left {
		return int(b.left), mail.Errorf(mail.TooBig, "the message is larger than %d octets", b.limit)
	}
	b.left -= int64(n)
	return n, err
}

// Size is the length of the body in octets, without any prefix.
func (c *Content) Size() int64 { return c.size }

// Held is how many octets of memory the content takes, about, which it does until
// it is appended or forgotten.
func (c *Content) Held() int { return 512 + len(c.summary) }

// Abandon says that the content will not be appended (any more). It may always
// be called, also after it was appended.
func (c *Content) Abandon(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.taken) == 0 {
		c.pool.store.Bodies().Abandon(ctx, c.ref)
	}
}

// bodyFor gives a body for one message of an account. Within an account a body
// belongs to one MessageID and no other, so that its mark goes exactly when that
// message does; whoever appends the same content to the same account again gets
// a copy of the body. That is rare (one mail to two names of one owner), and a
// count beside the mark would be one more thing to keep right.
func (c *Content) bodyFor(ctx context.Context, id mail.AccountID) (mail.BodyRef, error) {
	c.mu.Lock()
	first := !c.taken[id]
	if first {
		if c.taken == nil {
			c.taken = map[mail.AccountID]bool{}
		}
		c.taken[id] = true
	}
	c.mu.Unlock()
	if first {
		return c.ref, nil
	}
	bodies := c.pool.store.Bodies()
	body, err := bodies.Open(ctx, c.ref)
	if err != nil {
		if mail.KindOf(err) == mail.NotFound {
			err = mail.Wrap(err, mail.Unavailable, "the message waited too long to be stored")
		}
		return mail.BodyRef{}, err
	}
	ref, _, err := bodies.Put(ctx, io.NewSectionReader(body, 0, body.Size()))
	return ref, errors.Join(err, body.Close())
}

// untake takes back bodyFor where the append has certainly failed.
func (c *Content) untake(ctx context.Context, id mail.AccountID, ref mail.BodyRef) {
	if ref != c.ref {
		c.pool.store.Bodies().Abandon(ctx, ref)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.taken, id)
}
