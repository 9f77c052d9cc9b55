package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// profiles serves what the Go runtime knows of this process to whoever may open the control socket. There is no other way
// to it. Profiles name functions and count; no mail and no secret is in them.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

type profileCommand struct {
	Kind   string        `arg:"" enum:"cpu,heap,allocs,goroutine,trace" help:"What to look at: cpu, heap (memory in use), allocs (memory ever taken), goroutine, or trace."`
	For    time.Duration `default:"30s" help:"How long to watch, for cpu and trace."`
	Output string        `short:"o" placeholder:"FILE" help:"Where to write it; otherwise postern-KIND.pprof here."`
}

// Run fetches a profile of the running server.
func (p profileCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	path, name := "/debug/pprof/"+p.Kind, p.Output
	if name == "" {
		name = "postern-" + p.Kind + ".pprof"
	}
	query := url.Values{}
	switch p.Kind {
	case "cpu":
		path = "/debug/pprof/profile"
		fallthrough
	case "trace":
		if p.For < time.Second {
			return errors.New("--for: at least one second")
		}
		query.Set("seconds", strconv.Itoa(int(p.For.Round(time.Second).Seconds())))
	case "heap":
		query.Set("gc", "1")
	}
	socket := controlPath(cfg.Control.Socket, cfg.Data)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://postern"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return setupErrorf("the server's control socket %s: %w: run this as the server's user or as root", socket, err)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server answers on %s: only a running one can be looked at", socket)
	case err != nil:
		return fmt.Errorf("the server's control socket %s: %w", socket, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the running server answered %s", response.Status)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%s is not whole: %w", name, err)
	}
	_, err = fmt.Fprintf(t.out, "%s: look at it with go tool %s\n", name, map[bool]string{true: "trace", false: "pprof"}[p.Kind == "trace"])
	return err
}
