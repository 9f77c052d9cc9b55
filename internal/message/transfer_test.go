package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
)

func decodeTransfer(t *testing.T, encoding, in string) string {
	t.Helper()
	r, err := DecodeTransfer(strings.NewReader(in), encoding)
	if err != nil {
		t.Fatalf("%s: %v", encoding, err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", encoding, err)
	}
	// Block borders must not matter.
	r, _ = DecodeTransfer(iotest.OneByteReader(strings.NewReader(in)), encoding)
	if slow, err := io.ReadAll(r); err != nil || !bytes.Equal(slow, out) {
		t.Errorf("%s %q: byte by byte %q, %v; at once %q", encoding, in, slow, err, out)
	}
	return string(out)
}

func TestDecodeTransfer(t *testing.T) {
	tests := []struct{ encoding, in, want string }{
		{"7bit", "a=\r\n", "a=\r\n"},
		{"BINARY", "\x00\r\n", "\x00\r\n"},

		{"base64", "", ""},
		{"Base64", "Zm9v\r\nYmFy\r\n", "foobar"},
		{"base64", "Zm9vYg==", "foob"},
		{"base64", "Zm9vYmE=", "fooba"},
		{"base64", "Zm9vYg", "foob"},          // padding missing
		{"base64", "Zm9vYmE", "fooba"},        //
		{"base64", "Zm9vY", "foo"},            // six bits make no byte
		{"base64", "Zm9vYg==YmFy", "foobbar"}, // two bodies one after the other
		{"base64", "====Zm9v====", "foo"},
		{"base64", "Z m\t9\x00v!\xff", "foo"},

		// RFC 2045 6.7.
		{"quoted-printable", "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
			"Now's the time for all folk to come to the aid of their country."},
		{"quoted-printable", "=3D=3d =C3=B6\r\n", "== \xc3\xb6\r\n"},
		{"quoted-printable", "trailing \t\r\nx \r\n", "trailing\r\nx\r\n"},
		{"quoted-printable", "soft= \t\r\nbreak", "softbreak"},
		{"quoted-printable", "bare\nlf=\nsoft", "bare\r\nlfsoft"},
		{"quoted-printable", "=", ""}, {"quoted-printable", "a=\r", "a=\r"},
		{"quoted-printable", "=XY =4 =4Z ==41 =", "=XY =4 =4Z =A "},
		{"quoted-printable", "=4\r\n=\r\n", "=4\r\n"},
		{"quoted-printable", "a\rb", "a\rb"},
		{"quoted-printable", "end  ", "end"},

		{"x-uuencode", "junk\r\nbegin 644 f\r\n#0V%T\r\n`\r\nend\r\njunk\r\n", "Cat"},
		{"uuencode", "begin 644 f\n#0V%T\n", "Cat"},
		{"x-uue", "begin 644 f\nM\n", ""},
	}
	for _, test := range tests {
		if got := decodeTransfer(t, test.encoding, test.in); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.encoding, test.in, got, test.want)
		}
	}
	if _, err := DecodeTransfer(strings.NewReader(""), "x-odd"); !errors.Is(err, ErrUnknownEncoding) {
		t.Errorf("x-odd: %v", err)
	}
}

func TestDecodeTransferAgreesWithStandardLibrary(t *testing.T) {
	data := make([]byte, 10_000)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	if got := decodeTransfer(t, "base64", base64.StdEncoding.EncodeToString(data)); got != string(data) {
		t.Error("base64 differs")
	}
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	w.Binary = true
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := decodeTransfer(t, "quoted-printable", b.String()); got != string(data) {
		t.Error("quoted-printable differs")
	}
}

func TestDecodeTransferKeepsErrors(t *testing.T) {
	failure := errors.New("disk on fire")
	r, err := DecodeTransfer(io.MultiReader(strings.NewReader("Zm9vYg"), iotest.ErrReader(failure)), "base64")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, failure) || string(got) != "foo" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestContent(t *testing.T) {
	sum, raw := parse(t, `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

gr=FCn
--b
Content-Transfer-Encoding: x-odd

odd
--b
Content-Type: text/plain; charset=x-none

caf`+"\xc3\xa9 \xe9"+`
--b--
`)
	message := strings.NewReader(raw)
	for i, want := range []struct {
		content string
		err     error
		text    string
	}{
		{"gr\xfcn", nil, "grün"},
		{"", ErrUnknownEncoding, "odd"},
		{"caf\xc3\xa9 \xe9", nil, "café é"},
	} {
		part := sum.Root.Parts[i]
		size, err := part.ContentSize(message)
		if size != int64(len(want.content)) || !errors.Is(err, want.err) {
			t.Errorf("part %d: size %d, %v", i+1, size, err)
		}
		if r, err := part.Content(message); err == nil {
			if got, err := io.ReadAll(r); err != nil || string(got) != want.content {
				t.Errorf("part %d: content %q, %v", i+1, got, err)
			}
		}
		if got, err := io.ReadAll(part.Text(message)); err != nil || string(got) != want.text {
			t.Errorf("part %d: text %q, %v, want %q", i+1, got, err, want.text)
		}
	}
}
