package dialogue

import (
	"bufio"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A script is what the fake server of these tests does on each connection: it says "S ..." lines, reads a line for
// each "C ..." and demands it, and ends the connection at "END". LOGIN and LOGOUT, which the player says on its own, it
// answers by itself.
type script []string

func (s script) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Error(err)
		return
	}
	reader := bufio.NewReader(conn)
	say := func(text string) { _, _ = conn.Write([]byte(text)) } // a player that hung up has failed already
	say("* OK hello\r\n")
	read := func() (string, bool) {
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return "", false
			}
			line = strings.TrimSuffix(line, "\r\n")
			tag, command, _ := strings.Cut(line, " ")
			switch {
			case strings.HasPrefix(command, "LOGIN "):
				say(tag + " OK in\r\n")
				continue
			case command == "LOGOUT":
				say("* BYE\r\n" + tag + " OK out\r\n")
				return "", false
			}
			return line, true
		}
	}
	for _, act := range s {
		kind, text, _ := strings.Cut(act, " ")
		switch kind {
		case "S":
			say(text)
		case "C":
			line, ok := read()
			if !ok {
				return
			}
			if line != text {
				say("* BAD the client said " + line + "\r\n")
			}
		case "END":
			return
		}
	}
	read()
}

// playAgainst plays text against a server that follows s. An Await of several clients is served one after the other.
func playAgainst(t *testing.T, s script, text string) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { s.serve(t, conn) })
		}
	})
	defer sessions.Wait()
	defer listener.Close()
	d, err := Parse("test.dialogue", []byte("transport: plain\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return Play(t.Context(), d, Target{
		Server: "dovecot", Plain: listener.Addr().String(), Patience: 2 * time.Second,
		PassOver:   []*regexp.Regexp{regexp.MustCompile(`^\* OK \[X-WORDS\] `)},
		NewAccount: func() (string, string) { return "fred", "secret" },
	})
}

