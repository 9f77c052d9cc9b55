package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// newPassword asks for a password twice on a terminal, or reads one line of
// standard input. It is never an argument: arguments are seen by everybody.
func (t *terminal) newPassword(account string) (string, error) {
	fd, interactive := t.prompts()
	if !interactive {
		line, err := bufio.NewReader(t.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", errors.New("no password on standard input")
		}
		return line, nil
	}
	first, err := t.ask(fd, "New password for "+account+": ")
	if err != nil {
		return "", err
	}
	second, err := t.ask(fd, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the passwords differ: nothing was changed")
	}
	return first, nil
}

// ask reads a line without showing it.
func (t *terminal) ask(fd int, prompt string) (string, error) {
	fmt.Fprint(t.err, prompt) // a prompt that cannot be written shows when reading
	line, err := term.ReadPassword(fd)
	fmt.Fprintln(t.err)
	return string(line), err
}

// prompts reports whether somebody can be asked.
func (t *terminal) prompts() (fd int, ok bool) {
	f, isFile := t.in.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// confirm wants the word typed before something is done that cannot be undone.
func (t *terminal) confirm(question, word string) error {
	if _, ok := t.prompts(); !ok {
		return errors.New("nobody can be asked here: say --yes")
	}
	fmt.Fprint(t.err, question)
	line, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != word {
		return errors.New("nothing was changed")
	}
	return nil
}
