package account

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mail"
	"postern/internal/message"
)

var update = flag.Bool("update", false, "write golden files anew: only for a new version of an encoding")

// octets reads hexadecimal digits with comments.
func octets(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUIDSetEncoding(t *testing.T) {
	const top = 1<<32 - 1
	for _, c := range []struct {
		set  mail.UIDSet
		want string
	}{
		{nil, "00 00"},
		{span(1, 100_000), "00 01 01 9f8d06"},                       // one run: 1, and 99,999 more
		{set(5, 105), "00 02 05 00 64 00"},                          // two runs of one
		{set(5, 7), "01 05 01 05"},                                  // bits 0 and 2 from UID 5
		{set(1, 3, 5, 7, 9, 11), "01 01 02 5505"},                   // bits 0 2 4 6 8 10 from UID 1
		{span(top, top), "00 01 ffffffff0f 00"},                     // the highest UID
		{mail.UIDSet{{First: 1, Last: top}}, "00 01 01 feffffff0f"}, // all there are
	} {
		got := appendUIDs(nil, c.set)
		if want := octets(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", c.set, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var s mail.UIDSet
		uid := uint64(0)
		for range rapid.IntRange(0, 200).Draw(t, "runs") {
			first := uid + uint64(rapid.IntRange(2, 40).Draw(t, "gap")) + uint64(rapid.SampledFrom([]int{0, 0, 0, 0, 1 << 24}).Draw(t, "jump"))
			last := first + uint64(rapid.IntRange(0, 5).Draw(t, "length"))
			if last > top {
				break
			}
			s = append(s, mail.UIDRange{First: mail.UID(first), Last: mail.UID(last)})
			uid = last
		}
		b := appendUIDs(nil, s)
		d := decoder{what: "a set", b: b}
		if got := d.uids(); d.done() != nil || !got.Equal(s) {
			t.Fatalf("%s: got %s, %v", s, got, d.err)
		}
		if bound := int(s.Max()-s.Min())/8 + 16; len(b) > bound {
			t.Fatalf("%s takes %d octets, a bit for each UID of its span takes %d", s, len(b), bound)
		}
	})
}

var goldenKey = mail.AccessKey([]byte("0123456789abcdef0123456789ABCDEF"))

// goldenRecord has every event.
func goldenRecord() []mail.Change {
	after := mail.Counts{Messages: 2, Unseen: 1, Deleted: 1, Bytes: 300, UIDNext: 8, DeletedBytes: 5}
	date := mail.InternalDate(1000<<12 | 60)
	return []mail.Change{
		{Mailbox: 3, After: mail.Counts{UIDNext: 1}, Event: mail.MailboxCreated{Name: "a/b", Validity: 1000, SpecialUse: mail.UseSent}},
		{Mailbox: 3, After: after, Event: mail.MessagesAdded{Messages: []mail.Message{
			{UID: 5, Flags: mail.NewFlags(mail.Seen, "x"), Size: 100, Date: date, Saved: 1001, ID: 9},
			{UID: 7, Size: 200, Date: mail.InternalDate(-5<<12 | 0xfc4), Saved: 1001, ID: 10},
		}}},
		{Mailbox: 3, After: after, Event: mail.FlagsChanged{Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen, "x"), UIDs: set(7)}},
		{Mailbox: 3, After: after, Event: mail.MessagesExpunged{UIDs: set(5), At: 1002}},
		{Mailbox: 3, After: after, Event: mail.MessagesPurged{UIDs: set(5), IDs: []mail.MessageID{9}, Through: 3}},
		{Mailbox: 3, After: after, Event: mail.RecentClaimed{Below: 8}},
		{Mailbox: 3, After: after, Event: mail.MailboxRenamed{Name: "ä"}},
		{Mailbox: 3, After: after, Event: mail.SpecialUseSet{SpecialUse: mail.UseTrash}},
		{Mailbox: 3, After: after, Event: mail.MetadataSet{Entries: []mail.Metadata{
			{Name: "/private/comment", Reader: 300, Value: []byte("a\x00")}, {Name: "/shared/C", Value: []byte{}}, {Name: "/shared/d"},
		}}},
		{Event: mail.MetadataSet{Entries: []mail.Metadata{{Name: "/private/x", Reader: 1, Value: []byte("y")}}}},
		{Mailbox: 3, After: after, Event: mail.AppendLimitSet{Limit: mail.AppendLimit{Own: true, Octets: 300}}},
		{Mailbox: 3, After: after, Event: mail.AppendLimitSet{}},
		{Event: mail.QuotaSet{Quota: mail.OwnQuota{
			Octets: mail.QuotaLimit{Given: true, Most: 1000}, Messages: mail.QuotaLimit{Given: true, Most: mail.Unlimited},
		}}},
		{Mailbox: 3, After: after, Event: mail.AccessKeySet{Key: goldenKey}},
		{Mailbox: 3, After: after, Event: mail.AccessKeySet{}},
		{Mailbox: 3, After: after, Event: mail.FlagsChanged{Op: mail.SetFlags.For(mail.SeenFlag | mail.OtherFlags), UIDs: set(7)}},
		{Mailbox: 3, After: after, Event: mail.ACLSet{ACL: mail.ACL{
			{Account: 5, Rights: mail.RightLookup | mail.RightRead}, {Account: 5, Negative: true, Rights: mail.RightAdminister},
		}}},
		{Mailbox: 3, After: after, Event: mail.MailboxDeleted{At: 1003}},
		{Event: mail.Subscribed{Name: "a/b", On: true}},
		{Event: mail.IndexSet{Segments: goldenIndex}},
	}
}

