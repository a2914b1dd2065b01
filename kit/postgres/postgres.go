// Package postgres is a service's way to its own database.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	maxConns         = 16
	statementTimeout = "9s" // below the request's deadline, so that Postgres gives up first
)

// DB is the pool of a service. Where a request runs in a transaction as a whole (package
// idempotency), the statements made with its context join that transaction, and Begin is
// a savepoint in it; so a handler is written once for both. It serves sqlc as DBTX.
type DB struct{ pool *pgxpool.Pool }

// New wraps a pool; Open is the usual way.
func New(pool *pgxpool.Pool) *DB { return &DB{pool} }

// Open makes the pool. It connects when the first statement needs it, so that a service
// whose database is away starts and says so in /readyz.
func Open(ctx context.Context, url config.Secret, service string) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("DATABASE_URL is no Postgres URL") // the cause quotes the password
	}
	if !strings.Contains(url.Reveal(), "pool_max_conns") {
		cfg.MaxConns = maxConns
	}
	cfg.MinIdleConns = 1
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	cfg.ConnConfig.RuntimeParams["application_name"] = service
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = statementTimeout
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["jit"] = "off" // compiling takes longer than any statement of ours
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return New(pool), nil
}

// Pool is for what needs connections of its own: River, LISTEN. Operations use the DB.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Close waits for the connections in use and closes all.
func (d *DB) Close() { d.pool.Close() }

// Ping asks whether the database answers; it serves as a service's Ready.
func (d *DB) Ping(ctx context.Context) error {
	if busy := d.pool.Stat(); busy.AcquiredConns() == busy.MaxConns() {
		return nil // an overloaded instance that left the list would overload the others
	}
	return d.pool.Ping(ctx)
}

type txKey struct{}

// WithTx returns a context whose statements all run in tx.
func WithTx(ctx context.Context, tx pgx.Tx) context.Context {
	return context.WithValue(ctx, txKey{}, tx)
}

type querier interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
	Query(context.Context, string, ...any) (pgx.Rows, error)
	QueryRow(context.Context, string, ...any) pgx.Row
	Begin(context.Context) (pgx.Tx, error)
}

func (d *DB) in(ctx context.Context) querier {
	if tx, ok := ctx.Value(txKey{}).(pgx.Tx); ok {
		return tx
	}
	return d.pool
}

// Exec runs a statement.
func (d *DB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return d.in(ctx).Exec(ctx, sql, args...)
}

// Query runs a statement that returns rows.
func (d *DB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return d.in(ctx).Query(ctx, sql, args...)
}

// QueryRow runs a statement that returns one row.
func (d *DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return d.in(ctx).QueryRow(ctx, sql, args...)
}

// Begin starts a transaction; it makes pgx.BeginFunc(ctx, db, ...) work.
func (d *DB) Begin(ctx context.Context) (pgx.Tx, error) { return d.in(ctx).Begin(ctx) }

const maxTries = 5

// AtOnce runs f in a transaction, and again when Postgres had to break a deadlock: f must have no effect outside of it.
// Where the request has an Idempotency-Key this is a savepoint in the request's transaction.
func (d *DB) AtOnce(ctx context.Context, f func(pgx.Tx) error) error {
	var err error
	for range maxTries {
		err = pgx.BeginFunc(ctx, d, f)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "40P01" && pg.Code != "40001" {
			break
		}
	}
	return err
}

// Constraint returns the name of the constraint that err violates, "" if it violates none.
func Constraint(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.ConstraintName
	}
	return ""
}

// Explain turns a failure of the database itself into a problem that tells the caller to
// come back. Other errors, and those that already are problems, pass as they are.
func Explain(err error) error {
	if _, ok := errors.AsType[*problem.Problem](err); ok || err == nil {
		return err
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok { // whatever Postgres refused it with
		return problem.Unavailable("The database").Because(err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "57014": // statement_timeout
			return problem.Timeout().Because(err)
		case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57P"), // gone, full, stopping
			pg.Code == "25006", pg.Code == "40001", pg.Code == "40P01": // read only, serialization failure, deadlock
			return problem.Unavailable("The database").Because(err)
		}
		return err
	}
	_, network := errors.AsType[net.Error](err)
	dead := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgx.ErrTxClosed) || strings.Contains(err.Error(), "conn closed") // pgconn has no value for it
	if !errors.Is(err, context.DeadlineExceeded) && (network || dead) {
		return problem.Unavailable("The database").Because(err)
	}
	return err
}
