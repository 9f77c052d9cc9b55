package imapserver

import (
	"context"
	"strings"

	"postern/internal/account"
	"postern/internal/mail"
)

// rename is the command RENAME (RFC 9051 6.3.6). A session that has the mailbox
// selected goes on with it under its new name.
func (s *session) rename(*command) error {
	var from, to string
	if !s.r.ExpectSP() || !s.r.ExpectMailbox(&from) {
		return s.r.Err()
	}
	supplied := s.r.Denormalized()
	if !s.r.ExpectSP() || !s.r.ExpectMailbox(&to) {
		return s.r.Err()
	}
	if supplied == "" && s.r.Denormalized() != "" {
		supplied = from
	}
	if !s.r.ExpectCRLF() {
		return s.r.Err()
	}
	guest, inner, err := s.place(from)
	if err != nil {
		return err
	}
	target, err := s.renamed(guest, inner, from, to)
	if err != nil {
		return err
	}
	_, err = patiently(s.ctx, s, func(ctx context.Context) (without, error) {
		return without{}, guest.RenameMailbox(ctx, inner, target)
	})
	if err != nil {
		return err
	}
	renamed, err := s.mailbox(strings.TrimSuffix(to, string(mail.Separator)), mail.RightLookup)
	if err != nil {
		return nil // somebody has renamed it again: there is nothing to tell
	}
	info := renamed.Info()
	s.knowsRenamed(from, &info)
	s.tellOldName(supplied, &info)
	return nil
}

// renamed gives the new name of a mailbox within its account. It cannot go to
// another one; whether there is such another one is not looked at.
func (s *session) renamed(guest account.Guest, inner, from, to string) (string, error) {
	if _, err := guest.Mailbox(inner, mail.RightDeleteBox); err != nil {
		return "", err
	}
	prefix := strings.TrimSuffix(from, inner)
	target, within := strings.CutPrefix(to, prefix)
	space, _ := cutNamespace(to)
	if err := reserved(to); err != nil {
		return "", err
	}
	if !within || guest.IsOwner() && space != "" {
		return "", mail.Errorf(mail.Cannot, "a mailbox cannot go to another account")
	}
	return target, nil
}
