package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestPostgres starts a server for tests on a free port: in a folder that is thrown away, and without
// waiting for the disk. stop ends it and deletes the folder.
func (s *Stack) TestPostgres(ctx context.Context) (url string, stop func(), err error) {
	bin, err := s.findPostgres(ctx)
	if err != nil {
		return "", nil, err
	}
	as, err := postgresAs()
	if err != nil {
		return "", nil, err
	}
	port, err := FreePort()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "healthe-test-")
	if err != nil {
		return "", nil, explain("cannot make a folder for the tests' database", err)
	}
	if len(as) > 0 {
		_ = os.Chmod(dir, 0o755)
	}
	data := filepath.Join(dir, "postgres")
	if err := initData(ctx, bin, data, as, "postgres"); err != nil {
		return "", nil, err
	}
	line := slices.Concat(as, []string{
		filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=" + host, "-c", "unix_socket_directories=", "-c", "max_connections=500",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=256MB",
	})
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the tests; they end first
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = cmd.Wait()
		_ = log.Close()
		_ = os.RemoveAll(dir)
	}
	url = fmt.Sprintf("postgres://postgres:postgres@%s:%d/postgres", host, port)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return url, stop, conn.Close(ctx)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			stop()
			return "", nil, fmt.Errorf("the tests' database does not start: %w", err)
		}
	}
}
