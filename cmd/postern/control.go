package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"postern/internal/mail"
)

// An operation is one administrative act: the same code runs in the server when
// one runs on the data directory, reached through the control socket, and in the
// command itself otherwise. Args is the operation's own JSON; body streams what
// comes with it (messages to import); what it has to say goes to out.
type operation func(ctx context.Context, in *instance, args json.RawMessage, body io.Reader, out *answer) error

// answer takes what an operation says, a line at a time.
type answer struct{ emit func(answerLine) error }

// answerLine is one line of an answer: a line of text, or how far it has come.
type answerLine struct {
	Text     string `json:"text,omitempty"`
	Done     int64  `json:"done,omitempty"`
	Total    int64  `json:"total,omitempty"` // 0: unknown
	Progress bool   `json:"progress,omitempty"`
	Failed   string `json:"failed,omitempty"` // the last line of an operation that failed
	Kind     string `json:"kind,omitempty"`
	End      bool   `json:"end,omitempty"` // the last line of one that did not
}

// printf says a line of text.
func (a *answer) printf(format string, args ...any) error {
	return a.emit(answerLine{Text: fmt.Sprintf(format, args...)})
}

// progress says how far the operation has come.
func (a *answer) progress(done, total int64, text string) error {
	return a.emit(answerLine{Done: done, Total: total, Text: text, Progress: true})
}

// serveControl answers on the control socket until ctx ends. The socket's mode
// is its only guard: whoever may open it is the administrator.
func serveControl(ctx context.Context, path string, in *instance, log *slog.Logger) (stop func(), err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // its directory is 0700 meanwhile
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{operation}", func(w http.ResponseWriter, r *http.Request) { answerControl(w, r, in, log) })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket closed", "error", err)
		}
	}()
	return func() {
		server.Close()
		<-done
	}, nil
}

func answerControl(w http.ResponseWriter, r *http.Request, in *instance, log *slog.Logger) {
	name := r.PathValue("operation")
	op, ok := operations[name]
	if !ok {
		http.Error(w, "this server knows no operation "+name, http.StatusNotFound)
		return
	}
	// Read side and write side run at once: an import answers while it reads. A
	// connection used so is not used again.
	w.Header().Set("Connection", "close")
	control := http.NewResponseController(w)
	control.EnableFullDuplex()
	encode := json.NewEncoder(w)
	emit := func(l answerLine) error {
		if err := encode.Encode(l); err != nil {
			return err
		}
		return control.Flush()
	}
	body := bufio.NewReaderSize(r.Body, 64<<10)
	args, err := body.ReadBytes('\n') // the arguments are the first line, the body follows
	if err != nil {
		http.Error(w, "arguments missing", http.StatusBadRequest)
		return
	}
	err = op(r.Context(), in, args, body, &answer{emit})
	last := answerLine{End: true}
	if err != nil {
		last = answerLine{Failed: err.Error(), Kind: mail.KindOf(err).String()}
		log.Warn("control operation failed", "operation", name, "error", err)
	}
	emit(last) // a client that went away needs no answer
}

// callControl runs an operation in the server that holds the data directory. It
// gives errNoServer when none answers there.
func callControl(ctx context.Context, path, name string, args any, body io.Reader, each func(answerLine) error) error {
	line, err := json.Marshal(args)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	reader := io.Reader(bytes.NewReader(append(line, '\n')))
	if body != nil {
		reader = io.MultiReader(reader, body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern/"+name, io.NopCloser(reader))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return errNoServer
		}
		return fmt.Errorf("the server's control socket %s: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return fmt.Errorf("the running server answered: %s", text)
	}
	decode := json.NewDecoder(response.Body)
	for {
		var l answerLine
		if err := decode.Decode(&l); err != nil {
			return fmt.Errorf("the server went away before the operation ended: %w", err)
		}
		switch {
		case l.End:
			return nil
		case l.Failed != "":
			return errors.New(l.Failed)
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

var errNoServer = errors.New("no server answers on the control socket")

// controlPath is where the control socket of a data directory is.
func controlPath(socket, data string) string {
	if socket != "" {
		return socket
	}
	return filepath.Join(data, "control.sock")
}
