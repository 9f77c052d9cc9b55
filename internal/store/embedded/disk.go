package embedded

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postern/internal/mail"
)

// disk keeps the engine from meeting the end of the disk. Free space has three
// stretches:
//
//   - above the reserve, everything goes on;
//   - below it, nothing new is stored, but flags can be set and mail deleted;
//   - below a quarter of it, the ballast is given up, so that mail can still be
//     deleted, until only a quarter of the ballast's room is left.
//
// Another program may take the last octet between two looks. Then the engine's
// write fails, which would end the process, so the ballast is given up at once
// and the write made again (surprised).
//
// The reserve is the engine's room as well: a compaction writes its tables
// before it removes the old ones.
type disk struct {
	fs      vfs.FS
	dir     string
	path    string // of the ballast
	reserve int64
	ballast int64
	log     *slog.Logger
	every   time.Duration // how long a look at the disk is good for

	mu      sync.Mutex
	looked  time.Time
	free    int64
	present bool // the ballast is there
	low     bool // below the reserve, and said so
}

const unlimited = int64(1) << 62

func newDisk(fs vfs.FS, dir string, o Options) *disk {
	d := &disk{fs: fs, dir: dir, path: fs.PathJoin(dir, "BALLAST"), reserve: o.Reserve, ballast: o.Ballast,
		log: o.Log, every: 100 * time.Millisecond}
	_, err := fs.Stat(d.path)
	d.present = err == nil
	return d
}

// look gives the free space, as far as it is known. It wants d.mu.
func (d *disk) look(now bool) int64 {
	if !now && time.Since(d.looked) < d.every {
		return d.free
	}
	d.looked = time.Now()
	d.free = unlimited
	// Where the file system cannot say, the reserve cannot be kept.
	if usage, err := d.fs.GetDiskUsage(d.dir); err == nil {
		d.free = int64(min(usage.AvailBytes, uint64(unlimited)))
	}
	return d.free
}

// room gives mail.NoSpace if there is no room to store something new, or to
// write anything at all.
func (d *disk) room(store bool) error {
	if d.reserve == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.look(false)
	d.tell(free < d.reserve)
	switch {
	case free >= d.reserve:
		return nil
	case store:
		return mail.Errorf(mail.NoSpace, "the disk is nearly full")
	case free >= d.reserve/4:
		return nil
	}
	d.give()
	if d.look(true) >= d.ballast/4 {
		return nil
	}
	return mail.Errorf(mail.NoSpace, "the disk is full")
}

// tell logs when the reserve is reached, and when it is left again.
func (d *disk) tell(low bool) {
	if low && !d.low {
		d.log.Error("the disk is below its reserve: mail is refused until there is room", "free", d.free, "reserve", d.reserve, "dir", d.dir)
	} else if d.low && !low {
		d.log.Info("the disk has room again", "free", d.free, "dir", d.dir)
	}
	d.low = low
}

// give gives up the ballast.
func (d *disk) give() {
	if !d.present {
		return
	}
	if err := d.fs.Remove(d.path); err != nil && !oserror.IsNotExist(err) {
		d.log.Error("the ballast cannot be given up", "error", err)
		return
	}
	d.present = false
	d.log.Warn("the disk is nearly full and the ballast was given up", "octets", d.ballast)
}

// surprised gives up the ballast because a write has met the end of the disk, and
// makes the next call of room look again. It is called while writes wait.
func (d *disk) surprised() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.give()
	d.looked = time.Time{}
}

// makeRoom gives up the ballast where opening might need it.
func (d *disk) makeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.look(true) < max(d.ballast, d.reserve/4) {
		d.give()
	}
}

// upkeep makes the ballast where it is missing and there is plenty of room.
func (d *disk) upkeep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := d.look(true)
	d.tell(free < d.reserve)
	if d.present || d.ballast == 0 || free == unlimited || free < d.reserve+2*d.ballast {
		return
	}
	if err := d.makeBallast(); err != nil {
		d.log.Warn("the ballast cannot be made", "error", err)
		_ = d.fs.Remove(d.path)
		return
	}
	d.present = true
}

// makeBallast writes octets that no file system can shrink.
func (d *disk) makeBallast() error {
	f, err := d.fs.Create(d.path, "postern-ballast")
	if err != nil {
		return err
	}
	var seed [32]byte
	noise := rand.NewChaCha8(seed)
	buf := make([]byte, 256<<10)
	for left := d.ballast; left > 0 && err == nil; left -= int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), left)]
		_, _ = noise.Read(buf) // never fails
		_, err = f.Write(buf)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
