package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/bench"
)

// The command line becomes a configuration: the port, the password's line, the users.
func TestBenchConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("a b\"c\r\nanother line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string]string{
		"mail.example.org": "mail.example.org:993", "mail.example.org:1993": "mail.example.org:1993",
		"::1": "[::1]:993", "[::1]": "[::1]:993", "[::1]:1993": "[::1]:1993",
	} {
		b := benchCommand{Server: server, User: []string{"a@x", "b@x"}, PasswordFile: file}
		cfg, err := b.config()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Address != want || cfg.TLS == nil || cfg.TLS.InsecureSkipVerify || strings.Contains(cfg.TLS.ServerName, "93") {
			t.Errorf("%s: %s, %+v", server, cfg.Address, cfg.TLS)
		}
		if len(cfg.Users) != 2 || cfg.Users[1] != (bench.Credential{Name: "b@x", Password: `a b"c`}) {
			t.Errorf("users %+v", cfg.Users)
		}
	}
	b := benchCommand{Server: "x", User: []string{"a@x"}, PasswordFile: file, CA: file}
	if _, err := b.config(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a file without a certificate: %v", err)
	}
	b = benchCommand{Server: "x", User: []string{"a\r\nb NOOP"}, PasswordFile: file}
	if _, err := b.config(); err == nil {
		t.Error("a name of two lines")
	}
}

// The help names every profile, and what is missing is an error of usage.
func TestBenchHelp(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run([]string{"bench", "--help"}, nil, &out, &errOut); code != 0 {
		t.Errorf("exit code %d", code)
	}
	names, help := bench.Profiles()
	for i := range names {
		if !strings.Contains(out.String(), names[i]) || !strings.Contains(out.String(), strings.Fields(help[i])[0]) {
			t.Errorf("help lacks %s:\n%s", names[i], out.String())
		}
	}
	if code := run([]string{"bench", "127.0.0.1"}, nil, &out, &errOut); code != exitUsage {
		t.Errorf("without a user: exit code %d", code)
	}
}

// Away from a terminal a line is told for each new thing, and for an old one every half minute.
func TestBenchPace(t *testing.T) {
	var out bytes.Buffer
	p := &benchPace{t: &terminal{err: &out}}
	for _, at := range []bench.Progress{{Doing: "a", Done: 1}, {Doing: "a", Done: 2, Elapsed: 29 * time.Second},
		{Doing: "b", Done: 3, Total: 4, Elapsed: 29 * time.Second}, {Doing: "b", Done: 4, Total: 4, Elapsed: 60 * time.Second}} {
		p.tell(at)
	}
	want := "postern: a  1  (0s)\npostern: b  3 of 4  (29s)\npostern: b  4 of 4  (1m0s)\n"
	if out.String() != want {
		t.Errorf("told %q, want %q", out.String(), want)
	}
}
