package delivery

import (
	"context"
	"errors"
	"time"
)

// A delivery is unsure when its message is stored but the client may not know:
// the connection broke between our reply and the client's next octet. The client
// will hand the same octets over again. For unsureFor they are known on the
// shelf, and the repeat is answered as delivered without storing it again. A
// message that merely looks alike never meets a note: notes are made only for
// deliveries whose connection broke, and each is good for one repeat.
const (
	unsureFor    = 24 * time.Hour
	unsurePrefix = "lmtp/unsure/"
)

// Receipt is proof of a delivery, until the client is known to have it. The zero
// Receipt is of nothing.
type Receipt struct {
	agent  *Agent
	stored []string // keys of what was stored
}

// Arrived says that the client has the replies: it has sent something since.
func (r Receipt) Arrived() {}

// Lost says that the connection broke before anything told that the replies
// arrived.
func (r Receipt) Lost(ctx context.Context) error {
	if len(r.stored) == 0 {
		return nil
	}
	return r.agent.note(ctx, r.stored)
}

// note remembers deliveries as unsure.
func (a *Agent) note(ctx context.Context, keys []string) error {
	var errs []error
	expires := a.o.Now().Add(unsureFor)
	for _, k := range keys {
		errs = append(errs, a.o.Notes.Leave(ctx, k, expires))
	}
	return errors.Join(errs...)
}

// noteUnsure remembers what was stored for a recipient that has failed.
func (a *Agent) noteUnsure(ctx context.Context, stored []target, keys func(target) string) error {
	var names []string
	for _, t := range stored {
		names = append(names, keys(t))
	}
	return a.note(ctx, names)
}
