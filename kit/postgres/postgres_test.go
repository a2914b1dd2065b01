package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/problem"
)

func TestExplain(t *testing.T) {
	t.Parallel()

	pg := func(code string) error { return fmt.Errorf("store: %w", &pgconn.PgError{Code: code}) }
	notFound := problem.NotFound("Toy")
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"a problem":                        {notFound.Because(pg("08006")), 404},
		"a statement that took too long":   {pg("57014"), 504},
		"a server that stops":              {pg("57P01"), 503},
		"a server that starts":             {pg("57P03"), 503},
		"no connection left":               {pg("53300"), 503},
		"a deadlock":                       {pg("40P01"), 503},
		"a standby":                        {pg("25006"), 503},
		"a constraint that nobody matched": {pg("23505"), 500},
		"a wrong statement":                {pg("42601"), 500},
		"a connection that broke":          {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, 503},
		"a transaction that broke":         {pgx.ErrTxClosed, 503},
		"no row":                           {pgx.ErrNoRows, 500},
		"the request's deadline":           {fmt.Errorf("store: %w", context.DeadlineExceeded), 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tt.status, problem.From(postgres.Explain(tt.err)).Status)
		})
	}
	require.NoError(t, postgres.Explain(nil))
}

func TestAway(t *testing.T) {
	t.Parallel()

	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	for name, address := range map[string]string{"nobody listens": "127.0.0.1:1", "nobody answers": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			db, err := postgres.Open(t.Context(), config.Secret("postgres://toys:s3cret@"+address+"/toys?sslmode=disable&connect_timeout=1"), "toys")
			require.NoError(t, err, "it starts all the same")
			defer db.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err = db.Exec(ctx, "SELECT 1")
			require.Equal(t, http.StatusServiceUnavailable, problem.From(postgres.Explain(err)).Status, err)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}

	_, err = postgres.Open(t.Context(), "postgres://toys:s3cret@%zz", "toys")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestExplainRealFailures(t *testing.T) {
	t.Parallel()

	t.Run("a connection that was ended", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "mailing")
		err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
			require.Equal(t, 503, problem.From(postgres.Explain(err)).Status, err)
			_, err = tx.Exec(t.Context(), "SELECT 1")
			return err
		})
		require.Equal(t, 503, problem.From(postgres.Explain(err)).Status, err)
		_, err = db.Exec(t.Context(), "SELECT 1")
		require.NoError(t, err, "the next one gets another connection")
	})

	t.Run("a deadline", func(t *testing.T) {
		t.Parallel()

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := dbtest.New(t, "mailing").Exec(ctx, "SELECT pg_sleep(10)")
		require.Equal(t, 504, problem.From(postgres.Explain(err)).Status, err)
	})

	t.Run("every connection in use", func(t *testing.T) {
		t.Parallel()

		cfg, err := pgxpool.ParseConfig(dbtest.URL(t, "mailing").Reveal())
		require.NoError(t, err)
		cfg.MaxConns = 1
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		require.NoError(t, err)
		defer pool.Close()
		db := postgres.New(pool)
		tx, err := db.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = db.Exec(ctx, "SELECT 1")
		require.Equal(t, 504, problem.From(postgres.Explain(err)).Status, err)
	})
}

func TestDBJoinsTheTransactionOfItsContext(t *testing.T) {
	t.Parallel()

	db := dbtest.New(t, "mailing")
	_, err := db.Exec(t.Context(), "CREATE TABLE toys (name text, CONSTRAINT toys_pkey PRIMARY KEY (name))")
	require.NoError(t, err)
	insert := func(ctx context.Context, name string) error {
		_, err := db.Exec(ctx, "INSERT INTO toys (name) VALUES ($1)", name)
		return err
	}
	names := func(ctx context.Context) []string {
		rows, err := db.Query(ctx, "SELECT name FROM toys ORDER BY name")
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return all
	}

	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	inside := postgres.WithTx(t.Context(), tx)
	require.NoError(t, insert(inside, "bear"))
	err = pgx.BeginFunc(inside, db, func(pgx.Tx) error { // a part that fails
		require.NoError(t, insert(inside, "car"))
		return insert(inside, "bear")
	})
	require.Equal(t, "toys_pkey", postgres.Constraint(err))
	require.NoError(t, pgx.BeginFunc(inside, db, func(pgx.Tx) error { return insert(inside, "doll") }))
	require.Equal(t, []string{"bear", "doll"}, names(inside))
	require.Empty(t, names(t.Context()), "nobody else sees it yet")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, []string{"bear", "doll"}, names(t.Context()))
	require.Empty(t, postgres.Constraint(errors.New("another failure")))
}

func TestPingOfABusyPool(t *testing.T) {
	t.Parallel()

	db := dbtest.New(t, "mailing")
	for range db.Pool().Config().MaxConns {
		conn, err := db.Pool().Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
	}
	now, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	require.NoError(t, db.Ping(now), "busy is not broken")
}
