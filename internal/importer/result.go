package importer

// Progress is how far an import or export is.
type Progress struct {
	Folder   string // the source's name for it
	Mailbox  string // or where else it goes
	Messages int    // looked at so far, over all folders
	Total    int    // of them there are; -1: unknown
	Bytes    int64  // of messages, so far
}

// Result is what an import or export did.
type Result struct {
	Folders []FolderResult
}

// FolderResult is what became of one folder.
type FolderResult struct {
	Name     string // the source's name for it
	Mailbox  string // or the file or directory it went to
	Messages int    // that came in now
	Bytes    int64
	Present  int // that were in already
	Broken   int // of Messages: their header is none, or has lines that are no fields. They are kept as they are
	Keywords int // that are no IMAP keywords, or too many, and were dropped

	UIDs    UIDs
	Refused int       // messages that did not come in
	Skipped []Skipped // the first thousand of them
	Notes   []string  // for the user: what is different from what was asked for
}

// UIDs says what became of UIDs.
type UIDs string

// What becomes of UIDs.
const (
	UIDsUnknown UIDs = ""        // the source has none
	UIDsKept    UIDs = "kept"    // UIDVALIDITY and UIDs are what they were
	UIDsNew     UIDs = "new"     // the messages got new ones; Notes say why
	UIDsWaiting UIDs = "waiting" // the import was interrupted; the mailbox has another name until it is run again
)

// Skipped is a message that did not come in.
type Skipped struct {
	Key    string // its file, or its digest in an mbox
	Reason string
}

const maxSkipped = 1000

func (f *FolderResult) skip(key, reason string) {
	f.Refused++
	if len(f.Skipped) < maxSkipped {
		f.Skipped = append(f.Skipped, Skipped{key, reason})
	}
}

func (f *FolderResult) note(text string) { f.Notes = append(f.Notes, text) }

// Sum adds up the figures of all folders.
func (r *Result) Sum() FolderResult {
	var sum FolderResult
	for i := range r.Folders {
		f := &r.Folders[i]
		sum.Messages += f.Messages
		sum.Bytes += f.Bytes
		sum.Present += f.Present
		sum.Broken += f.Broken
		sum.Keywords += f.Keywords
		sum.Refused += f.Refused
	}
	return sum
}