func TestPlay(t *testing.T) {
	noop := script{"C a NOOP", "S * 3 EXISTS\r\n", "S * 1 RECENT\r\n", "S a OK done\r\n"}
	cases := []struct {
		name   string
		script script
		text   string
		want   string // part of the failure; "" for success
	}{
		{"as written", noop, "C: a NOOP\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\n", ""},
		{"in another order", noop, "C: a NOOP\nS: * 1 RECENT\nS: * 3 EXISTS\nS: a OK ...\n", "test.dialogue:3: against dovecot"},
		{"in another order, which is allowed", noop, "C: a NOOP\nS*: * 1 RECENT\nS*: * 3 EXISTS\nS: a OK ...\n", ""},
		{"a line too many", noop, "C: a NOOP\nS: * 3 EXISTS\nS: a OK ...\n", "got     * 1 RECENT"},
		{"an unordered line too many", noop, "C: a NOOP\nS*: * 3 EXISTS\nS: a OK ...\n", "got     * 1 RECENT"},
		{"a line that may come", noop, "C: a NOOP\nS: * 3 EXISTS\nS?: * {=[0-9]+} RECENT\nS: a OK ...\n", ""},
		{"a line that may come and does not", noop,
			"C: a NOOP\nS: * 3 EXISTS\nS?: * FLAGS ()\nS: * 1 RECENT\nS: a OK ...\n", ""},
		{"a line that does not come", noop, "C: a NOOP\nS*: * 3 EXISTS\nS*: * 1 RECENT\nS*: * 9 FETCH (UID 1)\nS: a OK ...\n",
			"it came before the lines that must come first"},
		{"a value that differs", noop, "C: a NOOP\nS: * 4 EXISTS\nS: * 1 RECENT\nS: a OK ...\n", `"3" is not "4"`},
		{"a regular expression", noop, "C: a NOOP\nS~: ^\\* [0-9] EXISTS$\nS: * 1 RECENT\nS: a OK ...\n", ""},
		{"a regular expression that does not match", noop, "C: a NOOP\nS~: ^\\* 4\nS: * 1 RECENT\nS: a OK ...\n", ":3:"},
		{"a variable", noop, "C: a NOOP\nS: * {n=[0-9]} EXISTS\nS: * 1 RECENT\nS: a OK ...\n", ""},
		{"another server's answer", noop,
			"C: a NOOP\nS: * 4 EXISTS\nS: a OK ...\ndovecot: counts from three\ndovecot S: * 3 EXISTS\ndovecot S: * 1 RECENT\ndovecot S: a OK ...\n", ""},
		{"steps another server does not take", noop,
			"C: a NOOP\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\ndovecot skips: has none\nC: b IDLE\nS: + ...\nC: DONE\nS: b OK ...\nend\n", ""},
		{"steps two other servers do not take", noop,
			"C: a NOOP\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\ncyrus skips: stops\ndovecot skips: has none\nC: b IDLE\nS: + ...\nC: DONE\nS: b OK ...\nend\n", ""},
		{"a line to pass over", script{"C a NOOP", "S * OK [X-WORDS] and words\r\n", "S * 3 EXISTS\r\n", "S a OK done\r\n"},
			"C: a NOOP\nS: * 3 EXISTS\nS: a OK ...\n", ""},
		{"a line to pass over that the file expects", script{"C a NOOP", "S * OK [X-WORDS] and words\r\n", "S a OK done\r\n"},
			"C: a NOOP\nS: * OK [X-WORDS] ...\nS: a OK ...\n", ""},
		{"a line to pass over that the file expects and that does not come", noop[:1:1], "C: a NOOP\nS: * OK [X-WORDS] ...\nS: a OK ...\n", "test.dialogue:3"},
		{"something left over", append(noop[:3:3], "S a OK done\r\n* 4 EXISTS\r\n"),
			"C: a NOOP\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\n", "to LOGOUT"},
		{"a line without CR", script{"C a NOOP", "S a OK done\n"}, "C: a NOOP\nS: a OK ...\n", "does not end in CRLF"},
		{"silence", script{"C a NOOP", "C b NOOP"}, "C: a NOOP\nS: a OK ...\n", "timeout"},
		{"the end of the connection", script{"C a NOOP", "END"}, "C: a NOOP\nS: a OK ...\n", "the server closed the connection"},
		{"the end of the connection, as written", script{"C a NOOP", "S * BYE\r\n", "END"}, "C: a NOOP\nS: * BYE ...\nS closes\n", ""},
		{"the end of the connection after a line that may come", script{"C a NOOP", "S * BYE\r\n", "END"},
			"C: a NOOP\nS?: * BYE ...\nS closes\n", ""},
		{"the end of the connection without it", script{"C a NOOP", "END"}, "C: a NOOP\nS?: * BYE ...\nS closes\n", ""},
		{"another line before the end of the connection", script{"C a NOOP", "S * 1 EXISTS\r\n", "END"},
			"C: a NOOP\nS?: * BYE ...\nS closes\n", "was to close the connection"},
		{"messages gone, from below", script{"C a EXPUNGE", "S * 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* 5 EXPUNGE\r\na OK x\r\n"},
			"C: a EXPUNGE\nS-: 3:4,7\nS: a OK ...\n", ""},
		{"messages gone, from above", script{"C a EXPUNGE", "S * 7 EXPUNGE\r\n* 4 EXPUNGE\r\n* 3 EXPUNGE\r\na OK x\r\n"},
			"C: a EXPUNGE\nS-: 3:4,7\nS: a OK ...\n", ""},
		{"another message gone", script{"C a EXPUNGE", "S * 3 EXPUNGE\r\n* 4 EXPUNGE\r\na OK x\r\n"},
			"C: a EXPUNGE\nS-: 3:4\nS: a OK ...\n", "which was number 5"},
		{"too few messages gone", script{"C a EXPUNGE", "S * 3 EXPUNGE\r\na OK x\r\n"},
			"C: a EXPUNGE\nS-: 3:4\nS: a OK ...\n", "EXPUNGE of [4] has not come yet"},
		{"too many messages gone", script{"C a EXPUNGE", "S * 3 EXPUNGE\r\n* 3 EXPUNGE\r\na OK x\r\n"},
			"C: a EXPUNGE\nS-: 3\nS: a OK ...\n", "got     * 3 EXPUNGE"},
		{"no end of the connection", noop, "C: a NOOP\nS closes\n", "was to close the connection"},
		{"a pipeline", script{"C a NOOP", "C b NOOP", "S a OK x\r\nb OK x\r\n"}, "C: a NOOP\nC: b NOOP\nS: a OK ...\nS: b OK ...\n", ""},
		{"a literal to the server", script{"C a X {3}", "S + go\r\n", "C yes", "S a OK x\r\n"},
			"C: a X {}\nS: + ...\nC| yes\nC:\nS: a OK ...\n", ""},
		{"a literal of two lines without waiting", script{"C a X {6+}", "C a", "C bc", "S a OK x\r\n"},
			"C: a X {+}\nC| a\nC| bc\nC|\nC:\nS: a OK ...\n", "* BAD the client said a X {7+}"},
		{"a literal of the server", script{"C a X", "S * 1 FETCH (BODY[] {6}\r\na\r\nb\r\n UID 5)\r\n", "S a OK x\r\n"},
			"C: a X\nS: * 1 FETCH (BODY[] {}\nS| a\nS| b\nS|\nS: UID 5)\nS: a OK ...\n", ""},
		{"a client that is not connected", noop, "C: a NOOP\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\nC closes\nC: b NOOP\nS: b OK ...\n", "is not connected"},
		{"two clients", noop, "C: a NOOP\nC2: a NOOP\nS2: * 3 EXISTS\nS2: * 1 RECENT\nS2: a OK ...\nS: * 3 EXISTS\nS: * 1 RECENT\nS: a OK ...\n", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := playAgainst(t, c.script, c.text)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("it fails: %v", err)
			case c.want != "" && err == nil:
				t.Errorf("it succeeds, and was to fail with %q", c.want)
			case c.want != "" && !strings.Contains(err.Error(), c.want):
				t.Errorf("it fails with\n%v\nwant %q in it", err, c.want)
			}
			var failure *Failure
			if err != nil && !errors.As(err, &failure) {
				t.Errorf("the error is %T", err)
			}
		})
	}
}

