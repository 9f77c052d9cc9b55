package cluster

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"postern/internal/store"
	"postern/internal/store/storetest"
	"postern/test/peer"
)

// The tests of this package share one PostgreSQL, started by the first that needs
// it; each has a schema of its own.
var (
	database struct {
		sync.Mutex
		*peer.PostgreSQL
	}
	schemas atomic.Int64
)

func TestMain(m *testing.M) {
	code := m.Run()
	if database.PostgreSQL != nil {
		database.Stop()
	}
	os.Exit(code)
}

func postgres(t testing.TB) *peer.PostgreSQL {
	t.Helper()
	database.Lock()
	defer database.Unlock()
	if database.PostgreSQL == nil {
		database.PostgreSQL = peer.NewPostgreSQL(t)
	}
	return database.PostgreSQL
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// small are options for tests: a schema that is made, few connections, nothing in
// the background.
func small(t testing.TB) Options {
	t.Helper()
	o := Options{URL: newSchema(t), Connections: 6, SweepEvery: -1, PollEvery: -1}
	must(t, Migrate(t.Context(), o, nil))
	return o
}

// newSchema makes an empty schema and gives its URL.
func newSchema(t testing.TB) string {
	t.Helper()
	pg := postgres(t)
	schema := fmt.Sprintf("s%d", schemas.Add(1))
	conn, err := pgx.Connect(t.Context(), pg.URL("public"))
	must(t, err)
	_, err = conn.Exec(t.Context(), "CREATE SCHEMA "+schema)
	must(t, errors.Join(err, conn.Close(t.Context())))
	return pg.URL(schema)
}

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestContract(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store { return openStore(t, small(t)) })
}

func TestModel(t *testing.T) {
	storetest.Model(t, func(t testing.TB) store.Store {
		s, err := Open(t.Context(), small(t))
		must(t, err)
		return s
	}, nil)
}
