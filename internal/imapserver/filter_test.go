package imapserver

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mail"
)

// TestFilterBounds: filters may name others, but neither for ever nor so often that
// a few short ones become a search that takes all day.
func TestFilterBounds(t *testing.T) {
	shared := &ServerMetadata{}
	shared.Set([]mail.Metadata{
		{Name: "/shared/filters/values/everyones", Value: []byte("SUBJECT message")},
		{Name: "/shared/filters/values/own", Value: []byte("ALL")},
		{Name: "/shared/filters/values/broken", Value: []byte("OR SMALLER")},
		{Name: "/shared/filters/values/long", Value: []byte(strings.Repeat("x", 100_000))},
	})
	w := newWorld(t, func(o *Options) { o.Metadata = shared })
	c := w.login()
	c.fill(2)
	c.ok("SELECT INBOX", anything)

	// The server's are for everybody; one's own goes before it (RFC 5466 1).
	c.ok("SEARCH FILTER everyones", "* SEARCH 1 2")
	c.ok("SEARCH FILTER own", "* SEARCH 1 2")
	c.ok(`SETMETADATA "" (/private/filters/values/own "2")`)
	c.ok("SEARCH FILTER own", "* SEARCH 2")
	c.reply(`SETMETADATA "" (/shared/filters/values/own "2")`, "NO [NOPERM] ...")
	c.reply("SEARCH FILTER broken", "NO [UNDEFINED-FILTER broken] ...")
	c.reply("SEARCH FILTER long", "NO [UNDEFINED-FILTER long] ...")

	// A chain of filters, each of which names the next.
	const chain = 12
	c.ok(`SETMETADATA "" (/private/filters/values/c0 "1")`)
	for i := 1; i <= chain; i++ {
		c.ok(fmt.Sprintf(`SETMETADATA "" (/private/filters/values/c%d "FILTER c%d")`, i, i-1))
	}
	c.ok(fmt.Sprintf("SEARCH FILTER c%d", maxFilterDepth-1), "* SEARCH 1")
	c.reply(fmt.Sprintf("SEARCH FILTER c%d", maxFilterDepth), "NO [UNDEFINED-FILTER c0] ...")

	// Filters that name the next twice: 2, 4, 8 ... of them.
	c.ok(`SETMETADATA "" (/private/filters/values/d0 "1")`)
	for i := 1; i < maxFilterDepth; i++ {
		c.ok(fmt.Sprintf(`SETMETADATA "" (/private/filters/values/d%d "FILTER d%d FILTER d%d")`, i, i-1, i-1))
	}
	c.ok("SEARCH FILTER d5", "* SEARCH 1") // 63
	c.reply("SEARCH FILTER d6", "NO [UNDEFINED-FILTER ...")
	// A loop is the first that comes round again.
	c.ok(`SETMETADATA "" (/private/filters/values/self "FILTER SELF")`)
	c.reply("SEARCH FILTER self", "NO [UNDEFINED-FILTER ...")
	c.reply("SEARCH RETURN (ALL) OR SEEN FILTER self", "NO [UNDEFINED-FILTER ...")
	// A filter's extensions are those of the command.
	c.ok(`SETMETADATA "" (/private/filters/values/news "MODSEQ 1")`)
	if got := c.ok("SEARCH FILTER news", "* OK [HIGHESTMODSEQ ...", "* SEARCH 1 2 (MODSEQ ..."); !strings.HasPrefix(got, "OK") {
		t.Error(got)
	}
}

// TestSearchesThatFailUnselected: a search to be saved that fails where nothing is
// selected has nothing to empty.
func TestSearchesThatFailUnselected(t *testing.T) {
	w := newWorld(t, nil)
	c := w.login()
	c.reply("ESEARCH RETURN (SAVE) CHARSET X-None ALL", "NO [BADCHARSET] ...")
	c.reply("ESEARCH IN (personal) RETURN (SAVE) FILTER none", "BAD ...")
	c.reply("ESEARCH IN (personal) RETURN (SAVE", "BAD ...")
	c.ok("NOOP")
}
