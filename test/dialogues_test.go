// Package test holds the tests that look at Postern from outside, over sockets, as its users do.
package test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postern/test/dialogue"
	"postern/test/peer"
)

// Every dialogue of test/dialogues goes as written with Postern.
func TestDialogues(t *testing.T) {
	playAll(t, peer.Postern(t))
}

// Every dialogue goes as written with Debian's Dovecot, or says why not. This test is about our dialogues, not about
// Dovecot: an expectation no other server fulfils is likely to be our own invention.
func TestDialoguesDovecot(t *testing.T) {
	playAll(t, peer.Dovecot(t))
}

// Every dialogue goes as written with Debian's Cyrus too, or says why not.
func TestDialoguesCyrus(t *testing.T) {
	playAll(t, peer.Cyrus(t))
}

// passOver are lines that another server says at every turn and that mean nothing to a client that has no use for them.
var passOver = map[string][]*regexp.Regexp{
	"cyrus": {
		// With every SELECT: response codes of extensions the dialogues are not about, which a client must pass over
		// (RFC 3501 7.1; RFC 4467 8, RFC 5257 4.1).
		regexp.MustCompile(`^\* OK \[(URLMECH INTERNAL|ANNOTATIONS [0-9]+)\] `),
		// What it renames, in words for people.
		regexp.MustCompile(`^\* OK rename `),
		// The flags of what was stored with .SILENT as well. A server "SHOULD" leave that out (RFC 3501 6.4.6), and a
		// client must take flags at any time (7).
		regexp.MustCompile(`^\* [0-9]+ FETCH \(FLAGS \([^()]*\)( UID [0-9]+)?\)$`),
	},
}

func playAll(t *testing.T, server *peer.Server) {
	files := dialogues(t)
	if len(files) == 0 {
		t.Fatal("there are no dialogues under test/dialogues")
	}
	for _, path := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "dialogues/"), ".dialogue")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, server, path)
		})
	}
}

func play(t *testing.T, server *peer.Server, path string) {
	target := dialogue.Target{
		Server: server.Name, Plain: server.Plain, TLS: server.TLS, TLSConfig: server.TLSConfig(t),
		PassOver:   passOver[server.Name],
		NewAccount: func() (string, string) { return server.NewAccount(t) },
		SetQuota:   server.SetQuota(t),
	}
	if server.Name == "postern" {
		target.NewAdministrator = func() (string, string) { return server.NewAdministrator(t) }
	}
	err := dialogue.Play(t.Context(), parse(t, path), target)
	var unfit *dialogue.Unfit
	if errors.As(err, &unfit) && server.Name != "postern" {
		// What another server lacks is no suite of ours that was left out.
		t.Log(unfit)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
}

// dialogues lists the dialogue files below this directory.
func dialogues(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("dialogues", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".dialogue") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
