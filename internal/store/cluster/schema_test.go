package cluster

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestSchema has a node refuse tables it does not know and say what mends it, and
// several migrate at once.
func TestSchema(t *testing.T) {
	o := Options{URL: newSchema(t), Connections: 2, SweepEvery: -1, PollEvery: -1}
	refused := func(found int, says string) {
		t.Helper()
		s, err := Open(t.Context(), o)
		if err == nil {
			t.Fatal("a node opens a store it does not know", s.Close())
		}
		if schema, ok := errors.AsType[*SchemaError](err); !ok || schema.Found != found || !strings.Contains(err.Error(), says) {
			t.Errorf("refused with %v", err)
		}
	}
	refused(0, "postern store migrate")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := Migrate(t.Context(), o, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := openStore(t, o)
	must(t, Migrate(t.Context(), o, func(version int) { t.Errorf("a second migration went to version %d", version) }))
	_, err := s.db.Exec(t.Context(), `UPDATE postern SET version = $1`, schemaVersion+1)
	must(t, err)
	refused(schemaVersion+1, "newer release")
	if err := Migrate(t.Context(), o, nil); err == nil {
		t.Error("a newer release's tables were migrated")
	}
}

// TestFsyncOff has a node refuse a database that would not keep what it acknowledges.
func TestFsyncOff(t *testing.T) {
	o := small(t)
	conn, err := pgx.Connect(t.Context(), o.URL)
	must(t, err)
	defer conn.Close(t.Context())
	set := func(statement, want string) {
		t.Helper()
		for _, s := range []string{statement, `SELECT pg_reload_conf()`} {
			_, err := conn.Exec(t.Context(), s)
			must(t, err)
		}
		for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
			var now string
			must(t, conn.QueryRow(t.Context(), `SELECT current_setting('fsync')`).Scan(&now))
			if now == want {
				return
			}
		}
		t.Fatalf("fsync does not become %s", want)
	}
	set(`ALTER SYSTEM SET fsync = off`, "off")
	defer set(`ALTER SYSTEM RESET fsync`, "on")
	s, err := Open(t.Context(), o)
	if err == nil {
		t.Fatal("a node serves on fsync = off", s.Close())
	}
	if !strings.Contains(err.Error(), "fsync = on") {
		t.Errorf("refused with %v", err)
	}
}

// TestURL has the settings a node insists on hold whatever the URL says.
func TestURL(t *testing.T) {
	o := small(t)
	o.URL += "&synchronous_commit=off"
	s := openStore(t, o)
	var now string
	must(t, s.db.QueryRow(t.Context(), `SELECT current_setting('synchronous_commit')`).Scan(&now))
	if now != "on" {
		t.Errorf("synchronous_commit is %s", now)
	}
}
