package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"postern/internal/mail"
	"postern/internal/observe"
	"postern/internal/store"
)

// auditTrail is the record of who signed in, who was refused and why, and what was changed by whom: a file of JSON
// lines that is only ever added to. The nil auditTrail records nothing.
//
// Records wait in a queue of the log's kind: a disk that hangs holds up the trail and not the mail. Those that are
// lost, because the queue is full or the file cannot be written, are counted, and both the trail and the log say how many.
type auditTrail struct {
	file    *auditFile
	queue   *logQueue
	records *slog.Logger
	nameKey []byte
}

// openAudit opens the trail. Without a file there is none.
func openAudit(ctx context.Context, file string, shelf store.Shelf, log *slog.Logger, metrics *observe.Registry) (*auditTrail, error) {
	if file == "" {
		return nil, nil
	}
	key, err := shelfKey(ctx, shelf, nameKeyName)
	if err != nil {
		return nil, err
	}
	t := &auditTrail{file: new(auditFile), nameKey: key}
	if err := t.file.open(file); err != nil {
		return nil, err
	}
	lost := metrics.Counter("postern_audit_records_lost_total", "Records that are missing from the audit trail, because its file could not be written or not quickly enough.")
	t.queue = newLogQueue(t.file, lost.AddN, func(records uint64) {
		log.Error("records of the audit trail were lost", slog.String(observe.KeyFile, t.file.name()), slog.Uint64(observe.KeyCount, records))
		t.record(context.Background(), "records-lost", slog.Uint64(observe.KeyCount, records))
	})
	t.records = slog.New(slog.NewJSONHandler(t.queue, &slog.HandlerOptions{ReplaceAttr: auditAttr}))
	return t, nil
}

// auditAttr gives a record the shape of one: when and what, and no level.
func auditAttr(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.LevelKey:
		return slog.Attr{}
	case a.Key == slog.MessageKey:
		a.Key = "event"
	case a.Key == slog.TimeKey:
		return slog.String(slog.TimeKey, a.Value.Time().UTC().Format(time.RFC3339Nano))
	}
	return a
}

// record writes a record of something that happened.
func (t *auditTrail) record(ctx context.Context, event string, attrs ...slog.Attr) {
	if t != nil {
		t.records.LogAttrs(ctx, slog.LevelInfo, event, attrs...)
	}
}

// reopen puts another file in place of the one in use, or the same anew after it was moved away to be kept.
func (t *auditTrail) reopen(file string) error {
	if t == nil {
		return nil
	}
	return t.file.open(file)
}

// close writes what is left.
func (t *auditTrail) close() error {
	if t == nil {
		return nil
	}
	t.queue.close()
	return t.file.close()
}

// nameKeyName is where the key is kept that stands between a name and what the trail says of it.
const nameKeyName = "audit/name-key"

// nameKeyed gives what the trail says in place of a name that is nobody's: people type passwords there. The same
// name gives the same.
func (t *auditTrail) nameKeyed(name string) string {
	h := hmac.New(sha256.New, t.nameKey)
	h.Write([]byte(name))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// shelfKey gives the key of 32 octets that the shelf keeps under a name. The first to ask makes it.
func shelfKey(ctx context.Context, shelf store.Shelf, name string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand ends the program rather
	_, err := shelf.Put(ctx, name, key, 0, time.Time{})
	if errors.Is(err, store.ErrStale) { // there is one
		var v store.Value
		v, err = shelf.Get(ctx, name)
		key = v.Data
	}
	if err == nil && len(key) != 32 {
		err = mail.Errorf(mail.Corrupt, "the key %s has %d octets", name, len(key))
	}
	return key, err
}

// auditFile is the file of a trail.
type auditFile struct {
	mu   sync.Mutex
	file *os.File
	torn bool // it ends in half a record
}

// open opens a file to add to it, and leaves the one in use. If it cannot, that one stays.
func (f *auditFile) open(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return setupErrorf("audit file: %w: let the server's user write there, or set audit.file", err)
	}
	torn, err := endsTorn(file)
	if err != nil {
		return errors.Join(setupErrorf("audit file: %w", err), file.Close())
	}
	f.mu.Lock()
	was := f.file
	f.file, f.torn = file, torn
	f.mu.Unlock()
	if was != nil {
		return was.Close()
	}
	return nil
}

// endsTorn reports whether a file's last line has no end: whoever wrote it died, or the disk was full.
func endsTorn(file *os.File) (bool, error) {
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is no regular file: what reads a pipe could hold it up", file.Name())
	}
	if info.Size() == 0 {
		return false, nil
	}
	reader, err := os.Open(file.Name())
	if err != nil {
		return false, err
	}
	defer reader.Close()
	var last [1]byte
	_, err = reader.ReadAt(last[:], info.Size()-1)
	return last[0] != '\n', err
}

// Write adds lines. After half a record the next begins on a line of its own, so that a reader loses one and no more.
func (f *auditFile) Write(lines []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.torn {
		if _, err := f.file.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.file.Write(lines)
	if n > 0 && lines[n-1] != '\n' {
		f.torn = true
	}
	return n, err
}

func (f *auditFile) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Name()
}

func (f *auditFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
