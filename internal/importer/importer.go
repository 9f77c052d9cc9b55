package importer

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"postern/internal/account"
	"postern/internal/mail"
)

// Options are what an Importer needs.
type Options struct {
	Pool  *account.Pool
	Notes Notes
	Now   func() time.Time // time.Now; the date of messages that have none
}

// Importer puts mail into accounts.
type Importer struct {
	o    Options
	mu   sync.Mutex
	busy map[string]bool // sources by account
}

// New makes an Importer.
func New(o Options) *Importer {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Importer{o: o, busy: map[string]bool{}}
}

// begin lets one import of a source into an account run at a time.
func (im *Importer) begin(id mail.AccountID, source string) (end func(), err error) {
	name := sourceName(id, source)
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.busy[name] {
		return nil, mail.Errorf(mail.InUse, "%s is being imported already", source)
	}
	im.busy[name] = true
	return func() {
		im.mu.Lock()
		defer im.mu.Unlock()
		delete(im.busy, name)
	}, nil
}

// Plan says what of a source is in the account already, for Send to leave out.
// folders are the source's names for them.
func (im *Importer) Plan(ctx context.Context, id mail.AccountID, source string, folders []string) (Done, error) {
	end, err := im.begin(id, source)
	if err != nil {
		return nil, err
	}
	defer end()
	a, err := im.o.Pool.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer a.Release()
	done := Done{}
	for _, folder := range folders {
		b, err := openBook(ctx, im.o.Notes, id, source, folder)
		if err != nil {
			return nil, err
		}
		if err := b.settle(ctx, a); err != nil {
			return nil, err
		}
		digests, err := b.digests(ctx)
		if err != nil {
			return nil, err
		}
		if len(digests) > 0 {
			done[folder] = digests
		}
	}
	return done, nil
}

// Receive puts what comes out of a stream into the account. It tells progress,
// unless that is nil, after every batch of messages. Whenever it ends, by the
// stream's end, an error or ctx, every message that came whole is kept, and the
// Result says what was done.
func (im *Importer) Receive(ctx context.Context, id mail.AccountID, r io.Reader, progress func(Progress)) (Result, error) {
	a, err := im.o.Pool.Open(ctx, id)
	if err != nil {
		return Result{}, err
	}
	defer a.Release()
	in := &intake{im: im, a: a, progress: progress, end: func() {}}
	defer func() { in.end() }()
	err = drain(ctx, r, in)
	if in.now != nil { // the last folder did not come to its end
		err = errors.Join(err, in.now.pause(context.WithoutCancel(ctx)))
	}
	return in.result, err
}

// Import reads a source into the account, without a stream between processes.
func (im *Importer) Import(ctx context.Context, id mail.AccountID, src Source, progress func(Progress)) (Result, error) {
	folders, err := src.Folders(ctx)
	if err != nil {
		return Result{}, err
	}
	names := make([]string, len(folders))
	for i := range folders {
		names[i] = folders[i].Name
	}
	done, err := im.Plan(ctx, id, src.Name(), names)
	if err != nil {
		return Result{}, err
	}
	var result Result
	err = pipe(ctx,
		func(ctx context.Context, w io.Writer) error { return Send(ctx, src.Name(), folders, done, w) },
		func(ctx context.Context, r io.Reader) error {
			var err error
			result, err = im.Receive(ctx, id, r, progress)
			return err
		})
	return result, err
}

// pipe runs a writer and a reader of a stream side by side. The error of the side
// that failed first is given.
func pipe(ctx context.Context, send func(context.Context, io.Writer) error, receive func(context.Context, io.Reader) error) error {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := send(ctx, w)
		if err == nil {
			w.Close()
		} else {
			w.CloseWithError(err)
		}
		sent <- err
	}()
	err := receive(ctx, r)
	r.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	return err
}

// intake is a stream's way into an account.
type intake struct {
	im       *Importer
	a        *account.Account
	progress func(Progress)
	end      func()

	source string
	result Result
	told   Progress
	now    *arrival // nil: there is no mailbox for this folder
	unfit  string   // why not
}

func (in *intake) begin(h hello) error {
	end, err := in.im.begin(in.a.ID(), h.Source)
	if err != nil {
		return err
	}
	in.end, in.source, in.told.Total = end, h.Source, h.Total
	return nil
}

func (in *intake) folder(ctx context.Context, f folderHead) error {
	in.result.Folders = append(in.result.Folders, FolderResult{Name: f.Name})
	name, err := mailboxName(f.Name)
	if err != nil { // it shall not keep the other folders away
		in.unfit = err.Error()
		in.last().note(in.unfit)
		return nil
	}
	if in.now, err = in.arrive(ctx, f, name); err != nil {
		return err
	}
	in.told.Folder, in.told.Mailbox = f.Name, in.last().Mailbox
	in.tell()
	return nil
}

// last is the result of the folder that comes now.
func (in *intake) last() *FolderResult { return &in.result.Folders[len(in.result.Folders)-1] }

func (in *intake) tell() {
	if in.progress != nil {
		in.progress(in.told)
	}
}

func (in *intake) message(ctx context.Context, m messageHead, body io.Reader) error {
	if in.now == nil {
		in.refused(m, in.unfit)
		return nil
	}
	return in.now.message(ctx, m, body)
}

func (in *intake) refused(m messageHead, reason string) {
	in.last().skip(m.Key, reason)
	in.told.Messages++
}

func (in *intake) folderEnd(ctx context.Context, e folderEnd) error {
	in.last().Present += e.Known
	in.told.Messages += e.Known
	if in.now != nil {
		if err := in.now.finish(ctx); err != nil {
			return err
		}
		in.now = nil
	}
	in.tell()
	return nil
}
