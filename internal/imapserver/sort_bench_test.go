package imapserver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"postern/internal/account"
	"postern/internal/mail"
)

// newThreadBench is newBench with a mailbox of n messages in threads of five, each
// with headers of its own.
func newThreadBench(b *testing.B, n int) *bench {
	t := newBench(b, 0)
	ctx := context.Background()
	acc, err := t.w.pool.Open(ctx, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer acc.Release()
	inbox, err := acc.Mailbox(mail.Inbox, mail.RightInsert)
	if err != nil {
		b.Fatal(err)
	}
	for at := 0; at < n; {
		var batch []account.NewMessage
		for ; at < n && len(batch) < 1000; at++ {
			content, err := t.w.pool.Keep(ctx, strings.NewReader(threadedSample(at)))
			if err != nil {
				b.Fatal(err)
			}
			batch = append(batch, account.NewMessage{Content: content, Date: mail.InternalDate(at) << 20})
		}
		if _, err := inbox.Append(ctx, batch); err != nil {
			b.Fatal(err)
		}
		for _, m := range batch {
			m.Content.Abandon(ctx)
		}
	}
	t.do("EXAMINE INBOX")
	return t
}

func threadedSample(i int) string {
	id := func(i int) string { return fmt.Sprintf("<%d.%d@mail.example.org>", i, i*31) }
	subject := fmt.Sprintf("Minutes of meeting number %d", i/5*7919%20_000)
	var refs strings.Builder
	if i%5 > 0 {
		subject = "Re: " + subject
		fmt.Fprintf(&refs, "In-Reply-To: %s\r\nReferences:", id(i-1))
		for j := i / 5 * 5; j < i; j++ {
			refs.WriteString("\r\n " + id(j))
		}
		refs.WriteString("\r\n")
	}
	return fmt.Sprintf("Date: %d Feb 2024 %02d:%02d:%02d +0100\r\nFrom: Some One <someone%d@example.org>\r\nTo: ada@example.org\r\n"+
		"Message-ID: %s\r\n%sSubject: %s\r\n\r\nText.\r\n", i*7%28+1, i%24, i%60, i*13%60, i%997, id(i), refs.String(), subject)
}

func BenchmarkSort100k(b *testing.B) {
	for _, command := range []string{
		"UID SORT (REVERSE ARRIVAL) UTF-8 ALL", "UID SORT (REVERSE DATE) UTF-8 ALL", "UID SORT (SUBJECT) UTF-8 ALL",
		"UID THREAD ORDEREDSUBJECT UTF-8 ALL", "UID THREAD REFERENCES UTF-8 ALL", "UID THREAD REFS UTF-8 ALL",
	} {
		b.Run(command, func(b *testing.B) {
			t := newThreadBench(b, many)
			t.run(command, many)
		})
	}
}