func TestRecordEncoding(t *testing.T) {
	want := octets(t, `
		02                      ; version
		02                      ; flag sets
		08 01 01 78             ; \Seen, one keyword of one octet, x
		00 00                   ; none
		14                      ; changes
		06 03 000000000100 07   ; created, mailbox 3, counts, length
		03 612f62 e807 08       ; a/b, UIDVALIDITY 1000, \Sent
		01 03 020101ac020805 17   ; added, mailbox 3, counts, length
		02 05 02                ; two rows, UIDs 5 and 5+2
		00 01 02 01             ; flag sets in runs: 0 once, zigzag 1 once
		64 c801                 ; sizes 100, 200
		d00f d90f               ; dates 1000 and 1005 less, zigzag
		78 01 77 01             ; zones 60 once, -60 once, zigzag
		d20f 00                 ; saved 1001, the same
		12 02                   ; message ids 9, 9+1, zigzag
		02 03 020101ac020805 06   ; flags
		02 00 00 01 07 00       ; add, flag set 0, one run: 7
		03 03 020101ac020805 06   ; expunged
		d40f 00 01 05 00        ; at 1002, one run: 5
		0c 03 020101ac020805 07   ; purged
		00 01 05 00 01 12 03    ; one run: 5; one message id: 9; expunged by 3 at last
		05 03 020101ac020805 01   ; recent
		08
		07 03 020101ac020805 03   ; renamed
		02 c3a4
		09 03 020101ac020805 01   ; special use
		10
		0e 03 020101ac020805 31   ; metadata
		03                      ; three entries: of reader 300, shared, shared
		ac02 10 2f707269766174652f636f6d6d656e74 01 02 6100
		00 09 2f7368617265642f43 01 00
		00 09 2f7368617265642f64 00
		0e 00 10                ; metadata, no mailbox, no counts
		01 01 0a 2f707269766174652f78 01 01 79
		0f 03 020101ac020805 02 ; append limit
		ad02                    ; 300 and one
		0f 03 020101ac020805 01 ; append limit
		00                      ; none
		10 00 05                ; quota, no mailbox, no counts
		01 e807 02 00           ; 1000 octets, messages without limit, mailboxes as configured
		11 03 020101ac020805 21 ; access key
		20 3031323334353637383961626364656630313233343536373839414243444546
		11 03 020101ac020805 01 ; access key
		00                      ; none
		02 03 020101ac020805 06   ; flags
		08 01 00 01 07 00       ; set \Seen and others, flag set 1, one run: 7
		0d 03 020101ac020805 06   ; access control list
		02 0a 03 0b 8008        ; two grants: to account 5 rights 3; from account 5 right 1024
		08 03 020101ac020805 02   ; deleted
		d60f
		0a 00 05                ; subscribed, no mailbox, no counts
		01 03 612f62
		12 00 18                ; text index, no mailbox, no counts
		01 01020000000000000000000000000010 01 ac02 aa02 8020 ; one segment: body, from 1 to before 300, 298 messages, 4096 octets
	`)
	changes := goldenRecord()
	for i := range changes {
		changes[i].ModSeq = mail.ModSeq(100 + i)
	}
	got := encodeRecord(changes)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	var back []mail.Change
	err := decodeRecord(got, 119, func(c *logged) error {
		change, err := c.change()
		back = append(back, change)
		return err
	})
	if err != nil || len(back) != len(changes) {
		t.Fatal(len(back), err)
	}
	for i := range changes {
		if e, ok := changes[i].Event.(mail.MessagesAdded); ok {
			for k := range e.Messages {
				e.Messages[k].ModSeq = changes[i].ModSeq
			}
			if len(back[i].Event.(mail.MessagesAdded).Messages) != 2 {
				t.Fatal("messages are missing")
			}
			for k, m := range back[i].Event.(mail.MessagesAdded).Messages {
				if !equalMessages(m, e.Messages[k]) {
					t.Errorf("got %+v, want %+v", m, e.Messages[k])
				}
			}
			continue
		}
		if !reflect.DeepEqual(back[i], changes[i]) {
			t.Errorf("got %+v, want %+v", back[i], changes[i])
		}
	}
}

