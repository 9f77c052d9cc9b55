package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
)

// A body's file is a header and the body's chunks, each with its checksum behind
// it. Nothing in it is ever changed; it is whole and synced before anything
// refers to it. With the header, a file found alone says whose octets it has.
//
//	header  "PSTNBODY" | version u8 | 0 0 0 | name 16 | CRC-32C of the header u32
//	chunk   up to 65,536 octets | CRC-32C of name, index and octets u32
const (
	bodyMagic       = "PSTNBODY"
	bodyVersion     = 1
	bodyHeaderSize  = 8 + 4 + 16 + crcSize
	chunkOnDisk     = chunkSize + crcSize
	bodiesPerDir    = 4096 // body names in one directory, few of them files
	roomCheckOctets = 4 << 20
)

func encodeBodyHeader(ref mail.BodyRef) []byte {
	b := append([]byte(bodyMagic), bodyVersion, 0, 0, 0)
	b = append(b, ref[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeBodyHeader(b []byte) (ref mail.BodyRef, ok bool) {
	if len(b) != bodyHeaderSize || string(b[:12]) != bodyMagic+"\x01\x00\x00\x00" {
		return mail.BodyRef{}, false
	}
	end := bodyHeaderSize - crcSize
	return mail.BodyRef(b[12:end]), binary.BigEndian.Uint32(b[end:]) == crc32.Checksum(b[:end], castagnoli)
}

// bodyFileSize is the size of the file of a body of that size.
func bodyFileSize(size int64) int64 {
	return bodyHeaderSize + size + (size+chunkSize-1)/chunkSize*crcSize
}

// bodyDirs guards the directories of body files, one for each 4,096 names in
// order of arrival: what came last is found without listing all.
type bodyDirs struct {
	mu   sync.RWMutex // held to read while a file is made, to write while a directory is removed
	made sync.Mutex
	last string // the directory known to be there, durably
}

func (s *Store) bodyDir(id bodyID) string {
	return s.fs.PathJoin(s.dir, "bodies", fmt.Sprintf("%013x", uint64(id)/bodiesPerDir))
}

func (s *Store) bodyPath(id bodyID) string {
	return s.fs.PathJoin(s.bodyDir(id), fmt.Sprintf("%016x", uint64(id)))
}

// makeBodyDir makes sure that the directory for a body's file is there.
func (s *Store) makeBodyDir(id bodyID) error {
	s.bodyDirs.made.Lock()
	defer s.bodyDirs.made.Unlock()
	dir := s.bodyDir(id)
	if dir == s.bodyDirs.last {
		return nil
	}
	if err := makeDir(s.fs, dir); err != nil {
		return err
	}
	s.bodyDirs.last = dir
	return nil
}

// writeBodyFile writes a body's file: first what is held in memory, then the
// rest as it comes. When it returns without an error, the file and its entry in
// the directory are durable; with one, there is no file.
func (s *Store) writeBodyFile(ctx context.Context, id bodyID, held [][]byte, rest io.Reader) (int64, error) {
	f, err := s.createBodyFile(id)
	if err != nil {
		return 0, s.fault(err)
	}
	w := bodyFileWriter{s: s, f: f, ref: s.ref(id)}
	size, err := w.writeAll(ctx, held, rest)
	if err == nil {
		err = s.fault(f.Sync())
	}
	if closed := f.Close(); err == nil {
		err = s.fault(closed)
	}
	if err == nil {
		err = s.fault(syncDir(s.fs, s.bodyDir(id)))
	}
	if err != nil {
		// If it cannot be removed, Open will: nothing refers to it.
		_ = s.fs.Remove(s.bodyPath(id))
		return 0, err
	}
	return size, nil
}

func (s *Store) createBodyFile(id bodyID) (vfs.File, error) {
	s.bodyDirs.mu.RLock()
	defer s.bodyDirs.mu.RUnlock()
	if err := s.makeBodyDir(id); err != nil {
		return nil, err
	}
	return s.fs.Create(s.bodyPath(id), "postern-body")
}

// bodyFileWriter writes chunks in order.
type bodyFileWriter struct {
	s     *Store
	f     vfs.File
	ref   mail.BodyRef
	index int64
	sum   [crcSize]byte
}

func (w *bodyFileWriter) writeAll(ctx context.Context, held [][]byte, rest io.Reader) (size int64, err error) {
	if _, err := w.f.Write(encodeBodyHeader(w.ref)); err != nil {
		return 0, w.s.fault(err)
	}
	for _, c := range held {
		if err := w.write(c); err != nil {
			return 0, err
		}
		size += int64(len(c))
	}
	buf := held[0] // written, and as large as any
	for {
		n, err := readFull(ctx, rest, buf)
		if n > 0 && (err == nil || err == io.EOF) {
			if err := w.write(buf[:n]); err != nil {
				return 0, err
			}
			size += int64(n)
		}
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		if size%roomCheckOctets == 0 {
			if err := w.s.disk.room(true); err != nil {
				return 0, err
			}
		}
	}
}

func (w *bodyFileWriter) write(chunk []byte) error {
	binary.BigEndian.PutUint32(w.sum[:], chunkSum(w.ref, w.index, chunk))
	w.index++
	if _, err := w.f.Write(chunk); err != nil {
		return w.s.fault(err)
	}
	_, err := w.f.Write(w.sum[:])
	return w.s.fault(err)
}

// fileChunks reads a body's file.
type fileChunks struct {
	s   *Store
	f   vfs.File
	ref mail.BodyRef
}

// openBodyFile opens a body's file and checks its header and length. The error
// of a missing file is the file system's.
func (s *Store) openBodyFile(id bodyID, size int64) (chunkReader, error) {
	f, err := s.fs.Open(s.bodyPath(id))
	if err != nil {
		return nil, err
	}
	ref := s.ref(id)
	if err := checkBodyFile(f, ref, size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return fileChunks{s, f, ref}, nil
}

func checkBodyFile(f vfs.File, ref mail.BodyRef, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != bodyFileSize(size) {
		return damaged(ref, fmt.Sprintf("its file has %d octets, not %d", info.Size(), bodyFileSize(size)))
	}
	header := make([]byte, bodyHeaderSize)
	if _, err := f.ReadAt(header, 0); err != nil {
		return err
	}
	if named, ok := decodeBodyHeader(header); !ok || named != ref {
		return damaged(ref, "its file does not begin as it should")
	}
	return nil
}

func (c fileChunks) chunk(index int64, p []byte) error {
	buf := chunkBuffers.Get().(*[chunkOnDisk]byte)
	defer chunkBuffers.Put(buf)
	b := buf[:len(p)+crcSize]
	if n, err := c.f.ReadAt(b, bodyHeaderSize+index*chunkOnDisk); n < len(b) {
		if err == io.EOF {
			return damaged(c.ref, "its file is too short")
		}
		return c.s.fault(err)
	}
	if binary.BigEndian.Uint32(b[len(p):]) != chunkSum(c.ref, index, b[:len(p)]) {
		return damaged(c.ref, "a checksum does not agree")
	}
	copy(p, b)
	return nil
}

func (c fileChunks) Close() error { return c.f.Close() }

// chunkBuffers lends room for a chunk and its checksum.
var chunkBuffers = sync.Pool{New: func() any { return new([chunkOnDisk]byte) }}

// removeBodyFile removes a body's file, and its directory when that is empty and
// no new body can come to it.
func (s *Store) removeBodyFile(id bodyID) error {
	if err := s.fs.Remove(s.bodyPath(id)); err != nil && !oserror.IsNotExist(err) {
		return err
	}
	s.bodyDirs.mu.Lock()
	defer s.bodyDirs.mu.Unlock()
	if dir := s.bodyDir(id); dir != s.bodyDirs.last {
		if names, err := s.fs.List(dir); err == nil && len(names) == 0 {
			return s.fs.Remove(dir)
		}
	}
	return nil
}

// removeOrphans removes the files of bodies that a crash kept from ever being
// stored. They are among those that arrived since the last horizon.
func (s *Store) removeOrphans() error {
	root := s.fs.PathJoin(s.dir, "bodies")
	dirs, err := s.fs.List(root)
	if oserror.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	horizon, err := s.horizon()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		block, err := strconv.ParseUint(dir, 16, 64)
		if err != nil || (block+1)*bodiesPerDir <= uint64(horizon) {
			continue
		}
		names, err := s.fs.List(s.fs.PathJoin(root, dir))
		if err != nil {
			return err
		}
		for _, name := range names {
			id, err := strconv.ParseUint(strings.TrimSpace(name), 16, 64)
			if err != nil {
				continue
			}
			if _, ok, err := s.meta(bodyID(id)); err != nil {
				return err
			} else if ok {
				continue
			}
			if err := s.fs.Remove(s.fs.PathJoin(root, dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
