package imapwire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"postern/internal/mail"
)

func TestSetMetadataArgs(t *testing.T) {
	r := reader("a SETMETADATA \"\" (/private/Comment {5+}\r\na\r\n\xff \"/shared/a b\" \"\" /shared/n NIL /shared/b ~{3+}\r\n\x00\r\n /shared/q \"\\\"x\")\r\n")
	cmd, _ := r.Command()
	if _, ok := readArgs(r, cmd.Name); ok {
		t.Fatal("a literal is longer than it is")
	}
	r = reader("a SETMETADATA \"\" (/private/Comment {4+}\r\na\r\n\xff \"/shared/a b\" \"\" /shared/n NIL /shared/b ~{3+}\r\n\x00\r\n /shared/q \"\\\"x\")\r\n")
	cmd, _ = r.Command()
	args, ok := readArgs(r, cmd.Name)
	want := &SetMetadataArgs{Entries: []mail.Metadata{
		{Name: "/private/Comment", Value: []byte("a\r\n\xff")}, {Name: "/shared/a b", Value: []byte{}}, {Name: "/shared/n"},
		{Name: "/shared/b", Value: []byte("\x00\r\n")}, {Name: "/shared/q", Value: []byte(`"x`)},
	}}
	if !ok || !reflect.DeepEqual(args, want) {
		t.Errorf("%+v, %v", args, r.Err())
	}
}

// A value beyond the limit is refused, whether its client waits or not, and nothing
// else is.
func TestLongMetadata(t *testing.T) {
	for _, c := range []struct {
		args string
		long bool
		kind mail.Kind
	}{
		{"INBOX (/shared/a {500+}\r\n" + strings.Repeat("x", 500) + ")", false, mail.Internal},
		{"INBOX (/shared/a {501+}\r\n" + strings.Repeat("x", 501) + ")", true, mail.TooBig},
		{"INBOX (/shared/a ~{501}", true, mail.TooBig},
		{"INBOX ({600+}\r\n/shared/" + strings.Repeat("x", 592) + " NIL)", false, mail.Internal},
		{"{200000+}\r\n" + strings.Repeat("x", 200000) + " (/shared/a NIL)", false, mail.TooBig},
	} {
		r := reader("a SETMETADATA " + c.args + "\r\nb NOOP\r\n")
		cmd, _ := r.Command()
		args, _ := readArgs(r, cmd.Name)
		if got := args.(*SetMetadataArgs).TooLong; got != c.long || c.kind != mail.Internal && mail.KindOf(r.Err()) != c.kind {
			t.Errorf("%.30q: too long %v, %v", c.args, got, r.Err())
		}
		if err := r.End(); err != nil {
			t.Errorf("%.30q: %v", c.args, err)
		}
		if cmd, err := r.Command(); err != nil || cmd.Tag != "b" {
			t.Errorf("%.30q: then %+v %v", c.args, cmd, err)
		}
	}
}

func TestMetadataResponses(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, nil)
	w.Metadata("", []mail.Metadata{{Name: "/shared/comment", Value: []byte("My comment")}})
	w.Metadata("INBOX", []mail.Metadata{
		{Name: "/private/a b"}, {Name: "/private/e", Value: []byte{}}, {Name: "/shared/l", Value: []byte("a\r\nb")}, {Name: "/shared/8", Value: []byte("ä")},
		{Name: "/shared/z", Value: []byte("\x00")},
	})
	w.MetadataChanged("Früh", []string{"/shared/comment", "/private/a b"})
	w.MetadataChanged("", []string{"/shared/comment"})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "* METADATA \"\" (/shared/comment \"My comment\")\r\n" +
		"* METADATA INBOX (\"/private/a b\" NIL /private/e \"\" /shared/l {4}\r\na\r\nb /shared/8 {2}\r\nä /shared/z ~{1}\r\n\x00)\r\n" +
		"* METADATA \"Fr&APw-h\" /shared/comment \"/private/a b\"\r\n* METADATA \"\" /shared/comment\r\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}
