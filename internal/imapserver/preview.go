package imapserver

import (
	"context"

	"postern/internal/account"
)

// previewWanted is what a FETCH wants of previews (RFC 8970).
type previewWanted uint8

const (
	noPreview     previewWanted = iota
	previewAtHand               // PREVIEW (LAZY): NIL where none was made at arrival
	previewMade                 // PREVIEW: never NIL
)

// keepPreview puts the preview of a message behind what else the arena has of it.
// Where one has yet to be made, of mail that came in before previews were, it
// keeps the summary for that and reports true.
func (f *fetching) keepPreview(from *fromSummary, m *account.Summary) (toMake bool) {
	if f.plan.preview == noPreview {
		return false
	}
	text, made := m.Preview()
	f.arena = append(f.arena, text...)
	from.preview, from.previewed = len(f.arena), made
	if made || f.plan.preview == previewAtHand {
		return false
	}
	from.kept = m.Clone()
	return true
}

// previewOf gives the preview of the message at i in this chunk, and false for
// NIL.
func (f *fetching) previewOf(i int) (string, bool, error) {
	if f.plan.preview == noPreview {
		return "", false, nil
	}
	from := &f.found[i]
	switch {
	case from.previewed:
		return string(f.arena[from.body:from.preview]), true, nil
	case f.plan.preview == previewAtHand:
		return "", false, nil
	}
	s := f.session
	text, err := patiently(s.ctx, s, func(ctx context.Context) (string, error) {
		return s.box.sel.MakePreview(ctx, from.kept)
	})
	return text, err == nil, err
}
