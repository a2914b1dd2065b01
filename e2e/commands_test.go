package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clone is a fresh clone of what is committed here, with a home of its own.
type clone struct {
	dir string
	env []string
	web string
}

// newClone shares with this clone what every clone of a user shares: the compiler's caches and the third-party servers. Where
// the tests of dev ran, those are there; else this takes as long as a first start does.
func newClone(t *testing.T) *clone {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	home := t.TempDir()
	c := &clone{dir: filepath.Join(home, "healthe")}
	out, err := exec.Command("git", "clone", "--quiet", "--local", root, c.dir).CombinedOutput()
	require.NoError(t, err, "%s", out)

	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".cache", "healthe"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(cache, "healthe", "bin"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(cache, "healthe", "bin"), filepath.Join(home, ".cache", "healthe", "bin")))
	c.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME=", "GOWORK=")
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		c.env = append(c.env, name+"="+strings.TrimSpace(string(out)))
	}
	var held []net.Listener
	for _, name := range []string{
		"WEB", "WEBSECURE", "WEB_INTERNAL", "POSTGRES", "REGISTRY", "REGISTRY_PEER", "MAILPIT", "SMTP",
		"KRATOS_PUBLIC", "KRATOS_ADMIN", "HYDRA_PUBLIC", "HYDRA_ADMIN",
	} {
		ln := listenLow(t)
		held = append(held, ln)
		port := ln.Addr().(*net.TCPAddr).Port
		c.env = append(c.env, fmt.Sprintf("HEALTHE_%s_PORT=%d", name, port))
		if name == "WEB" {
			c.web = fmt.Sprintf("http://localhost:%d", port)
		}
	}
	for _, ln := range held {
		_ = ln.Close()
	}
	t.Cleanup(func() {
		out, err := c.task(context.WithoutCancel(t.Context()), "reset", "YES=1")
		require.NoError(t, err, out)
	})
	return c
}

// listenLow takes a port below those that services and outgoing connections get.
func listenLow(t *testing.T) net.Listener {
	t.Helper()
	for {
		if ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000))); err == nil {
			return ln
		}
		require.NoError(t, t.Context().Err())
	}
}

func (c *clone) task(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "./task", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is for commands that must succeed.
func (c *clone) run(t *testing.T, args ...string) string {
	t.Helper()
	began := time.Now()
	out, err := c.task(t.Context(), args...)
	require.NoError(t, err, "./task %v\n%s", args, out)
	t.Logf("./task %s took %.1f s", strings.Join(args, " "), time.Since(began).Seconds())
	return out
}

var numbers = regexp.MustCompile(`\b\d+\b`)

// X-14, DISC-2: what the README says, in a clone in which nothing was ever built or started. It is no parallel test, so that
// what it measures is not other tests.
func TestTheCommandsOfTheReadmeWorkInAFreshClone(t *testing.T) {
	c := newClone(t)
	first := c.run(t, "up")
	require.Contains(t, first, c.web)
	for _, account := range []string{"patient", "doctor", "moderator", "admin"} {
		require.Contains(t, first, account)
	}
	res, err := http.Get(c.web + "/appointment/v1/clinics")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)

	running := c.run(t, "ps")
	for _, process := range []string{"postgres", "etcd", "mailpit", "kratos", "hydra", "traefik", "auth", "appointment", "forum", "mailing", "catalog"} {
		require.Regexp(t, process+`(-0)?\s+healthy`, running)
	}
	c.run(t, "up")
	require.Equal(t, pidsOf(running), pidsOf(c.run(t, "ps")), "a second up changes nothing")
	c.run(t, "scale", "SERVICE=appointment", "N=2")
	require.Contains(t, c.run(t, "ps"), "appointment-1")
	require.Contains(t, c.run(t, "logs", "appointment"), "registered")
	c.run(t, "down")
	_, err = http.Get(c.web + "/appointment/v1/clinics")
	require.Error(t, err)
	c.run(t, "down") // nothing runs: no error
}

// pidsOf finds the process identifiers that ps shows, by process.
func pidsOf(ps string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(ps) {
		if name, rest, ok := strings.Cut(line, " "); ok {
			if pid := numbers.FindString(rest); pid != "" {
				all[name] = pid
			}
		}
	}
	return all
}
