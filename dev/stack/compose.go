package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one process as process-compose sees it.
type Process struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Health   string `json:"is_ready"`
	PID      int    `json:"pid"`
	Running  bool   `json:"is_running"`
	ExitCode int    `json:"exit_code"`
	Restarts int    `json:"restarts"`
	Memory   int64  `json:"mem"` // bytes
	Age      int64  `json:"age"` // nanoseconds
}

var replica = regexp.MustCompile(`-\d+$`)

// service is the name in process-compose.yaml: appointment for appointment-2.
func (p Process) service() string { return replica.ReplaceAllString(p.Name, "") }

// once are the processes that do one thing and end.
var once = []string{"database", "registry", "seed"}

func (p Process) healthy() bool {
	if contains(once, p.Name) {
		return p.Status == "Completed" && p.ExitCode == 0
	}
	return p.Running && p.Health == "Ready"
}

// State is the one word for a person.
func (p Process) State() string {
	switch {
	case contains(once, p.Name) && p.healthy():
		return "done"
	case p.healthy():
		return "healthy"
	case p.Status == "Completed" || p.Status == "Error":
		return fmt.Sprintf("failed (exit code %d)", p.ExitCode)
	case p.Running:
		return "starting"
	}
	return strings.ToLower(p.Status)
}

// launch starts process-compose in the background; it outlives this program.
func (s *Stack) launch(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Root, ".bin/process-compose"),
		"up", "-D", "-t=false", "--keep-project", "--disable-dotenv", "-U", "-u", s.socket(),
		"-L", s.path("logs", "process-compose.log"), "-f", filepath.Join(s.Root, "process-compose.yaml"))
	cmd.Dir = s.Root
	cmd.Env = append(os.Environ(), s.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot start process-compose: %w: %s", err, out)
	}
	return nil
}

// socket is short on purpose: the path of a Unix socket has at most 107 bytes.
func (s *Stack) socket() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("healthe-%d-%s.sock", os.Geteuid(), s.id()))
}

// call asks process-compose.
func (s *Stack) call(ctx context.Context, method, path string, out any) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.socket())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://process-compose"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("process-compose: %s %s: %d %s", method, path, res.StatusCode, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// Running says whether process-compose of this stack is there.
func (s *Stack) Running(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.call(ctx, http.MethodGet, "/live", nil) == nil
}

// Processes lists all processes by name.
func (s *Stack) Processes(ctx context.Context) ([]Process, error) {
	var list struct {
		Data []Process `json:"data"`
	}
	if err := s.call(ctx, http.MethodGet, "/processes", &list); err != nil {
		return nil, Fault{"The stack of this clone is not running", "Start it: ./task up"}
	}
	slices.SortFunc(list.Data, func(a, b Process) int { return strings.Compare(a.Name, b.Name) })
	return list.Data, nil
}

// StartProcess, StopProcess and Restart act on one process, by its name in Processes.
func (s *Stack) StartProcess(ctx context.Context, name string) error {
	return s.call(ctx, http.MethodPost, "/process/start/"+name, nil)
}

// StopProcess asks a process to end, and keeps it down.
func (s *Stack) StopProcess(ctx context.Context, name string) error {
	return s.call(ctx, http.MethodPatch, "/process/stop/"+name, nil)
}

// Restart stops and starts a process.
func (s *Stack) Restart(ctx context.Context, name string) error {
	return s.call(ctx, http.MethodPost, "/process/restart/"+name, nil)
}

// Kill sends SIGKILL to a process, as a crash would; process-compose starts it again after a second.
func (s *Stack) Kill(ctx context.Context, name string) error {
	processes, err := s.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		if p.Name == name && p.PID > 0 {
			return syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("no process %s is running", name)
}

// Scale runs n instances of a service.
func (s *Stack) Scale(ctx context.Context, service string, n int) error {
	if n < 1 || n > 20 {
		return Fault{fmt.Sprintf("N=%d is out of range", n), "Choose from 1 to 20."}
	}
	if !contains(s.Services(), service) {
		return Fault{fmt.Sprintf("SERVICE=%s is no service", service), "Choose one of " + strings.Join(s.Services(), ", ") + "."}
	}
	processes, err := s.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		if p.service() == service { // any instance names the group
			if err := s.call(ctx, http.MethodPatch, "/process/scale/"+p.Name+"/"+strconv.Itoa(n), nil); err != nil {
				return err
			}
			return s.WaitHealthy(ctx)
		}
	}
	return fmt.Errorf("process-compose knows no %s", service)
}

