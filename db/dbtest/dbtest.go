// Package dbtest gives each test a database of its own.
package dbtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/postgres"
)

var templates sync.Map // service -> func() (string, error), so that each is built once

// New returns a fresh database with the service's schema. The schema is migrated once into a
// template named after its content; tests clone the template.
func New(t testing.TB, service string) *postgres.DB {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(URL(t, service).Reveal())
	require.NoError(t, err)
	cfg.MaxConns = 8
	cfg.ConnConfig.RuntimeParams["timezone"] = "Canada/Newfoundland" // odd on purpose: finds code that assumes UTC
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return postgres.New(pool)
}

// URL does the same for a test that opens the database itself. The database is dropped after
// a test that passed and kept for inspection after one that failed.
func URL(t testing.TB, service string) config.Secret {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	once, _ := templates.LoadOrStore(service, sync.OnceValues(func() (string, error) { return template(ctx, service) }))
	tpl, err := once.(func() (string, error))()
	require.NoError(t, err, "tests need a Postgres server at TEST_DATABASE_URL; `./task test` starts one")

	name := "test_" + strings.ToLower(rand.Text())
	require.NoError(t, admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+tpl+" STRATEGY FILE_COPY"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("database kept for inspection: %s", name)
			return
		}
		require.NoError(t, admin(ctx, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	return database(name)
}

// Empty returns the URL of a database without any schema, for tests of the migrations.
func Empty(t testing.TB) config.Secret {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	name := "test_" + strings.ToLower(rand.Text())
	require.NoError(t, admin(ctx, "CREATE DATABASE "+name))
	t.Cleanup(func() { require.NoError(t, admin(ctx, "DROP DATABASE "+name+" WITH (FORCE)")) })
	return database(name)
}

func server() string {
	return cmp.Or(os.Getenv("TEST_DATABASE_URL"), "postgres://postgres:postgres@127.0.0.1:5432/postgres")
}

func database(name string) config.Secret {
	u, err := neturl.Parse(server())
	if err != nil {
		panic(err)
	}
	u.Path = "/" + name
	return config.Secret(u.String())
}

// template returns the name of a migrated database, making it if it is not there.
func template(ctx context.Context, service string) (string, error) {
	sum := sha256.New()
	for _, folder := range []string{"platform", service} {
		files, err := db.Files(folder)
		if err != nil {
			return "", err
		}
		names, _ := fs.Glob(files, "*.sql")
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s\x00%s\x00", name, text)
		}
	}
	tpl := fmt.Sprintf("tpl_%s_%x", service, sum.Sum(nil)[:6])

	conn, err := pgx.Connect(ctx, server())
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	// Packages test in parallel processes, so the lock is in Postgres, not in Go.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(7265022)"); err != nil {
		return "", err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", tpl).Scan(&exists); err != nil || exists {
		return tpl, err
	}
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + tpl, "CREATE DATABASE " + tpl} { // half made by a run that died
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	if err := db.Migrate(ctx, database(tpl), service); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+tpl+" IS_TEMPLATE true")
	return tpl, err
}

func admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, server())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
