package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"

	"postern/cmd/postern/config"
	"postern/internal/mail"
)

// operate runs an operation as administer does, but without giving up the rights
// of whoever runs the command: an import reads, and an export writes, files that
// may be root's alone. Where root runs it and no server does, the operation is
// done by a child that is the owner of the data directory.
func (c *commands) operate(ctx context.Context, name string, args any, body io.Reader, each func(answerLine) error) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if cfg.Store.Database == "" {
		if err := storeIsThere(cfg.Data); err != nil {
			return err
		}
	}
	err = callControl(ctx, controlPath(cfg.Control.Socket, cfg.Data), name, args, body, each)
	if !errors.Is(err, errNoServer) {
		return err
	}
	owner, err := otherOwner(cfg)
	if err != nil {
		return err
	}
	if owner == nil {
		return operateHere(ctx, cfg, name, args, body, each)
	}
	return c.operateAs(ctx, owner, name, args, body, each)
}

// otherOwner gives the owner of the data directory if it is somebody else and we
// are root.
func otherOwner(cfg config.Config) (*syscall.Credential, error) {
	info, err := os.Stat(cfg.Data)
	if err != nil {
		return nil, explainOpen(cfg.Data, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || !ok || owner.Uid == 0 {
		return nil, nil
	}
	return &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}, nil
}

// operateAs runs an operation in a child of ours that is somebody else.
func (c *commands) operateAs(ctx context.Context, who *syscall.Credential, name string, args any, body io.Reader, each func(answerLine) error) error {
	line, err := json.Marshal(args)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	flags := []string{"operate", name}
	if c.Config != "" {
		flags = append(flags, "--config", c.Config)
	}
	if c.Data != "" {
		flags = append(flags, "--data", c.Data)
	}
	child := exec.CommandContext(ctx, self, flags...)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	if body == nil {
		body = bytes.NewReader(nil)
	}
	child.Stdin = io.MultiReader(bytes.NewReader(append(line, '\n')), body)
	var complaint bytes.Buffer
	child.Stderr = &complaint
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("run as the owner of the data directory: %w", err)
	}
	answered := readAnswer(out, each)
	if answered != nil { // it may still be writing
		_, _ = io.Copy(io.Discard, out)
	}
	if err := child.Wait(); err != nil && answered == nil {
		return fmt.Errorf("as the owner of the data directory: %w: %s", err, complaint.Bytes())
	}
	if answered != nil && complaint.Len() > 0 {
		return fmt.Errorf("%w: %s", answered, complaint.Bytes())
	}
	return answered
}

// operateCommand is the child of operateAs: an operation between standard input
// and standard output.
type operateCommand struct {
	Name string `arg:""`
}

// Run runs the operation: its arguments are the first line of the input, its body
// the rest, its answer lines of JSON.
func (o operateCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	if _, known := operations[o.Name]; !known {
		return setupErrorf("there is no operation %s", o.Name)
	}
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	in, err := openInstance(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	body := bufio.NewReaderSize(t.in, 64<<10)
	args, err := body.ReadBytes('\n')
	if err != nil {
		return errors.Join(err, in.close())
	}
	encode := json.NewEncoder(t.out)
	err = in.perform(ctx, o.Name, args, body, &answer{func(l answerLine) error { return encode.Encode(l) }})
	err = errors.Join(err, in.close())
	if err != nil {
		return encode.Encode(answerLine{Failed: err.Error(), Kind: mail.KindOf(err).String()})
	}
	return encode.Encode(answerLine{End: true})
}
