// Package test holds the tests that look at Postern from outside, over sockets, as its users do.
package test

import (
	"errors"
	"io/fs"
	"path/filepath"
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
	err := dialogue.Play(t.Context(), parse(t, path), dialogue.Target{
		Server: server.Name, Plain: server.Plain, TLS: server.TLS, TLSConfig: server.TLSConfig(t),
		NewAccount: func() (string, string) { return server.NewAccount(t) },
	})
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
