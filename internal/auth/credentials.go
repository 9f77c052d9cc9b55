package auth

import (
	"encoding/binary"
	"slices"

	"postern/internal/mail"
)

// Credentials is what an account signs in with, as it is stored with it.
//
// The record is a version octet (1), then fields: a tag, a length (both as
// uvarints) and that many octets. Tag 1 is the password's argon2id hash as a PHC
// string, at most once; tag 2 the keys for SCRAM (scram.go), tag 3 an
// app password, any number of times (apppassword.go), tag 4 a password as another
// server kept it (imported.go). Tags we do not know are kept as they are and where they
// are, so that a program of an earlier version that changes a password does not
// lose what a later one put beside it. Fields with a meaning that old programs must not ignore need a new
// version octet.
type Credentials struct {
	Password string // PHC string; "" if the account has no password

	fields []field // as read, the password's included
}

type field struct {
	tag   uint64
	value string
}

const (
	recordVersion = 1
	tagPassword   = 1
	tagScram      = 2
	tagApp        = 3
	tagImported   = 4

	// MaxRecord is the size of the largest record, in octets: the directory's
	// limit.
	MaxRecord = 64 << 10
)

// ParseCredentials reads a record. An empty one is an account that cannot sign
// in yet. The error is mail.Corrupt.
func ParseCredentials(record []byte) (Credentials, error) {
	var c Credentials
	if len(record) == 0 {
		return c, nil
	}
	if len(record) > MaxRecord || record[0] != recordVersion {
		return Credentials{}, badRecord("unknown version, or too long")
	}
	seen := false
	for rest := record[1:]; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		if n <= 0 {
			return Credentials{}, badRecord("it ends in a tag")
		}
		rest = rest[n:]
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return Credentials{}, badRecord("a field is longer than the record")
		}
		f := field{tag, string(rest[n : n+int(size)])}
		rest = rest[n+int(size):]
		if f.tag == tagPassword {
			if _, err := parseHash(f.value); err != nil || seen {
				return Credentials{}, badRecord("the password's hash")
			}
			seen, c.Password = true, f.value
		}
		c.fields = append(c.fields, f)
	}
	return c, nil
}

func badRecord(what string) error {
	return mail.Errorf(mail.Corrupt, "credentials cannot be read: %s", what)
}

// setField replaces a field, or adds it.
func (c *Credentials) setField(tag uint64, value string) {
	c.fields = slices.DeleteFunc(c.fields, func(f field) bool { return f.tag == tag })
	c.fields = append(c.fields, field{tag, value})
}

// Encode gives the record.
func (c Credentials) Encode() []byte {
	out := []byte{recordVersion}
	put := func(f field) {
		out = binary.AppendUvarint(out, f.tag)
		out = binary.AppendUvarint(out, uint64(len(f.value)))
		out = append(out, f.value...)
	}
	written := c.Password == ""
	for _, f := range c.fields {
		if f.tag != tagPassword {
			put(f)
		} else if !written {
			put(field{tagPassword, c.Password})
			written = true
		}
	}
	if !written {
		put(field{tagPassword, c.Password})
	}
	return out
}
