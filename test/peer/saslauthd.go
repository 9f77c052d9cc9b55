package peer

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
)

// answerPasswords is a saslauthd(8) at a socket: it answers that a password is right when it is accountPassword, whoever
// asks. Cyrus SASL sends four counted strings (user, password, service, realm) and wants one back that begins with OK or
// NO (saslauthd/saslauthd-main.c, do_request).
func answerPasswords(t testing.TB, socket string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerPassword(conn)
		}
	}()
}

func answerPassword(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	var fields [4]string
	for i := range fields {
		var size uint16
		if binary.Read(reader, binary.BigEndian, &size) != nil {
			return
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(reader, text); err != nil {
			return
		}
		fields[i] = string(text)
	}
	answer := "NO"
	if fields[1] == accountPassword {
		answer = "OK"
	}
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}
