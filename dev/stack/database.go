package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// Database brings the server of a stack to where every service finds its own database. Each role may
// connect to its own database alone. It is safe to repeat.
func (s *Stack) Database(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DatabaseURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := s.createDatabases(ctx, conn); err != nil {
		return err
	}
	return s.migrateOry(ctx, conn)
}

func (s *Stack) createDatabases(ctx context.Context, conn *pgx.Conn) error {
	for _, name := range databases {
		if err := createDatabase(ctx, conn, name, s.Secrets[upper(name)+"_DATABASE_PASSWORD"]); err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
	}
	for _, name := range []string{"postgres", "template1"} {
		if _, err := conn.Exec(ctx, "REVOKE CONNECT ON DATABASE "+name+" FROM PUBLIC"); err != nil {
			return err
		}
	}
	return nil
}

// createDatabase makes or mends one role and its database. Names and passwords are of our own making, so
// that they need no quoting.
func createDatabase(ctx context.Context, conn *pgx.Conn, name, password string) error {
	var role, database bool
	err := conn.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		       EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&role, &database)
	if err != nil {
		return err
	}
	verb := "ALTER"
	if !role {
		verb = "CREATE"
	}
	statements := []string{fmt.Sprintf("%s ROLE %s LOGIN PASSWORD '%s'", verb, name, password)}
	if !database {
		statements = append(statements, fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name))
	}
	statements = append(
		statements,
		fmt.Sprintf("REVOKE ALL ON DATABASE %s FROM PUBLIC", name),
		fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", name, name),
	)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// migrateOry migrates Kratos and Hydra, at the same time. The version that was migrated last is kept as a
// comment on the database, because finding nothing to do takes each of them a second.
func (s *Stack) migrateOry(ctx context.Context, conn *pgx.Conn) error {
	failed := make(chan error)
	names, started := []string{"kratos", "hydra"}, 0
	for _, name := range names {
		file, err := os.Readlink(filepath.Join(s.Root, ".bin", name))
		if err != nil {
			return err
		}
		version := filepath.Base(file)
		var applied *string
		err = conn.QueryRow(ctx, `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1`, name).Scan(&applied)
		if err != nil {
			return err
		}
		if applied != nil && *applied == version {
			continue
		}
		started++
		go func() { failed <- s.migrate(ctx, name, version) }()
	}
	var err error
	for range started {
		err = errors.Join(err, <-failed)
	}
	return err
}

func (s *Stack) migrate(ctx context.Context, name, version string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Root, ".bin", name), "migrate", "sql", "-e", "--yes")
	cmd.Env = append(os.Environ(), "DSN="+s.DatabaseURL(name))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate %s: %w\n%s", name, err, out)
	}
	conn, err := pgx.Connect(ctx, s.DatabaseURL(name))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf("COMMENT ON DATABASE %s IS '%s'", name, version))
	return err
}