// TestSmallRecords holds the sizes that docs/decisions/0009 counts on.
func TestSmallRecords(t *testing.T) {
	one := []mail.Change{{ModSeq: 9, Mailbox: 3, After: mail.Counts{Messages: 100, UIDNext: 200, Bytes: 1 << 20},
		Event: mail.FlagsChanged{Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen), UIDs: set(150)}}}
	if n := len(encodeRecord(one)); n > 25 {
		t.Errorf("a flag change of one message takes %d octets", n)
	}
	one[0].Event = mail.FlagsChanged{Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen), UIDs: span(1, 100_000)}
	if n := len(encodeRecord(one)); n > 27 {
		t.Errorf("one of 100,000 takes %d octets", n)
	}
	var scattered mail.UIDSet
	for uid := mail.UID(1); uid < 100_000; uid += 2 + uid%3 {
		scattered = scattered.Append(uid)
	}
	one[0].Event = mail.FlagsChanged{Op: mail.AddFlags, Flags: mail.NewFlags(mail.Seen), UIDs: scattered}
	if n := len(encodeRecord(one)); n > 100_000/8+50 {
		t.Errorf("one of scattered messages takes %d octets", n)
	}
}

var goldenIndex = []mail.IndexSegment{{Body: mail.BodyRef{1, 2, 15: 16}, Low: 1, High: 300, Messages: 298, Octets: 4096}}

var goldenQuota = mail.OwnQuota{Octets: mail.QuotaLimit{Given: true, Most: 1 << 30}, Mailboxes: mail.QuotaLimit{Given: true, Most: mail.Unlimited}}

// goldenPages gives one encoding each of what is stored beside records.
func goldenPages(t testing.TB) map[string][]byte {
	flags := newFlagTable()
	page := func(expunge bool) []byte {
		table := &table{expunge: expunge}
		for uid := mail.UID(1); uid <= 100; uid++ {
			f := flags.intern(mail.NewFlags(mail.SystemFlags(uid/30), strings.Repeat("k", int(uid/50)+1)))
			table.insert(&Row{
				UID: uid * uid, Flags: f, ModSeq: mail.ModSeq(1000 - uid), Size: uint32(uid) << 8, ID: mail.MessageID(uid) << 10,
				Date: mail.InternalDate(int64(uid)*1e9<<12 | int64(uid)), Saved: 1 << 30,
			}, 1<<30+int64(uid), mail.ModSeq(2000+uid))
		}
		return encodePage(table.pages[0], flags)
	}
	body := "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
	parsed, err := message.Parse(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	ref := mail.BodyRef{1, 2, 3, 15: 16}
	row := &Row{ID: 77, Size: uint32(len(body) + 6), Date: 1e9 << 12}
	state := mailboxState{
		name: "Entwürfe", validity: 1e9, use: mail.UseDrafts, counts: mail.Counts{Messages: 1, Unseen: 2, Deleted: 3, Bytes: 1 << 40, UIDNext: 5, DeletedBytes: 1 << 39},
		highest: 6, last: 7, claimed: 8, recent: 9, deletedAt: 10, held: 11, heldSince: 12, forgotten: 4,
		limit: mail.AppendLimit{Own: true, Octets: 1<<32 - 1}, key: goldenKey, keyAt: 3,
		acl: mail.ACL{{Account: mail.Anyone, Rights: mail.RightLookup}, {Account: 1 << 40, Rights: mail.AllRights}},
	}
	extra := func(id mail.MessageID) int { return int(id % 100) }
	return map[string][]byte{
		"record":  encodeRecord(goldenRecord()),
		"page":    page(false),
		"gone":    page(true),
		"root":    (&root{nextMessage: 1 << 20, maxValidity: 1e9, oldest: 1 << 30, subscribed: []string{"INBOX", "a/b"}, quota: goldenQuota, index: goldenIndex}).encode(),
		"mailbox": state.encode(),
		"meta": encodeMetadata(9, entries{
			{Name: "/private/A", Reader: 7, Value: []byte("one"), ModSeq: 12}, {Name: "/private/a", Reader: 1 << 40, Value: []byte{}, ModSeq: 5},
			{Name: "/shared/b", Value: []byte("\x00\xff"), ModSeq: 1 << 30},
		}),
		"refs":    encodeRefs(refSpan, []mail.MessageID{refSpan, refSpan + 7, 2*refSpan - 1}, extra),
		"note":    encodeNote(0x0123456789abcdef),
		"summary": encodeSummary(42, row, ref, 0x0123456789abcdef, []byte("X: y\r\n"), encodeContent(parsed, "x", true)),
	}
}

// TestGoldenEncodings says that what this version writes does not change, so that
// stores already written stay readable. Nobody updates a golden file but to add
// one for a new version; the old one stays.
func TestGoldenEncodings(t *testing.T) {
	for name, got := range goldenPages(t) {
		path := filepath.Join("testdata", name+written(name)+".golden")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is written otherwise:\n got %x\nwant %x", name, got, want)
		}
	}
}

