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
	"sync"
	"syscall"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
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
	Data     []byte `json:"data,omitempty"` // for the command, not for people
	End      bool   `json:"end,omitempty"`  // the last line of one that did not
}

// printf says a line of text.
func (a *answer) printf(format string, args ...any) error {
	return a.emit(answerLine{Text: fmt.Sprintf(format, args...)})
}

// progress says how far the operation has come.
func (a *answer) progress(done, total int64, text string) error {
	return a.emit(answerLine{Done: done, Total: total, Text: text, Progress: true})
}

// controlPatience is how long operations under way may take to notice that the
// server stops.
const controlPatience = 10 * time.Second

// serveControl answers on the control socket until stop is called. The socket's
// mode is its only guard: whoever may open it is the administrator.
func serveControl(ctx context.Context, path string, in *instance) (stop func(), err error) {
	listener, err := listenControl(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	mux := http.NewServeMux()
	profiles(mux)
	mux.HandleFunc("POST /{operation}", func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		answerControl(w, r, in)
	})
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withAdministrator,
		ErrorLog:          slog.NewLogLogger(in.log.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			in.log.Error("control socket closed", observe.Error(err))
		}
	}()
	return func() {
		cancel() // operations under way end, and say so to whoever waits for them
		patience, enough := context.WithTimeout(context.Background(), controlPatience)
		defer enough()
		if server.Shutdown(patience) != nil {
			server.Close()
		}
		<-done
		running.Wait() // the store is closed next
	}, nil
}

// listenControl opens the control socket. A file left behind by a server that
// died is replaced; a socket that answers, and whatever is no socket, is not.
func listenControl(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, setupErrorf("control socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, setupErrorf("control socket: %s exists and is no socket: remove it, or set control.socket", path)
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return nil, setupErrorf("control socket: another server answers on %s: stop it, or set control.socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, setupErrorf("control socket: %w", err)
		}
	}
	// The umask is 077, so nobody else can connect before the mode is set.
	listener, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EINVAL) {
		return nil, setupErrorf("control socket: the path %s is too long for a Unix socket: set control.socket to a shorter one", path)
	}
	if err != nil {
		return nil, setupErrorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(setupErrorf("control socket: %w", err), listener.Close())
	}
	return listener, nil
}

func answerControl(w http.ResponseWriter, r *http.Request, in *instance) {
	name := r.PathValue("operation")
	if _, ok := operations[name]; !ok {
		http.Error(w, "it knows no operation "+name, http.StatusNotFound)
		return
	}
	// Read side and write side run at once: an import answers while it reads. A
	// connection used so is not used again.
	w.Header().Set("Connection", "close")
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body := bufio.NewReaderSize(r.Body, 64<<10)
	args, err := body.ReadBytes('\n') // the arguments are the first line, the body follows
	if err != nil {
		http.Error(w, "arguments missing", http.StatusBadRequest)
		return
	}
	if r.ContentLength >= 0 {
		// Nothing else comes. Only once the end has been read does package http
		// notice that the command has gone away, and end the request's context.
		if _, err := body.WriteTo(io.Discard); err != nil {
			return // gone already
		}
	}
	encode := json.NewEncoder(w)
	emit := func(l answerLine) error {
		if err := encode.Encode(l); err != nil {
			return err
		}
		return control.Flush()
	}
	err = in.perform(r.Context(), name, args, body, &answer{emit})
	last := answerLine{End: true}
	if err != nil {
		last = answerLine{Failed: err.Error(), Kind: mail.KindOf(err).String()}
		in.log.Warn("control operation failed", slog.String("operation", name), observe.Error(err))
	}
	if err := emit(last); err != nil {
		in.log.Debug("the command went away before its answer", slog.String("operation", name), observe.Error(err))
	}
}

// callControl runs an operation in the server that holds the data directory. It
// gives errNoServer when none answers there.
func callControl(ctx context.Context, path, name string, args any, body io.Reader, each func(answerLine) error) error {
	line, err := json.Marshal(args)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern/"+name, bytes.NewReader(line))
	if err != nil {
		return err
	}
	if body != nil { // of unknown length
		request.Body, request.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(line), body)), -1
		request.GetBody = nil
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
		return errNoServer
	case errors.Is(err, fs.ErrPermission):
		return setupErrorf("the server's control socket %s: %w: run this as the server's user or as root", path, err)
	case err != nil:
		return fmt.Errorf("the server's control socket %s: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("the running server knows no operation %s: it is of another version than this command; restart it", name)
	}
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, 1024))
		return errors.Join(fmt.Errorf("the running server answered: %s", bytes.TrimSpace(text)), err)
	}
	return readAnswer(response.Body, each)
}

// readAnswer gives each line of an answer to each, and the error the operation
// ended with.
func readAnswer(r io.Reader, each func(answerLine) error) error {
	decode := json.NewDecoder(r)
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
