package imapwire

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/message"
)

// summarize parses a message given with LF as line ends.
func summarize(t *testing.T, text string) *message.Summary {
	t.Helper()
	return parseBytes(t, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
}

func parseBytes(t testing.TB, data []byte) *message.Summary {
	t.Helper()
	s, err := message.Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The message of RFC 9051 8, the example session, and the envelope there. It leaves
// the header's Cc list in the order of the fields.
func TestEnvelopeOfTheRFC(t *testing.T) {
	s := summarize(t, `Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.ed>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

`)
	const want = `("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" ` +
		`"IMAP4rev2 WG mtg summary and minutes" ` +
		`(("Terry Gray" NIL "gray" "cac.washington.edu")) ` +
		`(("Terry Gray" NIL "gray" "cac.washington.edu")) ` +
		`(("Terry Gray" NIL "gray" "cac.washington.edu")) ` +
		`((NIL NIL "imap" "cac.washington.edu")) ` +
		`((NIL NIL "minutes" "CNRI.Reston.VA.US")` +
		`("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL ` +
		`"<B27397-0100000@cac.washington.ed>")`
	if got := string(AppendEnvelope(nil, &s.Envelope)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEnvelopeCorners(t *testing.T) {
	tests := []struct{ header, want string }{
		// Absent is NIL, empty is "": RFC 9051 7.5.2.
		{"X: y\n", `(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject:\n", `(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		// A group: RFC 9051 7.5.2.
		{"To: g: a@b;\n", `(NIL NIL NIL NIL NIL ((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL NIL)`},
		{"To: undisclosed-recipients:;\n",
			`(NIL NIL NIL NIL NIL ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)`},
		{"To: <@r1,@r2:u@d>\n", `(NIL NIL NIL NIL NIL ((NIL "@r1,@r2" "u" "d")) NIL NIL NIL NIL)`},
		{"Subject: a \"b\" \\c\n", `(NIL "a \"b\" \\c" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: caf\xc3\xa9\n", "(NIL {5}\r\ncaf\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: \x1b[1m\n", "(NIL {4}\r\n\x1b[1m NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: =?utf-8?Q?a=0D=0Ab?=\n", `(NIL "=?utf-8?Q?a=0D=0Ab?=" NIL NIL NIL NIL NIL NIL NIL NIL)`},
	}
	for _, test := range tests {
		s := summarize(t, test.header+"\n")
		got := AppendEnvelope(nil, &s.Envelope)
		if string(got) != test.want {
			t.Errorf("%q:\ngot  %q\nwant %q", test.header, got, test.want)
		}
		if err := checkEnvelope(got); err != nil {
			t.Errorf("%q: %v", test.header, err)
		}
	}
}

func TestBodyStructure(t *testing.T) {
	tests := []struct{ name, in, structure, body, rev1 string }{
		{
			// RFC 9051 7.5.2: a simple text message; 3028 octets and 92 lines there.
			name:      "text",
			in:        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\nHello\nWorld\n",
			structure: `("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 14 2 NIL NIL NIL NIL)`,
			body:      `("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 14 2)`,
		},
		{
			name: "multipart",
			in: "Content-Type: multipart/mixed; boundary=q\nContent-Language: de, en\n\n--q\n\na\n--q\n" +
				"Content-Type: application/x-b; n=\"v\\\"w\"\nContent-ID: <i>\nContent-Description: d\n" +
				"Content-Transfer-Encoding: BASE64\nContent-MD5: x\nContent-Disposition: attachment; filename=f\n" +
				"Content-Language: de\nContent-Location: l\n\nAA==\n--q--\n",
			structure: `(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)` +
				`("APPLICATION" "X-B" ("N" "v\"w") "<i>" "d" "base64" 4 "x" ("ATTACHMENT" ("FILENAME" "f")) "de" "l")` +
				` "MIXED" ("BOUNDARY" "q") NIL ("de" "en") NIL)`,
			body: `(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 1 0)` +
				`("APPLICATION" "X-B" ("N" "v\"w") "<i>" "d" "base64" 4) "MIXED")`,
		},
		{
			name: "message/rfc822",
			in:   "Content-Type: message/rfc822\n\nSubject: s\n\nab\n",
			structure: `("MESSAGE" "RFC822" NIL NIL NIL "7bit" 18 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) ` +
				`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 4 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)`,
			body: `("MESSAGE" "RFC822" NIL NIL NIL "7bit" 18 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) ` +
				`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 4 1) 3)`,
		},
		{
			name: "message/global",
			in:   "Content-Type: message/global\n\nSubject: \xc3\xa9\n\nab\n",
			structure: "(\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"7bit\" 19 (NIL {2}\r\n\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL) " +
				`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 4 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)`,
			body: "(\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"7bit\" 19 (NIL {2}\r\n\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL) " +
				`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 4 1) 3)`,
			rev1: `("MESSAGE" "GLOBAL" NIL NIL NIL "7bit" 19 NIL NIL NIL NIL)`,
		},
		{
			// A name in pieces, decoded; not quoted, since it is not ASCII.
			name: "RFC 2231",
			in:   "Content-Type: application/pdf; name*0*=utf-8''na%C3%AF; name*1=\"ve.pdf\"\n\n",
			structure: "(\"APPLICATION\" \"PDF\" (\"NAME\" {10}\r\nna\xc3\xafve.pdf) NIL NIL \"7bit\" 0 " +
				"NIL NIL NIL NIL)",
			body: "(\"APPLICATION\" \"PDF\" (\"NAME\" {10}\r\nna\xc3\xafve.pdf) NIL NIL \"7bit\" 0)",
		},
		{
			name: "multipart without parts",
			in:   "Content-Type: multipart/mixed; boundary=q\n\nnothing\n",
			structure: `(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)` +
				` "MIXED" ("BOUNDARY" "q") NIL NIL NIL)`,
			body: `(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 0 0) "MIXED")`,
		},
	}
	for _, test := range tests {
		s := summarize(t, test.in)
		structure, cuts := AppendBodyStructure([]byte("before"), s.Root)
		structure = structure[len("before"):]
		if string(structure) != test.structure {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, structure, test.structure)
		}
		if got := AppendBody(nil, structure, cuts, CutExtension); string(got) != test.body {
			t.Errorf("%s, BODY:\ngot  %q\nwant %q", test.name, got, test.body)
		}
		rev1 := test.rev1
		if rev1 == "" {
			rev1 = test.structure
		}
		if got := AppendBody(nil, structure, cuts, CutGlobal); string(got) != rev1 {
			t.Errorf("%s, rev1:\ngot  %q\nwant %q", test.name, got, rev1)
		}
	}
}

// checkStructure checks everything a message's structure is sent as.
func checkStructure(s *message.Summary) error {
	if err := checkEnvelope(AppendEnvelope(nil, &s.Envelope)); err != nil {
		return err
	}
	structure, cuts := AppendBodyStructure(nil, s.Root)
	for _, leaveOut := range []CutKind{0, CutExtension, CutGlobal, CutExtension | CutGlobal} {
		text := AppendBody(nil, structure, cuts, leaveOut)
		if _, err := checkBody(text, leaveOut&CutExtension == 0, leaveOut&CutGlobal == 0); err != nil {
			return err
		}
	}
	return nil
}

func TestStructuresOfTheCorpus(t *testing.T) {
	files, err := filepath.Glob("../message/testdata/*.eml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkStructure(parseBytes(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzBodyStructureOut(f *testing.F) {
	files, err := filepath.Glob("../message/testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && len(data) < 4000 {
			f.Add(data)
		}
	}
	f.Add([]byte("Content-Type: message/global\n\nContent-Type: multipart/x; boundary=\"\xff\"\n\n--\xff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkStructure(parseBytes(t, data)); err != nil {
			t.Fatal(err)
		}
	})
}
