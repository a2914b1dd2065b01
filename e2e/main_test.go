package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/healthe/healthe/dev/stack"
)

const (
	startLimit = 30 * time.Minute // a machine that has never built Kratos needs most of it
	guardDir   = "HEALTHE_E2E_GUARD"
	allIsWell  = "ok"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(guardDir); dir != "" {
		os.Exit(guard(dir))
	}
	code := m.Run()
	if shroud.release != nil {
		shroud.release(code == 0)
	}
	os.Exit(code)
}

// shroud is the guard of the shared stack, if that was started.
var shroud struct{ release func(ok bool) }

// shared returns the stack that all tests use, and starts it for the first that asks. What is missing on this machine fails
// every test with the sentence that says so.
func shared(t *testing.T) *platform {
	t.Helper()
	p, err := startShared()
	if err != nil {
		t.Fatalf("the stack does not start: %v", err)
	}
	return p
}

// scaled is how many of a service run, if not one: nothing may count on being alone.
var scaled = map[string]int{"auth": 2, "appointment": 2, "forum": 2}

var startShared = sync.OnceValues(func() (*platform, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "healthe-e2e-")
	if err != nil {
		return nil, err
	}
	if shroud.release, err = startGuard(dir); err != nil {
		return nil, err
	}
	began := time.Now()
	s, err := stack.Start(ctx, stack.Options{
		Dir: dir, FreePorts: true, Env: map[string]string{"POSTGRES_FSYNC": "off", "NEW_AUTHOR_FOR": "0s"},
		Progress: &stack.Lines{W: os.Stderr, Every: 15 * time.Second},
	})
	if err != nil {
		return nil, err
	}
	for service, n := range scaled {
		if err := s.Scale(ctx, service, n); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "e2e: %s, started in %.1f s\n", s.PublicURL(), time.Since(began).Seconds())
	return &platform{Stack: s}, nil
})

// startGuard starts this program once more, to stop the stack in dir when this process ends, however it ends: a panic or
// Ctrl-C would leave everything running. release ends it and waits.
func startGuard(dir string) (release func(ok bool), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), guardDir+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for the guard
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return func(ok bool) {
		if ok {
			_, _ = io.WriteString(alive, allIsWell)
		}
		_ = alive.Close()
		_ = cmd.Wait()
	}, cmd.Start()
}

// guard waits until the tests have ended, stops their stack and deletes it. Logs of tests that failed are kept.
func guard(dir string) int {
	said, _ := io.ReadAll(os.Stdin)
	s, err := stack.Open(stack.Options{Dir: dir, FreePorts: true})
	if err == nil {
		err = s.Stop(context.Background())
	}
	if string(said) != allIsWell {
		kept := filepath.Join(os.TempDir(), "healthe-e2e-logs")
		_ = os.RemoveAll(kept)
		if os.Rename(filepath.Join(dir, "logs"), kept) == nil {
			fmt.Fprintln(os.Stderr, "e2e: the logs of the stack are in", kept)
		}
	}
	if err == nil {
		err = s.Remove(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: the stack could not be stopped:", err)
		return 1
	}
	return 0
}
