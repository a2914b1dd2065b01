package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tinyRoot is a clone with no platform in it, only the processes that a test needs.
func tinyRoot(t *testing.T, processes string) string {
	t.Helper()
	real, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "third_party/process-compose"), os.DirFS(filepath.Join(real, "third_party/process-compose"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.work":              "go 1.26.0\n\nuse ./dev\n",
		"dev/go.mod":           "module tiny\n\ngo 1.26.0\n",
		"dev/main.go":          "package main\n\nfunc main() {}\n",
		"ory/kratos.yml":       "port: ${KRATOS_PUBLIC_PORT}\n",
		"traefik/traefik.yml":  "port: ${WEB_PORT}\n",
		"process-compose.yaml": "version: \"0.5\"\nprocesses:\n" + processes,
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const good = `
  good:
    command: echo it works; exec sleep 300
    ready_log_line: it works
    availability: { restart: always }
    log_location: ${STACK_LOGS}/good.log
`

// survivors are processes that have the stack's folder in their environment.
func survivors(dir string) (found []int) {
	for _, pid := range pids() {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if strings.Contains("\x00"+string(env), "\x00STACK_DIR="+dir+"\x00") {
			found = append(found, pid)
		}
	}
	return found
}

func TestUp(t *testing.T) {
	t.Parallel()

	t.Run("leaves nothing behind when a part fails, and says why", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, err := Start(t.Context(), Options{FreePorts: true, Dir: dir, Root: tinyRoot(t, good+`
  bad:
    command: echo no more paper; exit 3
    availability: { restart: "no" }
    log_location: ${STACK_LOGS}/bad.log
    log_configuration: { flush_each_line: true }
`)})
		if err == nil || !strings.Contains(err.Error(), "bad does not get healthy") || !strings.Contains(err.Error(), "no more paper") {
			t.Errorf("error: %v", err)
		}
		if left := survivors(dir); len(left) > 0 || s.Running(t.Context()) {
			t.Errorf("still running: %v", left)
		}
		if err := s.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("leaves nothing behind when it is interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		dir := t.TempDir()
		s, err := Start(ctx, Options{FreePorts: true, Dir: dir, Root: tinyRoot(t, strings.ReplaceAll(good, "ready_log_line: it works", "ready_log_line: never"))})
		if err == nil {
			t.Error("it became healthy")
		}
		if left := survivors(dir); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		if err := s.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	})

	t.Run("changes nothing the second time, and starts what was killed", func(t *testing.T) {
		t.Parallel()
		s, err := Start(t.Context(), Options{FreePorts: true, Dir: t.TempDir(), Root: tinyRoot(t, good)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Remove(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		first := pidOf(t, s, "good")
		if err := s.Up(t.Context()); err != nil || pidOf(t, s, "good") != first {
			t.Errorf("%v: process %d became %d", err, first, pidOf(t, s, "good"))
		}
		if err := s.StopProcess(t.Context(), "good"); err != nil {
			t.Fatal(err)
		}
		if err := s.Up(t.Context()); err != nil || pidOf(t, s, "good") == first {
			t.Errorf("%v: it was not started again", err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(first, 0); err == nil {
			t.Error("the first process is still there")
		}
		if err := os.Remove(s.path("postgres-data")); err != nil { // as if the state folder had been deleted and made anew
			t.Fatal(err)
		}
		if err := s.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "./task reset") {
			t.Errorf("it starts on data whose passwords are gone: %v", err)
		}
	})
}

func pidOf(t *testing.T, s *Stack, name string) int {
	t.Helper()
	processes, err := s.Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if p.Name == name {
			return p.PID
		}
	}
	t.Fatalf("no process %s", name)
	return 0
}
