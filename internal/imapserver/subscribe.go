package imapserver

import "context"

// subscribe is the command SUBSCRIBE (RFC 9051 6.3.7). The name need not be that
// of a mailbox; it stays subscribed to when the mailbox goes.
func (s *session) subscribe(*command) error { return s.setSubscription(true) }

// unsubscribe is the command UNSUBSCRIBE (RFC 9051 6.3.8).
func (s *session) unsubscribe(*command) error { return s.setSubscription(false) }

func (s *session) setSubscription(on bool) error {
	var name string
	if !s.r.ExpectMailboxArgs(&name) {
		return s.r.Err()
	}
	_, err := patiently(s.ctx, s, func(ctx context.Context) (without, error) {
		return without{}, s.account.Subscribe(ctx, name, on)
	})
	if err != nil {
		return err
	}
	s.knowsSubscribed(name, on)
	return nil
}
