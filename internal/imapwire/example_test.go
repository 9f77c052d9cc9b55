package imapwire_test

import (
	"bufio"
	"fmt"
	"strings"

	"postern/internal/imapwire"
	"postern/internal/mail"
)

// A conversation in small: two commands, of which the first is wrong and takes a
// literal with it that nobody asked for.
func Example() {
	const client = "a1 UID FETCH all {5+}\r\nhello FLAGS\r\n" +
		"a2 UID FETCH 40:45 (FLAGS BODY.PEEK[1]<0.100>)\r\n"
	var out strings.Builder
	w := imapwire.NewWriter(&out, nil)
	cont := func() error { return w.Continue("go on").Flush() }
	r := imapwire.NewReader(bufio.NewReader(strings.NewReader(client)), imapwire.LoggedIn(64<<20), cont)
	for range 2 {
		cmd, err := r.Command()
		var args imapwire.FetchArgs
		if err != nil || !r.ExpectFetchArgs(&args) {
			w.Status(cmd.Tag, imapwire.BAD, "", r.Err().Error())
			if err := r.End(); err != nil {
				break
			}
			continue
		}
		w.BeginFetch(1).FetchUID(40).FetchFlags(mail.NewFlags(mail.Seen), false)
		w.FetchSection(&args.Items[1], 5, strings.NewReader("hello"), false).EndFetch()
		w.Status(cmd.Tag, imapwire.OK, "", "done")
	}
	if err := w.Flush(); err != nil {
		fmt.Println(err)
	}
	fmt.Print(strings.ReplaceAll(out.String(), "\r\n", "\n"))
	// Output:
	// a1 BAD expected a sequence set after UID FETCH, found "a" at 13
	// * 1 FETCH (UID 40 FLAGS (\Seen) BODY[1]<0> {5}
	// hello)
	// a2 OK done
}