// written is the version in which something is written now.
func written(name string) string {
	switch name {
	case "record":
		return ".v8"
	case "mailbox":
		return ".v6"
	case "summary":
		return ".v3"
	case "root":
		return ".v3"
	}
	return ".v1"
}

// TestOlderEncodings reads what an older version wrote. It noted less: a mailbox
// takes it that it has forgotten every expunge up to then.
func TestOlderEncodings(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	m, err := decodeMailbox(read("mailbox.v1.golden"))
	if err != nil || m.forgotten != m.highest || m.highest == 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = decodeMailbox(read("mailbox.v2.golden")); err != nil || m.forgotten != 4 || m.limit.Own || m.acl != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = decodeMailbox(read("mailbox.v3.golden")); err != nil || m.forgotten != 4 || !m.limit.Own || m.acl != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = decodeMailbox(read("mailbox.v4.golden")); err != nil || m.counts.DeletedBytes != 1<<39 || !m.limit.Own || m.keyAt != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	n := len(goldenRecord())
	for _, name := range []string{"record.v2.golden", "record.v3.golden", "record.v4.golden", "record.v5.golden", "record.v6.golden", "record.v7.golden"} {
		if err := decodeRecord(read(name), mail.ModSeq(100+n), func(c *logged) error {
			_, err := c.change()
			if c.after.DeletedBytes != 0 && name < "record.v5" {
				t.Errorf("%s: no message is deleted, and they have %d octets", name, c.after.DeletedBytes)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if err := decodeRecord(read("record.v5.golden"), mail.ModSeq(100+n), func(c *logged) error {
		_, err := c.change()
		return err
	}); err != nil {
		t.Error(err)
	}
	if m, err := decodeMailbox(read("mailbox.v2.golden")); err != nil || m.counts.Deleted != 3 || m.counts.DeletedBytes != unknownBytes || m.forgotten != 4 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := decodeMailbox(read("mailbox.v3.golden")); err != nil || m.counts.DeletedBytes != unknownBytes || !m.limit.Own {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := decodeMailbox(read("mailbox.v4.golden")); err != nil || m.counts.DeletedBytes != 1<<39 || m.acl != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if r, err := decodeRoot(read("root.v1.golden")); err != nil || r.quota != (mail.OwnQuota{}) || len(r.subscribed) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := decodeRoot(read("root.v2.golden")); err != nil || r.quota != goldenQuota || r.index != nil {
		t.Errorf("%+v, %v", r, err)
	}
	err = decodeRecord(read("record.v1.golden"), mail.ModSeq(100+n), func(c *logged) error {
		change, err := c.change()
		if e, ok := change.Event.(mail.MessagesPurged); ok && e.Through != change.ModSeq {
			t.Errorf("%+v", change)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	var s Summary
	if err := s.decode(read("summary.v1.golden")); err != nil || s.account != 42 || !strings.Contains(string(s.envelope), `"s"`) {
		t.Errorf("%+v, %v", s, err)
	}
	if preview, made := s.Preview(); made {
		t.Errorf("a summary without preview has %q", preview)
	}
	if _, err := s.Shape(); err != nil {
		t.Error(err)
	}
	if err := s.decode(read("summary.v2.golden")); err != nil || string(s.preview) != "x" || string(s.prefix) != "X: y\r\n" {
		t.Errorf("%+v, %v", s, err)
	}
	if thread, found := s.Thread(); found {
		t.Errorf("a summary without thread has %s", thread)
	}
}

func TestPagesRoundTrip(t *testing.T) {
	pages := goldenPages(t)
	r, err := decodeRoot(pages["root"])
	if err != nil || !reflect.DeepEqual(r, &root{1 << 20, 1e9, 1 << 30, []string{"INBOX", "a/b"}, goldenQuota, goldenIndex}) {
		t.Errorf("%+v, %v", r, err)
	}
	m, err := decodeMailbox(pages["mailbox"])
	if err != nil || m.name != "Entwürfe" || m.heldSince != 12 || m.counts.Bytes != 1<<40 || !bytes.Equal(m.encode(), pages["mailbox"]) {
		t.Errorf("%+v, %v", m, err)
	}
	e, err := decodeMetadata(9, pages["meta"])
	if err != nil || len(e) != 3 || e[1].Value == nil || string(e[2].Value) != "\x00\xff" || e[2].ModSeq != 1<<30 || e[0].Reader != 7 {
		t.Errorf("%+v, %v", e, err)
	}
	sum := 0
	if err := decodeRefs(refSpan, pages["refs"], func(id mail.MessageID, n int) {
		if n != int(id%100) {
			t.Errorf("message %d has %d", id, n)
		}
		sum++
	}); err != nil || sum != 3 {
		t.Error(sum, err)
	}
	var s Summary
	if err := s.decode(pages["summary"]); err != nil || s.account != 42 || s.id != 77 || s.ref[15] != 16 || string(s.prefix) != "X: y\r\n" || string(s.preview) != "x" || !s.previewed || s.thread != 0x0123456789abcdef || !s.threaded {
		t.Errorf("%+v, %v", s, err)
	}
}

// decoders are all of them, by the name of a golden file. They give whatever
// error they give and must not panic.
var decoders = map[string]func(data []byte) error{
	"record": func(data []byte) error {
		return decodeRecord(data, 1<<20, func(c *logged) error { _, err := c.change(); return err })
	},
	"page": func(data []byte) error { _, err := decodePage(1, data, false); return err },
	"gone": func(data []byte) error { _, err := decodePage(1, data, true); return err },
	"root": func(data []byte) error { _, err := decodeRoot(data); return err },
	"mailbox": func(data []byte) error {
		_, err := decodeMailbox(data)
		return err
	},
	"meta": func(data []byte) error { _, err := decodeMetadata(9, data); return err },
	"refs": func(data []byte) error { return decodeRefs(refSpan, data, func(mail.MessageID, int) {}) },
	"note": func(data []byte) error { _, err := decodeNote(data); return err },
	"summary": func(data []byte) error {
		var m Summary
		if err := m.decode(data); err != nil {
			return err
		}
		m.AppendBody(nil)
		_, err := m.Shape()
		return err
	},
}

func TestDamagedEncodingsAreCorrupt(t *testing.T) {
	for name, good := range goldenPages(t) {
		decode := decoders[name]
		if err := decode(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for n := range good {
			if err := decode(good[:n]); err == nil || mail.KindOf(err) != mail.Corrupt {
				t.Errorf("%s cut to %d of %d octets: %v", name, n, len(good), err)
			}
		}
		for i := range good {
			for _, bit := range []byte{1, 0x80, 0xff} {
				bad := bytes.Clone(good)
				bad[i] ^= bit
				if err := decode(bad); err != nil && mail.KindOf(err) != mail.Corrupt {
					t.Errorf("%s with octet %d changed: %v", name, i, err)
				}
			}
		}
		if err := decode(append(bytes.Clone(good), 0)); err == nil {
			t.Errorf("%s with an octet more is taken", name)
		}
		bad := bytes.Clone(good)
		bad[0] = 99
		if err := decode(bad); mail.KindOf(err) != mail.Corrupt {
			t.Errorf("%s of an unknown version: %v", name, err)
		}
	}
}

func fuzzDecoders(f *testing.F, names ...string) {
	// Every version that was ever written is still read.
	for _, name := range names {
		files, err := filepath.Glob(filepath.Join("testdata", name+".v*.golden"))
		if err != nil || len(files) == 0 {
			f.Fatalf("no golden files of %s (%v)", name, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range names {
			if err := decoders[name](data); err != nil && mail.KindOf(err) != mail.Corrupt {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func FuzzRecordDecode(f *testing.F)  { fuzzDecoders(f, "record") }
func FuzzPageDecode(f *testing.F)    { fuzzDecoders(f, "page", "gone", "root", "mailbox", "meta", "refs") }
func FuzzSummaryDecode(f *testing.F) { fuzzDecoders(f, "summary", "note") }
