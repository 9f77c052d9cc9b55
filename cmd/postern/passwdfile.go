package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"postern/internal/mail"
)

// passwdEntry is a line of a passwd-file as Dovecot reads it:
//
//	user:password:uid:gid:(gecos):home:(shell):extra_fields
//
// of which all but the first may be missing.
type passwdEntry struct {
	line     int
	user     string
	password string   // as it is kept, with its scheme if the line has one
	locked   bool     // there is no password that anybody could give
	refused  string   // why Dovecot lets nobody in who knows the password; "" if it does
	noted    []string // extra fields that mean something in Dovecot and are left aside
}

// longestPasswdLine is how long a line may be, in octets.
const longestPasswdLine = 64 << 10

// readPasswdFile gives each line of a passwd-file that is an entry, or what is wrong
// with it. What each gives ends it.
func readPasswdFile(r io.Reader, each func(e passwdEntry, mistake error) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestPasswdLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parsePasswdLine(line)
		e.line = n
		if err := each(e, err); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the passwd-file: %w", err)
	}
	return nil
}

func parsePasswdLine(line string) (e passwdEntry, err error) {
	part := strings.SplitN(line, ":", 8)
	e.user = part[0]
	if len(part) < 2 {
		return e, mail.Errorf(mail.Invalid, "it has no password: a line is user:password:...")
	}
	e.password = part[1]
	switch e.password {
	case "", "*", "x", "!", "!!", "!*", "*LK*", "*NP*":
		e.locked, e.password = true, ""
	}
	if strings.HasPrefix(e.password, "!") { // as passwd -l locks it
		e.locked, e.password = true, ""
	}
	if len(part) < 8 {
		return e, nil
	}
	for _, extra := range strings.Fields(part[7]) {
		name, value, _ := strings.Cut(extra, "=")
		bare, _ := strings.CutPrefix(name, "userdb_")
		switch {
		case name == "nologin":
			e.refused = "nologin"
		case name == "nopassword":
			return e, mail.Errorf(mail.Invalid, "it says nopassword, so that everybody gets in: Postern has no such accounts")
		case name == "password":
			e.locked, e.password = false, value
		case name == "allow_nets", name == "proxy", name == "proxy_maybe", name == "host", name == "master",
			strings.HasPrefix(bare, "quota_"), bare == "acl_groups", bare == "user", name == "pass":
			e.noted = append(e.noted, name)
		}
	}
	return e, nil
}
