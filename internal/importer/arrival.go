package importer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"postern/internal/account"
	"postern/internal/mail"
)

// arrival is a folder on its way into a mailbox.
//
// If UIDs are to be kept no other message may get one of theirs meanwhile, so
// the messages go into a mailbox of their own, "Sent (import)", to which nobody
// delivers. When all are there it takes the place of "Sent", provided that never
// had a message. If it has one by then, the messages are moved there and get new
// UIDs.
type arrival struct {
	in     *intake
	head   folderHead
	name   string // of the mailbox that was asked for
	book   *book
	box    *account.Mailbox
	result *FolderResult
	batch  batch
	failed bool // it is not known what is in: whoever runs it again looks
}

// maxGiven bounds UIDs and UIDVALIDITYs that are kept; see account.Mailbox.Adopt.
const maxGiven = 0xf000_0000

// arrive makes ready to take in a folder.
func (in *intake) arrive(ctx context.Context, head folderHead, name string) (_ *arrival, err error) {
	v := &arrival{in: in, head: head, name: name, result: in.last()}
	if name != head.Name {
		v.result.note(fmt.Sprintf("the folder is now called %q", name))
	}
	if head.Note != "" {
		v.result.note(head.Note)
	}
	if v.book, err = openBook(ctx, in.im.o.Notes, in.a.ID(), in.source, head.Name); err != nil {
		return nil, err
	}
	if err := v.book.settle(ctx, in.a); err != nil {
		return nil, err
	}
	switch {
	case v.book.Merging:
		err = v.merge(ctx)
	case v.book.Mailbox == 0, !v.book.Apart && len(v.book.done) == 0: // nothing came before
		err = v.choose(ctx)
	default:
		err = v.goOn(ctx)
	}
	if err != nil {
		return nil, err
	}
	v.result.Mailbox = v.box.Info().Name
	return v, nil
}

// choose finds or makes the mailbox for a folder that was not imported before.
func (v *arrival) choose(ctx context.Context) error {
	name := v.name
	why, err := v.whyNewUIDs(ctx)
	if err != nil {
		return err
	}
	if v.head.Validity != 0 && v.head.Total != 0 {
		if why == "" {
			name += " (import)"
			v.book.Apart, v.book.Validity = true, v.head.Validity
		} else {
			v.newUIDs(why)
		}
	}
	// An empty one of that name is left of an import that broke off just here.
	for n := 2; v.book.Apart; n++ {
		info, found := mailboxByName(v.in.a, name)
		if !found || info.Counts.UIDNext == 1 {
			break
		}
		name = v.name + " (import " + strconv.Itoa(n) + ")"
	}
	if v.box, err = openMailbox(ctx, v.in.a, name); err != nil {
		return err
	}
	v.book.Mailbox = v.box.Info().ID
	return v.book.write(ctx)
}

// openMailbox gives the mailbox, made if it is not there.
func openMailbox(ctx context.Context, a *account.Account, name string) (*account.Mailbox, error) {
	if _, err := a.CreateMailbox(ctx, name, 0); err != nil && mail.KindOf(err) != mail.AlreadyExists {
		return nil, err
	}
	return a.Mailbox(name, mail.RightInsert)
}

// whyNewUIDs says why UIDs that are known cannot be kept, "" if they can.
func (v *arrival) whyNewUIDs(ctx context.Context) (string, error) {
	if v.head.Validity == 0 {
		return "", nil
	}
	if v.tooHigh() {
		return "UIDs are not kept: they, or UIDVALIDITY, are so high that none would be left", nil
	}
	if info, found := mailboxByName(v.in.a, v.name); found && info.Counts.UIDNext > 1 {
		return "UIDs are not kept: the mailbox has, or had, messages", nil
	}
	if _, err := account.CanonicalName(v.name + " (import 99)"); err != nil {
		return "UIDs are not kept: the mailbox's name is too long", nil
	}
	other, err := v.in.im.o.Notes.Get(ctx, v.adoptedName())
	if err == nil && other != nil && string(other) != v.adopted() {
		return "UIDs are not kept: a mailbox of this name had this UIDVALIDITY before", nil
	}
	return "", err
}

// tooHigh reports whether there would be no numbers left.
func (v *arrival) tooHigh() bool { return v.head.Validity > maxGiven || v.head.UIDNext > maxGiven }

// adoptedName names the note that says which mailbox has, or had, the name and
// the UIDVALIDITY. Another one may never have both: clients would take its
// messages for those they knew.
func (v *arrival) adoptedName() string {
	return fmt.Sprintf("%sadopted/%d/%x", NotesOf(v.in.a.ID()), v.head.Validity, digestOf(v.name))
}

func (v *arrival) adopted() string { return strconv.FormatUint(uint64(v.book.Mailbox), 10) }

