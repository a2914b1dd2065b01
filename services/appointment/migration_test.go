package appointment

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/config"
)

// TestMigrate runs the migrations as the role that `./task up` makes: it owns its database and is no superuser.
func TestMigrate(t *testing.T) { // APP-14
	t.Parallel()

	ctx := context.WithoutCancel(t.Context())
	admin, err := pgx.Connect(ctx, cmp.Or(os.Getenv("TEST_DATABASE_URL"), "postgres://postgres:postgres@127.0.0.1:5432/postgres"))
	require.NoError(t, err)
	role := "test_" + strings.ToLower(rand.Text())
	_, err = admin.Exec(ctx, "CREATE ROLE "+role+" LOGIN NOSUPERUSER NOCREATEDB PASSWORD 'ordinary'")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(ctx, "DROP ROLE "+role)
		require.NoError(t, err)
		require.NoError(t, admin.Close(ctx))
	})
	u, err := url.Parse(dbtest.Empty(t).Reveal())
	require.NoError(t, err)
	_, err = admin.Exec(ctx, "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" OWNER TO "+role)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "ordinary")
	require.NoError(t, db.Migrate(ctx, config.Secret(u.String()), "appointment"))
	require.NoError(t, db.Migrate(ctx, config.Secret(u.String()), "appointment"), "again")

	own, err := pgx.Connect(ctx, u.String())
	require.NoError(t, err)
	defer own.Close(ctx)
	var n int
	require.NoError(t, own.QueryRow(ctx, "SELECT count(*) FROM pg_constraint WHERE contype = 'x' AND conrelid = 'appointments'::regclass").Scan(&n))
	require.Equal(t, 2, n)
}