// WaitHealthy returns when every process is healthy and every service registered, as after a start or a Kill, or says which
// one is not and why.
func (s *Stack) WaitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("timeout"))
	defer cancel()
	begun, failed, restarts := time.Now(), 0, map[string]int{}
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		processes, err := s.Processes(ctx)
		var waiting, broken []string
		for _, p := range processes {
			if p.healthy() {
				continue
			}
			waiting = append(waiting, p.Name)
			if _, seen := restarts[p.Name]; !seen {
				restarts[p.Name] = p.Restarts
			}
			if !p.Running && p.ExitCode != 0 || p.Restarts > restarts[p.Name]+3 {
				broken = append(broken, p.Name)
			}
		}
		switch {
		case err == nil && len(waiting) == 0 && len(processes) > 0:
			s.progress.Update("")
			return s.checkRegistered(ctx, processes)
		case len(broken) > 0:
			if failed++; failed > 10 { // not just between an end and the restart
				for _, name := range once { // the others wait for these
					if slices.Contains(broken, name) {
						return s.failure(name)
					}
				}
				return s.failure(broken[0])
			}
		default:
			failed = 0
		}
		s.progress.Update("starting (%s): %d of %d healthy, waiting for %s",
			since(begun), len(processes)-len(waiting), len(processes), strings.Join(waiting, ", "))
		select {
		case <-ctx.Done():
			if len(waiting) == 0 {
				return context.Cause(ctx)
			}
			return s.failure(waiting[0])
		case <-tick.C:
		}
	}
}

// failure shows why a process does not get healthy: the end of its log.
func (s *Stack) failure(name string) error {
	b, _ := os.ReadFile(s.LogFile(name))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines = lines[max(0, len(lines)-8):]
	return fmt.Errorf("%s does not get healthy; the end of %s says:\n  %s", name, s.LogFile(name), strings.Join(lines, "\n  "))
}

// LogFile is where the output of a process goes: appointment.log, appointment.log.2 for the replica
// appointment-2.
func (s *Stack) LogFile(name string) string {
	base := replica.ReplaceAllString(name, "")
	file := s.path("logs", base+".log")
	if number := strings.TrimPrefix(name[len(base):], "-"); number != "" && strings.Trim(number, "0") != "" {
		file += "." + number
	}
	return file
}

// shutdown asks process-compose to stop everything and waits until it has.
func (s *Stack) shutdown(ctx context.Context) error {
	if !s.Running(ctx) {
		return nil
	}
	s.stopServices(ctx)
	if err := s.call(ctx, http.MethodPost, "/project/stop", nil); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); s.Running(ctx); {
		if time.Now().After(deadline) {
			return nil // sweep ends what is left
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// stopServices stops all instances of our services at once, while etcd and Postgres are still there for them to
// leave in order. process-compose stops one process after the other, in any order. What fails here, it does.
func (s *Stack) stopServices(ctx context.Context) {
	processes, err := s.Processes(ctx)
	if err != nil {
		return
	}
	var stopping sync.WaitGroup
	for _, p := range processes {
		if p.Running && contains(s.Services(), p.service()) {
			stopping.Go(func() { _ = s.StopProcess(ctx, p.Name) })
		}
	}
	stopping.Wait()
}

// sweep ends what still runs of this stack without process-compose: each of its processes has the state
// folder in its environment. Nobody else's process does.
func (s *Stack) sweep() {
	mark := "\x00STACK_DIR=" + s.Dir + "\x00"
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		for range 50 {
			found := 0
			for _, pid := range pids() {
				env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
				if pid != os.Getpid() && pid != os.Getppid() && strings.Contains("\x00"+string(env), mark) {
					_ = syscall.Kill(pid, sig)
					found++
				}
			}
			if found == 0 {
				_ = os.Remove(s.socket())
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}