// goOn opens the mailbox of an import that ran before.
func (v *arrival) goOn(ctx context.Context) error {
	info, found := mailboxByID(v.in.a, v.book.Mailbox)
	if !found {
		return mail.Errorf(mail.NotFound, "the mailbox that %s goes into was deleted just now", v.head.Name)
	}
	if v.book.Apart && info.Name == v.name { // and the ledger was not written any more
		v.book.Apart = false
		if err := v.book.write(ctx); err != nil {
			return err
		}
	}
	if v.book.Validity != 0 && (v.book.Validity != v.head.Validity || v.tooHigh()) {
		v.newUIDs("UIDs are not kept any more: UIDVALIDITY changed since the import before")
		v.book.Validity = 0
	}
	if v.book.Validity != 0 && !v.book.Apart && v.book.Validity != info.Validity {
		v.newUIDs("UIDs are not kept any more: the mailbox has another UIDVALIDITY since the import before")
		v.book.Validity = 0
	}
	if v.book.Validity == 0 && v.head.Validity != 0 && v.result.UIDs == UIDsUnknown {
		v.newUIDs("UIDs are not kept: they were not in the import before")
	}
	box, err := v.in.a.Mailbox(info.Name, mail.RightInsert)
	v.box = box
	return err
}

func (v *arrival) newUIDs(why string) {
	v.result.UIDs = UIDsNew
	v.result.note(why)
}

// finish ends a folder of which everything came.
func (v *arrival) finish(ctx context.Context) error {
	if err := v.flush(ctx); err != nil {
		return err
	}
	if err := v.book.write(ctx); err != nil {
		return err
	}
	if v.book.Apart {
		if err := v.unite(ctx); err != nil {
			return err
		}
	}
	if v.book.Validity != 0 && v.result.UIDs == UIDsUnknown {
		v.result.UIDs = UIDsKept
	}
	info := v.box.Info()
	v.result.Mailbox = info.Name
	if v.head.Subscribed && !info.Subscribed {
		return v.in.a.Subscribe(ctx, info.Name, true)
	}
	return nil
}

// unite makes a mailbox of its own the one that was asked for.
func (v *arrival) unite(ctx context.Context) error {
	why := ""
	if v.book.Validity != 0 {
		var err error
		if why, err = v.whyNewUIDs(ctx); err != nil {
			return err
		}
		if why == "" {
			if err := v.in.im.o.Notes.Put(ctx, v.adoptedName(), []byte(v.adopted())); err != nil {
				return err
			}
			next := max(v.head.UIDNext, v.box.Info().Counts.UIDNext)
			err := v.box.Adopt(ctx, v.name, v.book.Validity, next)
			if err == nil {
				v.book.Apart = false
				return v.book.write(ctx)
			}
			switch mail.KindOf(err) {
			case mail.AlreadyExists, mail.Invalid, mail.Cannot, mail.HasChildren:
				why = "UIDs are not kept: " + err.Error()
			default:
				return err
			}
		}
		v.newUIDs(why)
	}
	v.book.Merging = true
	if err := v.book.write(ctx); err != nil {
		return err
	}
	return v.merge(ctx)
}

// merge moves the messages of a mailbox of its own to the one that was asked
// for. It may have been begun before.
func (v *arrival) merge(ctx context.Context) error {
	a := v.in.a
	to, err := openMailbox(ctx, a, v.name)
	if err != nil {
		return err
	}
	if info, found := mailboxByID(a, v.book.Mailbox); found && info.Name != v.name {
		from, err := a.Mailbox(info.Name, mail.RightExpunge)
		if err != nil {
			return err
		}
		if err := moveAll(ctx, from, to); err != nil {
			return err
		}
		err = a.DeleteMailbox(ctx, info.Name)
		if k := mail.KindOf(err); err != nil && k != mail.NotFound && k != mail.HasChildren {
			return err
		}
	}
	v.box = to
	v.book.Mailbox, v.book.Apart, v.book.Merging, v.book.Validity = to.Info().ID, false, false, 0
	return v.book.write(ctx)
}

func moveAll(ctx context.Context, from, to *account.Mailbox) error {
	s, err := from.Select(ctx, true)
	if err != nil {
		return err
	}
	defer s.Close()
	uids := s.Start().UIDs
	if uids.Empty() {
		return nil
	}
	_, err = s.Move(ctx, uids, to)
	return err
}

// pause keeps what came of a folder that did not come to its end.
func (v *arrival) pause(ctx context.Context) error {
	var err error
	if !v.failed {
		if err = v.flush(ctx); err == nil {
			err = v.book.write(ctx)
		}
	}
	v.batch.abandon(ctx)
	if v.book.Apart {
		v.result.UIDs = UIDsWaiting
	}
	return err
}

// mailboxName makes a mailbox name of a folder's: what no mailbox name can hold
// becomes "_", and empty levels go.
func mailboxName(name string) (string, error) {
	if canonical, err := account.CanonicalName(name); err == nil {
		return canonical, nil
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	levels := strings.FieldsFunc(clean, func(r rune) bool { return r == mail.Separator })
	canonical, err := account.CanonicalName(strings.Join(levels, "/"))
	if err != nil {
		return "", mail.Wrap(err, mail.KindOf(err), fmt.Sprintf("the folder %q cannot become a mailbox", name))
	}
	return canonical, nil
}
