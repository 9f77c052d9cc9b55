package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// schemaVersion is the version of the tables this release works with.
const schemaVersion = 1

// migrations[n] leads from version n to n+1, in one transaction. A release never
// changes one that was published: it adds another.
//
// Keys begin with account_id wherever a row is an account's, so that a database
// that is spread over machines can keep an account together. Numbers that are
// unsigned elsewhere are kept as bigint with the same bits.
var migrations = [schemaVersion][]string{
	{
		// A record of the log covers the changes modseq to last. The row at modseq 1
		// is never removed: what is forgotten is gathered in it, with data NULL. So
		// the primary key decides who comes after `after`, and nobody can append to
		// a log that others have gone on with and forgotten.
		`CREATE TABLE log (
			account_id bigint NOT NULL,
			modseq bigint NOT NULL,
			last bigint NOT NULL,
			writer bytea NOT NULL,
			data bytea,
			PRIMARY KEY (account_id, modseq))`,
		`CREATE TABLE heads (
			account_id bigint NOT NULL,
			scope bigint NOT NULL,
			saved bigint NOT NULL,
			data bytea NOT NULL,
			PRIMARY KEY (account_id, scope))`,
		`CREATE TABLE pages (
			account_id bigint NOT NULL,
			scope bigint NOT NULL,
			kind smallint NOT NULL,
			low bigint NOT NULL,
			data bytea NOT NULL,
			PRIMARY KEY (account_id, scope, kind, low))`,
		`CREATE TABLE summaries (
			account_id bigint NOT NULL,
			message_id bigint NOT NULL,
			data bytea NOT NULL,
			PRIMARY KEY (account_id, message_id))`,
		`CREATE TABLE marks (
			account_id bigint NOT NULL,
			ref bytea NOT NULL,
			PRIMARY KEY (account_id, ref))`,
		`CREATE INDEX marks_ref ON marks (ref)`,
		// What an account let go of: the sweeper looks whether it was the last.
		`CREATE TABLE released (
			account_id bigint NOT NULL,
			ref bytea NOT NULL,
			PRIMARY KEY (account_id, ref))`,
		`CREATE INDEX released_ref ON released (ref)`,
		// lease is when the lease ends; NULL when the sweeper has seen it end and
		// found a mark.
		`CREATE TABLE bodies (
			ref bytea NOT NULL PRIMARY KEY,
			place smallint NOT NULL,
			size bigint NOT NULL,
			sums bytea NOT NULL,
			lease timestamptz)`,
		`CREATE INDEX bodies_lease ON bodies (lease) WHERE lease IS NOT NULL`,
		`CREATE TABLE chunks (
			ref bytea NOT NULL,
			chunk integer NOT NULL,
			data bytea NOT NULL,
			PRIMARY KEY (ref, chunk))`,
		// Bodies that are gone and whose octets are still to be removed.
		`CREATE TABLE removals (
			ref bytea NOT NULL PRIMARY KEY,
			place smallint NOT NULL)`,
		`CREATE TABLE identities (
			account_id bigint NOT NULL PRIMARY KEY,
			version bigint NOT NULL,
			name bytea NOT NULL,
			credentials bytea NOT NULL,
			disabled boolean NOT NULL,
			shared boolean NOT NULL,
			created timestamptz NOT NULL)`,
		`CREATE TABLE names (
			name bytea NOT NULL PRIMARY KEY,
			alias boolean NOT NULL,
			accounts bigint[] NOT NULL)`,
		`CREATE TABLE shelf (
			key bytea NOT NULL PRIMARY KEY,
			version bigint NOT NULL,
			expires timestamptz,
			data bytea NOT NULL)`,
		`CREATE INDEX shelf_expires ON shelf (expires) WHERE expires IS NOT NULL`,
		// The one row of counters: the last AccountID given out, and how often the
		// directory was changed. Whoever changes the directory locks it.
		`CREATE TABLE directory (
			one boolean NOT NULL PRIMARY KEY CHECK (one),
			accounts bigint NOT NULL,
			changes bigint NOT NULL)`,
		`INSERT INTO directory VALUES (true, 0, 0)`,
	},
}

// SchemaError is given by Open when the database's tables are not those this
// release works with.
type SchemaError struct {
	Found int // 0: there are none
}

