package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"

	"postern/internal/auth"
	"postern/internal/imapserver"
	"postern/internal/observe"
)

// signedIn records an attempt to sign in. It is what auth.Config.Watch wants.
func (t *auditTrail) signedIn(ctx context.Context, try auth.Attempt) {
	if t == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("outcome", string(try.Result)),
		observe.Session(try.Peer.Session), observe.Remote(try.Peer.Remote),
		slog.String(observe.KeyNetwork, auditNetwork(try.Peer.Remote.Addr())),
		slog.String(observe.KeyMechanism, try.Mechanism),
	}
	switch {
	case try.Account != 0:
		attrs = append(attrs, observe.Account(try.Account), observe.Text(observe.KeyUser, try.User))
	case try.Given != "":
		attrs = append(attrs, slog.String("unknown_user", t.nameKeyed(try.Given)))
	}
	if try.Peer.Service != "" {
		attrs = append(attrs, observe.Text(observe.KeyService, try.Peer.Service))
	}
	if try.As != "" {
		attrs = append(attrs, observe.Text(observe.KeyAs, try.As))
	}
	if try.App != "" {
		attrs = append(attrs, observe.Text("app_password", try.App))
	}
	if try.Verdict != "" {
		attrs = append(attrs, slog.String(observe.KeyGuard, try.Verdict))
	}
	if try.Peer.Client != 0 {
		attrs = append(attrs, slog.String("client_class", fmt.Sprintf("%016x", try.Peer.Client)))
	}
	if state := try.Peer.TLS; state != nil {
		attrs = append(attrs, slog.String(observe.KeyTLS, tls.VersionName(state.Version)), slog.String("tls_group", state.CurveID.String()))
	}
	t.record(ctx, "sign-in", attrs...)
}

// auditNetwork is the network that one can count by: what a provider gives to one customer or one office.
func auditNetwork(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return "local"
	case addr.Is4():
		return netip.PrefixFrom(addr, 24).Masked().String()
	}
	return netip.PrefixFrom(addr.WithZone(""), 56).Masked().String()
}

// quotaSet records that an administrator of quotas changed an account's limits over IMAP. It is what
// imapserver.Options.QuotaSet wants.
func (t *auditTrail) quotaSet(ctx context.Context, q imapserver.QuotaChange) {
	t.record(ctx, "quota-set", slog.String("by", "imap"), observe.Session(q.Session), observe.Remote(q.Remote),
		observe.Account(q.Account), observe.Text(observe.KeyUser, q.User), observe.Text("root", q.Root), observe.Text("limits", q.Limits))
}

// granted records that somebody changed who may do what with a mailbox. It is what imapserver.Options.Granted wants.
func (t *auditTrail) granted(ctx context.Context, g imapserver.Grant) {
	t.record(ctx, "acl-set", slog.String("by", "imap"), observe.Session(g.Session), observe.Remote(g.Remote),
		observe.Account(g.Account), observe.Text(observe.KeyUser, g.User),
		observe.Text(observe.KeyMailbox, g.Mailbox), observe.Text("who", g.Identifier), slog.String("rights", g.Rights))
}
