package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"postern/internal/mail"
	"postern/internal/observe"
)

// audited are the operations that the trail records, each with those of its arguments that it shows. None is a secret,
// and what is not here is not shown.
var audited = map[string][]string{
	"account-add":    {"Account", "Shared"},
	"account-import": {"File", "Domain", "Replace", "DryRun"},
	"account-passwd": {"Account"},
	"account-rename": {"Account", "To"},
	"account-remove": {"Account"},
	"account-erase":  {"Account"},
	"deleted-back":   {"Account", "Since", "Mailboxes", "Into"},
	"account-quota":  {"Account", "Storage", "Messages", "Mailboxes"},
	"app-add":        {"Account", "Name", "ReadOnly", "Expires", "Networks"},
	"app-remove":     {"Account", "Name"},
	"alias-add":      {"Alias", "Accounts"},
	"alias-remove":   {"Alias"},
	"mailbox-create": {"Account", "Mailbox", "Use"},
	"mailbox-rename": {"Account", "Mailbox", "To"},
	"mailbox-delete": {"Account", "Mailbox"},
	"mailbox-limit":  {"Account", "Mailbox", "Limit"},
	"acl-set":        {"Account", "Mailbox", "Who", "Rights"},
	"guard-forget":   {"What"},
	"guard-allow":    {"Network", "Remove"},
	"metadata-set":   {"Entry"},
	"metadata-unset": {"Entry"},
	"backup":         {"Dir"},
	"import":         {"Account", "Source", "Folders"},
	"export":         {"Account", "Mailboxes"},
}

// unaudited are those that change nothing and take no mail away.
var unaudited = []string{"account-list", "app-list", "alias-list", "mailbox-list", "mailbox-status", "deleted-list", "acl-list",
	"status", "policy-explain", "guard-status", "guard-explain", "index-status", "index-rebuild", "metadata-list", "check", "import-plan"}

// perform runs an operation, and records it where it is one to record.
func (in *instance) perform(ctx context.Context, name string, args json.RawMessage, body io.Reader, out *answer) error {
	err := operations[name](ctx, in, args, body, out)
	shown, ok := audited[name]
	if !ok || in.audit == nil {
		return err
	}
	attrs := []slog.Attr{slog.String("by", "administrator"), slog.Int64("uid", administratorOf(ctx))}
	if err == nil {
		attrs = append(attrs, slog.String("outcome", "done"))
	} else {
		attrs = append(attrs, slog.String("outcome", strings.ReplaceAll(mail.KindOf(err).String(), " ", "_")), observe.Error(err))
	}
	in.audit.record(ctx, name, append(attrs, auditArgs(args, shown))...)
	return err
}

// auditArgs gives the arguments that are shown.
func auditArgs(args json.RawMessage, shown []string) slog.Attr {
	var all map[string]json.RawMessage
	if json.Unmarshal(args, &all) != nil {
		return slog.Attr{} // its error says so
	}
	var attrs []any
	for _, key := range shown {
		value, ok := all[key]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(value, &text) == nil {
			attrs = append(attrs, observe.Text(key, text))
		} else {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	return slog.Group("arguments", attrs...)
}

// administrator is the key of a context under which is who asked for an operation.
type administrator struct{}

// withAdministrator notes whose process is at the other end of the control socket.
func withAdministrator(ctx context.Context, c net.Conn) context.Context {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx
	}
	uid := int64(-1)
	err = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int64(peer.Uid)
		}
	})
	if err != nil || uid < 0 {
		return ctx
	}
	return context.WithValue(ctx, administrator{}, uid)
}

// administratorOf gives the user ID of who asked for an operation: our own where no socket lies between.
func administratorOf(ctx context.Context) int64 {
	if uid, ok := ctx.Value(administrator{}).(int64); ok {
		return uid
	}
	return int64(os.Getuid())
}