// Error says what is there and which command mends it.
func (e *SchemaError) Error() string {
	switch {
	case e.Found == 0:
		return "the database holds no mail store yet: `postern store migrate` makes one"
	case e.Found < schemaVersion:
		return fmt.Sprintf("the database's tables are of version %d and this release works with version %d: stop all nodes and run `postern store migrate`", e.Found, schemaVersion)
	}
	return fmt.Sprintf("the database's tables are of version %d, made by a newer release, and this one knows versions up to %d: run the newer release", e.Found, schemaVersion)
}

// querier is what a pool, a connection and a transaction have in common.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readSchema gives the version of the tables that are there, 0 for none, and the
// name of the installation.
func readSchema(ctx context.Context, q querier) (version int, name string, err error) {
	err = q.QueryRow(ctx, `SELECT version, name FROM postern`).Scan(&version, &name)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return 0, "", nil
	}
	return version, name, err
}

// What PostgreSQL calls errors (SQLSTATE).
const (
	undefinedTable  = "42P01"
	uniqueViolation = "23505"
	duplicateObject = "42710"
	duplicateTable  = "42P07"
)

// Migrate makes the tables in the database that o names, or brings them up to
// what this release works with. Each step is a transaction of its own: what was
// cut short is gone on with when it is called again, and two that run at once wait
// for each other. step is told what was reached.
func Migrate(ctx context.Context, o Options, step func(version int)) error {
	config, err := o.connection()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := checkServer(ctx, conn); err != nil {
		return err
	}
	// The name is what nodes call each other by, in a database that other
	// installations may use under other schemas.
	for n := 0; ; n++ {
		_, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS postern (
			one boolean NOT NULL PRIMARY KEY CHECK (one), version integer NOT NULL, name text NOT NULL)`)
		if err == nil {
			break
		}
		// Two that make it at the same moment stumble over each other, IF NOT EXISTS or not.
		if pg := refusal(err); pg == nil || pg.Code != uniqueViolation && pg.Code != duplicateObject && pg.Code != duplicateTable || n == tries || !pause(ctx, n) {
			return fmt.Errorf("make the first table: %w: the role must be allowed to create tables in its schema", err)
		}
	}
	if _, err := conn.Exec(ctx, `INSERT INTO postern VALUES (true, 0, $1) ON CONFLICT DO NOTHING`, fmt.Sprintf("%x", randomName())); err != nil {
		return fmt.Errorf("begin the schema: %w", err)
	}
	for {
		reached, err := migrateOnce(ctx, conn)
		if err != nil {
			return err
		}
		if reached == 0 {
			return nil
		}
		if step != nil {
			step(reached)
		}
	}
}

// migrateOnce takes one step and says which version it reached, 0 if there was
// none to take.
func migrateOnce(ctx context.Context, conn *pgx.Conn) (reached int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var version int
		if err := tx.QueryRow(ctx, `SELECT version FROM postern FOR UPDATE`).Scan(&version); err != nil {
			return err
		}
		if version > schemaVersion {
			return &SchemaError{Found: version}
		}
		if version == schemaVersion {
			return nil
		}
		for _, statement := range migrations[version] {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("from version %d to %d: %w", version, version+1, err)
			}
		}
		reached = version + 1
		_, err := tx.Exec(ctx, `UPDATE postern SET version = $1`, reached)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("migrate the tables: %w", err)
	}
	return reached, nil
}

// minServer is the oldest PostgreSQL that is worked with, as server_version_num has it.
const minServer = 150000

// checkServer refuses a server that would acknowledge what it does not keep.
func checkServer(ctx context.Context, q querier) error {
	var version int
	var fsync string
	err := q.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync')`).Scan(&version, &fsync)
	if err != nil {
		return fmt.Errorf("ask the database for its settings: %w", err)
	}
	if version < minServer {
		return fmt.Errorf("the database is PostgreSQL %d and %d is the oldest that is worked with: upgrade it", version/10000, minServer/10000)
	}
	if fsync == "off" {
		return errors.New("the database runs with fsync = off and would lose mail that was acknowledged: set fsync = on in postgresql.conf and reload it")
	}
	return nil
}
