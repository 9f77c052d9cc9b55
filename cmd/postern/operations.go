package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"postern/cmd/postern/config"
	"postern/internal/mail"
	"postern/internal/store/embedded"
)

// operations are all administrative acts, by the name they go by on the control
// socket.
var operations = map[string]operation{
	"account-add":    accountAdd,
	"account-import": accountImport,
	"account-list":   accountList,
	"account-passwd": onAccount(accountPasswd),
	"account-rename": onAccount(accountRename),
	"account-remove": onAccount(accountRemove),
	"account-erase":  onAccount(accountErase),
	"deleted-list":   onDeleted(deletedList),
	"deleted-back":   onDeleted(deletedBack),
	"account-quota":  accountQuota,
	"app-add":        onApp(appAdd),
	"app-list":       onApp(appList),
	"app-remove":     onApp(appRemove),
	"alias-add":      aliasAdd,
	"alias-list":     aliasList,
	"alias-remove":   aliasRemove,
	"mailbox-list":   mailboxList,
	"mailbox-status": mailboxStatus,
	"mailbox-create": mailboxCreate,
	"mailbox-rename": mailboxRename,
	"mailbox-delete": mailboxDelete,
	"mailbox-limit":  mailboxLimit,
	"acl-list":       aclList,
	"acl-set":        aclSet,
	"policy-explain": onAccount(policyExplain),
	"status":         tellStatus,
	"guard-status":   guardStatus,
	"guard-explain":  onAccount(guardExplain),
	"guard-forget":   guardForget,
	"guard-allow":    guardAllow,
	"index-status":   indexStatus,
	"index-rebuild":  indexRebuild,
	"metadata-list":  metadataList,
	"metadata-set":   metadataSet,
	"metadata-unset": metadataUnset,
	"check":          checkStore,
	"backup":         backUp,
	"import-plan":    importPlan,
	"import":         importMail,
	"export":         exportMail,
}

// administer runs an operation: in the server that holds the data directory, or
// here if none does. What it says goes to each.
func (c *commands) administer(ctx context.Context, name string, args any, body io.Reader, each func(answerLine) error) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.Data); errors.Is(err, fs.ErrNotExist) { // made here it would be in the wrong place, or the wrong user's
		return setupErrorf("there is no data directory %s: name the right one with --data or --config, or start the server once, which makes it", cfg.Data)
	}
	if err := becomeOwner(cfg.Data); err != nil {
		return err
	}
	err = callControl(ctx, controlPath(cfg.Control.Socket, cfg.Data), name, args, body, each)
	if !errors.Is(err, errNoServer) {
		return err
	}
	return operateHere(ctx, cfg, name, args, body, each)
}

// operateHere runs an operation in this process.
func operateHere(ctx context.Context, cfg config.Config, name string, args any, body io.Reader, each func(answerLine) error) error {
	in, err := openInstance(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		var locked *embedded.LockedError
		if errors.As(err, &locked) {
			return fmt.Errorf("%w (and its control socket does not answer)", err)
		}
		return err
	}
	line, err := json.Marshal(args)
	if err != nil {
		return errors.Join(err, in.close())
	}
	if body == nil {
		body = bytes.NewReader(nil)
	}
	return errors.Join(in.perform(ctx, name, line, body, &answer{each}), in.close())
}

// printing writes what an operation says to the terminal.
func (t *terminal) printing(l answerLine) error {
	if l.Progress {
		return nil
	}
	_, err := fmt.Fprintln(t.out, l.Text)
	return err
}

// decode reads an operation's arguments.
func decode[T any](args json.RawMessage) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(args))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, mail.Wrap(err, mail.Invalid, "the arguments are not understood: the command and the server are of different versions")
	}
	return v, nil
}

// about puts before an error what it is about, unless it says so itself.
func about(name string, err error) error {
	if err == nil || name == "" || strings.Contains(" "+err.Error()+" ", " "+name+" ") {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
