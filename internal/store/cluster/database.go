package cluster

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/mail"
	"postern/internal/store"
)

// validatePrimary refuses a server that takes no writes, whatever the URL says.
var validatePrimary = pgconn.ValidateConnectTargetSessionAttrsReadWrite

// tries is how often a question is asked at most.
const tries = 6

// ask runs fn, which may be run again after a failure that changed nothing or
// whose effect is the same twice, within the store's patience.
func (s *Store) ask(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.askFor(ctx, s.o.Patience, fn)
}

// slowest is how fast a body moves at least, in octets in a second. Below it a
// database or a bucket is taken for dead.
const slowest = 256 << 10

// patienceFor is the time that moving so many octets may take.
func (s *Store) patienceFor(size int64) time.Duration {
	return s.o.Patience + time.Duration(size/slowest)*time.Second
}

func (s *Store) askFor(ctx context.Context, patience time.Duration, fn func(ctx context.Context) error) error {
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 0; ; n++ {
		err := fn(asking)
		if err == nil {
			return nil
		}
		s.mend(err)
		if !passes(err) || n+1 == tries || !pause(asking, n) {
			return s.fault(ctx, err)
		}
	}
}

// pause waits before the n-th repetition, longer each time and never as long as
// another node does. It reports whether there is still time.
func pause(ctx context.Context, n int) bool {
	longest := min(20*time.Millisecond<<n, time.Second)
	t := time.NewTimer(longest/2 + rand.N(longest/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// mend lets go of connections to a server that has become a standby: they would
// be refused for as long as the pool keeps them.
func (s *Store) mend(err error) {
	if pg := refusal(err); pg != nil && pg.Code == "25006" { // read_only_sql_transaction
		s.db.Reset()
	}
}

// refusal gives what the server said, if it said anything.
func refusal(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	return nil
}

// passes reports whether the same question may be answered when asked again: a
// connection was lost, the server is starting or ending, two transactions stood in
// each other's way.
func passes(err error) bool {
	if errors.Is(err, store.ErrUnknown) {
		return false
	}
	if errors.Is(err, errBucket) {
		return true
	}
	if pg := refusal(err); pg != nil {
		switch pg.Code[:2] {
		case "08", "40", "57": // connection, rollback, operator's intervention
			return true
		case "53": // resources, the disk apart: it does not grow in a second
			return pg.Code != "53100"
		}
		return pg.Code == "25006" || pg.Code == "55P03"
	}
	return isLost(err)
}

// isLost reports whether the connection, not the statement, is what failed.
func isLost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded)
}

// fault gives an error its Kind. What has one keeps it, and so do the sentinels of
// the contract.
func (s *Store) fault(ctx context.Context, err error) error {
	var known *mail.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case slices.ContainsFunc([]error{store.ErrStale, store.ErrForgotten, store.ErrLease, store.ErrUnknown},
		func(sentinel error) bool { return errors.Is(err, sentinel) }):
		return err
	case ctx.Err() != nil:
		return mail.Wrap(ctx.Err(), mail.Canceled, "given up")
	}
	if pg := refusal(err); pg != nil {
		switch {
		case pg.Code == "53100": // disk_full
			return mail.Wrap(err, mail.NoSpace, "the database's disk is full")
		case pg.Code[:2] == "XX" && pg.Code != "XX000": // data_corrupted, index_corrupted
			return mail.Wrap(err, mail.Corrupt, "the database is damaged")
		case passes(err):
			return mail.Wrap(err, mail.Unavailable, "the database cannot do this now")
		}
		return err
	}
	if errors.Is(err, errBucket) {
		return mail.Wrap(err, mail.Unavailable, "the bucket cannot do this now")
	}
	if isLost(err) {
		return mail.Wrap(err, mail.Unavailable, "the store cannot be reached")
	}
	return err
}

// collect asks for rows and reads each with scan, all before it returns: so that no
// connection is held while somebody else does something with them.
func collect[T any](ctx context.Context, s *Store, scan func(row pgx.CollectableRow) (T, error), sql string, args ...any) (rows []T, err error) {
	err = s.ask(ctx, func(ctx context.Context) error {
		answer, err := s.db.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		rows, err = pgx.CollectRows(answer, scan)
		return err
	})
	return rows, err
}

// steps goes through what next gives, page by page, until a page is not full.
// next is given the last of the page before.
func steps[T any](ctx context.Context, s *Store, full int, next func(last T, first bool) ([]T, error), yield func(T, error) bool) {
	var last T
	if err := s.enter(ctx); err != nil {
		yield(last, err)
		return
	}
	defer s.exit()
	for first := true; ; first = false {
		page, err := next(last, first)
		if err == nil && ctx.Err() != nil {
			err = mail.Wrap(ctx.Err(), mail.Canceled, "given up")
		}
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		for _, v := range page {
			if !yield(v, nil) {
				return
			}
		}
		if len(page) < full {
			return
		}
		last = page[len(page)-1]
	}
}
