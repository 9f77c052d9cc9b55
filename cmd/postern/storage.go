package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/cmd/postern/config"
	"postern/internal/store"
	"postern/internal/store/cluster"
	"postern/internal/store/embedded"
)

// openStore opens the store that the configuration names.
func openStore(cfg config.Config, log *slog.Logger) (store.Store, error) {
	if cfg.Store.Database != "" {
		return openCluster(cfg, log, 0)
	}
	st, err := embedded.Open(filepath.Join(cfg.Data, storeDirectory), embedded.Options{
		Cache: int64(cfg.Store.Cache), Reserve: int64(cfg.Store.Reserve), Log: log,
	})
	if err != nil {
		return nil, explainOpen(cfg.Data, err)
	}
	return st, nil
}

// openPatience is how long a database may take to answer at the start.
const openPatience = 30 * time.Second

// openCluster opens the store in the database; sweepEvery as in cluster.Options.
func openCluster(cfg config.Config, log *slog.Logger, sweepEvery time.Duration) (store.Store, error) {
	o, err := clusterOptions(cfg.Store)
	if err != nil {
		return nil, &setupError{err}
	}
	o.Log, o.SweepEvery = log, sweepEvery
	ctx, cancel := context.WithTimeout(context.Background(), openPatience)
	defer cancel()
	st, err := cluster.Open(ctx, o)
	if err != nil {
		return nil, explainDatabase(err)
	}
	return st, nil
}

// explainDatabase makes a setup error of what trying again does not mend.
func explainDatabase(err error) error {
	var schema *cluster.SchemaError
	if errors.As(err, &schema) {
		return &setupError{err}
	}
	return err
}

// clusterOptions reads the URLs of the section store.
func clusterOptions(s config.Store) (o cluster.Options, err error) {
	o = cluster.Options{URL: s.Database, Connections: s.Connections, Cache: int64(s.Cache)}
	database, err := url.Parse(s.Database)
	if err != nil || database.Scheme != "postgres" && database.Scheme != "postgresql" {
		return o, errors.New("store.database: not a URL as in \"postgres://postern@db.example.org/postern\"")
	}
	_, inUser := database.User.Password()
	if inUser || database.Query().Has("password") {
		return o, errors.New("store.database: a password does not belong in the configuration: put it in a file as libpq's .pgpass, mode 0600, and name that with passfile=FILE among the URL's parameters")
	}
	if s.Bodies == "" {
		return o, nil
	}
	o.Bucket, err = bucket(s)
	return o, err
}

// bucket reads store.bodies.
func bucket(s config.Store) (*cluster.Bucket, error) {
	u, err := url.Parse(s.Bodies)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, errors.New("store.bodies: not a URL as in \"s3://BUCKET/PREFIX?endpoint=https://s3.example.org\"")
	}
	if u.User != nil {
		return nil, errors.New("store.bodies: keys do not belong in the configuration: put them in a file and name that with store.bodies_credentials")
	}
	for name := range u.Query() {
		if name != "endpoint" && name != "region" {
			return nil, fmt.Errorf("store.bodies: %q is not one of endpoint and region", name)
		}
	}
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || strings.Trim(endpoint.Path, "/") != "" {
		return nil, errors.New("store.bodies: endpoint is needed, as in \"endpoint=https://s3.example.org\"")
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &cluster.Bucket{
		Endpoint: endpoint.Host, Plain: endpoint.Scheme == "http", Region: u.Query().Get("region"),
		Name: u.Host, Prefix: prefix, Credentials: s.BodiesCredentials,
	}, nil
}

// checkStorage reads the section store as openCluster will.
func checkStorage(cfg *config.Config, note func(setting, mistake string)) {
	if cfg.Store.Connections < 0 || cfg.Store.Connections > 10_000 {
		note("store.database_connections", "from 0 to 10000")
	}
	if cfg.Store.Database == "" {
		if cfg.Store.Bodies != "" {
			note("store.bodies", "a bucket goes with a database: set store.database")
		}
		return
	}
	if _, err := clusterOptions(cfg.Store); err != nil {
		setting, mistake, _ := strings.Cut(err.Error(), ": ")
		note(setting, mistake)
	}
}

type storeGroup struct {
	Migrate migrateCommand `cmd:"" help:"Make the tables of the database, or bring them up to what this release works with."`
}

type migrateCommand struct{}

// Run migrates. Whose file the password is in is the owner of the data directory,
// as when the server runs.
func (migrateCommand) Run(ctx context.Context, c *commands, t *terminal) error {
	cfg, err := c.configuration()
	if err != nil {
		return err
	}
	if cfg.Store.Database == "" {
		return setupErrorf("store.database names no database: the embedded store needs no migration")
	}
	if _, err := os.Stat(cfg.Data); err == nil {
		if err := becomeOwner(cfg.Data); err != nil {
			return err
		}
	}
	o, err := clusterOptions(cfg.Store)
	if err != nil {
		return &setupError{err}
	}
	steps := 0
	err = cluster.Migrate(ctx, o, func(version int) {
		steps++
		fmt.Fprintf(t.out, "the tables are of version %d\n", version)
	})
	if err != nil {
		return explainDatabase(err)
	}
	if steps == 0 {
		fmt.Fprintln(t.out, "the tables are what this release works with already")
	}
	return nil
}