func TestPlayUnfit(t *testing.T) {
	err := playAgainst(t, script{}, "dovecot skips: it has no such command\nC: a X\nS: a OK ...\n")
	var unfit *Unfit
	if !errors.As(err, &unfit) || unfit.Reason != "it has no such command" {
		t.Errorf("Play returns %v", err)
	}
}

// The capabilities a file is about are all in one list, however many lines name them.
func TestParseCapabilities(t *testing.T) {
	d, err := Parse("x", []byte("capability: MOVE UIDPLUS\ncapability: IDLE\nneeds: ID\n\nC: a NOOP\nS: a OK ...\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"MOVE", "UIDPLUS", "IDLE"}; !slices.Equal(d.Capabilities, want) {
		t.Errorf("got %q, want %q", d.Capabilities, want)
	}
}

func TestParseMistakes(t *testing.T) {
	cases := []struct {
		name, text string
		want       string
	}{
		{"nothing", "# only a comment\n", "nothing is said"},
		{"an unknown line", "C: a NOOP\nS: a OK ...\nand then?\n", "3: this is no line of a dialogue"},
		{"an unknown key", "colour: blue\nC: a NOOP\nS: a OK ...\n", `1: the preamble knows no "colour"`},
		{"an unknown transport", "transport: pigeon\nC: a NOOP\nS: a OK ...\n", "1: transport is"},
		{"a forgotten answer", "C: a NOOP\nS: a OK ...\nC: b NOOP\nC: c NOOP\nS: c OK ...\n", "3: no S: line answers the tag b"},
		{"a pattern that is no IMAP", "C: a NOOP\nS: * FLAGS (\\Seen\nS: a OK ...\n", `2: at octet`},
		{"a regular expression that is none", "C: a NOOP\nS~: (\nS: a OK ...\n", "2: error parsing regexp"},
		{"an optional line at the end", "C: a NOOP\nS: a OK ...\nS?: * 1 EXISTS\n", "3: an S: line must follow"},
		{"a literal that never comes", "C: a X {}\nS: a BAD ...\n", "never comes"},
		{"a literal of another size", "C: a X\nS: * 1 FETCH (BODY[] {4}\nS| abc\nS: )\nS: a OK ...\n", "said to have 4 octets and has 3"},
		{"a difference without a reason", "C: a NOOP\nS: a OK ...\ndovecot:\ndovecot S: a NO ...\n", "3: say why dovecot differs"},
		{"a difference from nothing", "C: a NOOP\ndovecot: says nothing\nS: a OK ...\n", "2: dovecot can only differ from S: lines"},
		{"an answer of another server out of the blue", "C: a NOOP\nS: a OK ...\ndovecot S: a NO ...\n", `3: "dovecot: " comes first`},
		{"a block without its end", "C: a NOOP\nS: a OK ...\ndovecot skips: because\nC: b NOOP\nS: b OK ...\n", "has no end"},
		{"a block within a block", "dovecot skips: all\nC: a NOOP\nS: a OK ...\ndovecot skips: x\nC: b NOOP\ncyrus skips: y\nS: b OK ...\nend\n", "6: a block within a block"},
		{"a server that skips a block twice", "C: a NOOP\nS: a OK ...\ncyrus skips: x\ncyrus skips: y\nC: b NOOP\nS: b OK ...\nend\n", "4: a block within a block"},
		{"raw octets without quotes", "C=: abc\nS: * BAD ...\n", "1: C=: wants a Go string"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse says %v, want %q", err, c.want)
			}
		})
	}
}
