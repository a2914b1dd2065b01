// Package db owns every schema: migrations and queries, one folder a service. Services reach
// their tables only through the code that sqlc generates from here.
package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/healthe/healthe/kit/config"
)

//go:embed migrations
var migrations embed.FS

// advisoryLock is the number that migrations of one database take turns by.
const advisoryLock = 7265021

// Files returns the migrations of one service.
func Files(service string) (fs.FS, error) {
	dir := "migrations/" + service
	if _, err := fs.Stat(migrations, dir); err != nil {
		return nil, fmt.Errorf("no migrations for service %q", service)
	}
	return fs.Sub(migrations, dir)
}

// Migrate brings one service's database up to date: what all services share, River's tables,
// then its own. Ten instances may start at once; the others wait for the first.
func Migrate(ctx context.Context, url config.Secret, service string) (err error) {
	pool, err := pgxpool.New(ctx, url.Reveal())
	if err != nil {
		return errors.New("DATABASE_URL is no Postgres URL") // the cause quotes the password
	}
	defer pool.Close()
	lock, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", service, err)
	}
	defer lock.Close(context.WithoutCancel(ctx)) // lets go of the lock
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", advisoryLock); err != nil {
		return fmt.Errorf("migrate %s: %w", service, err)
	}
	if err := up(ctx, pool, "platform", "goose_platform_version"); err != nil {
		return err
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", service, err)
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate %s, jobs: %w", service, err)
	}
	return up(ctx, pool, service, goose.DefaultTablename)
}

func up(ctx context.Context, pool *pgxpool.Pool, folder, table string) error {
	files, err := Files(folder)
	if err != nil {
		return err
	}
	conn := stdlib.OpenDBFromPool(pool)
	defer conn.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, files, goose.WithTableName(table), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", folder, err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", folder, err)
	}
	return nil
}
