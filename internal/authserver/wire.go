package authserver

import (
	"bufio"
	"encoding/base64"
	"errors"
	"strings"
)

// longestLine is how long a line may be, in octets: a SASL response of 12 KiB in
// base64, and room for what stands before it.
const longestLine = 17 << 10

var errLine = errors.New("a line is longer than any may be")

// readLine gives a line without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errLine
	case err != nil:
		return "", err
	}
	return string(line[:len(line)-1]), nil
}

// Fields stand between tabs. What they may not hold as it is stands behind \001: "0" for NUL, "1" for \001,
// "t" for a tab, "r" and "n" for CR and LF.
var (
	escaper   = strings.NewReplacer("\x00", "\x010", "\x01", "\x011", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")
	unescaper = strings.NewReplacer("\x010", "\x00", "\x011", "\x01", "\x01t", "\t", "\x01r", "\r", "\x01n", "\n")
)

func escape(s string) string   { return escaper.Replace(s) }
func unescape(s string) string { return unescaper.Replace(s) }

// decodeResponse reads a SASL response. Padding is a must and stray bits are none, as
// everywhere with SASL.
func decodeResponse(text string) ([]byte, bool) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	if data == nil {
		data = []byte{}
	}
	return data, true
}
