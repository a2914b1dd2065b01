package db_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/db/dbtest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()

	t.Run("ten instances start at once on an empty database", func(t *testing.T) {
		t.Parallel()

		url := dbtest.Empty(t)
		var instances errgroup.Group
		for range 10 {
			instances.Go(func() error { return db.Migrate(t.Context(), url, "mailing") })
		}
		require.NoError(t, instances.Wait())
	})

	t.Run("an unknown service is an error", func(t *testing.T) {
		t.Parallel()

		require.ErrorContains(t, db.Migrate(t.Context(), dbtest.Empty(t), "payments"), "payments")
	})
}

func TestUUIDv7(t *testing.T) {
	t.Parallel()

	conn, err := pgx.Connect(t.Context(), dbtest.URL(t, "mailing").Reveal())
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var before uuid.UUID
	for range 100 {
		var id uuid.UUID
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT uuidv7()").Scan(&id))
		require.EqualValues(t, 7, id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		require.Greater(t, id.String(), before.String(), "made later, sorted later")
		before = id
	}
}
