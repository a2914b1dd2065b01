package stack

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	gib        = 1 << 30
	buildSpace = 4 * gib // modules, Go's build cache and the servers
	runSpace   = gib / 4 // data and logs of a young stack
)

// Check is one thing that this machine needs.
type Check struct {
	Name  string
	OK    bool
	Found string // what is there, or what is wrong
	Fix   string // what to do about it
}

// Doctor looks at what the platform needs of this machine.
func (s *Stack) Doctor(ctx context.Context) []Check {
	return []Check{
		checkGo(ctx), checkProgram("git", "apt-get install git"),
		checkCompiler(), s.checkPostgres(ctx), s.checkServers(), checkProxy(ctx),
		s.doctorSpace(), s.doctorPorts(ctx), s.doctorClones(ctx), s.checkProcesses(ctx),
	}
}

func checkGo(ctx context.Context) Check {
	c := Check{Name: "Go", Fix: "Install Go 1.26 or later from https://go.dev/dl."}
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output()
	if err != nil {
		c.Found = "the go command cannot be run"
		return c
	}
	c.Found = strings.TrimSpace(string(out))
	c.OK = version.Compare(c.Found, "go1.26") >= 0
	return c
}

func checkProgram(name, fix string) Check {
	file, err := exec.LookPath(name)
	return Check{Name: name, OK: err == nil, Found: or(file, "not found"), Fix: fix}
}

// checkCompiler: only the race detector, in ./task test, needs one.
func checkCompiler() Check {
	c := checkProgram("gcc", "apt-get install gcc libc6-dev")
	c.Name = "C compiler (for ./task test)"
	return c
}

func (s *Stack) checkPostgres(ctx context.Context) Check {
	c := Check{Name: "PostgreSQL", Fix: "Install it: apt-get install postgresql (./task up tries that, and then a download)."}
	bin, major := s.postgresBin(ctx)
	_, err := postgresAs()
	switch {
	case bin == "" && major > 0:
		c.Found = fmt.Sprintf("version %d is too old; 15 or later works", major)
	case bin == "":
		c.Found = "not found"
	case err != nil:
		c.Found = err.Error()
	default:
		c.OK, c.Found = true, fmt.Sprintf("version %d in %s", major, bin)
	}
	return c
}

func (s *Stack) checkServers() Check {
	c := Check{Name: "third-party servers", OK: true, Fix: "./task up"}
	servers, err := s.servers()
	if err != nil {
		return Check{Name: c.Name, Found: err.Error(), Fix: "Restore third_party/ (git status tells what is missing)."}
	}
	var missing []string
	for _, srv := range servers {
		if _, err := os.Stat(srv.file); err != nil {
			missing = append(missing, srv.name)
		}
	}
	c.Found = fmt.Sprintf("all %d are built", len(servers))
	if len(missing) > 0 {
		c.Found = "to be built by the next ./task up: " + strings.Join(missing, ", ") // nothing is wrong with that
	}
	return c
}

// checkProxy lets the go command ask for something small, in the way that it is set up here.
func checkProxy(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "golang.org/x/mod@latest")
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	c := Check{Name: "Go module proxy", OK: true, Found: "answers"}
	if err := cmd.Run(); err != nil {
		c.OK, c.Found = false, "does not answer"
		c.Fix = "Needed only to build something new: check the network and `go env GOPROXY`."
	}
	return c
}

func (s *Stack) doctorSpace() Check {
	return fromFault("disk", "enough space", s.checkSpace())
}

func (s *Stack) doctorPorts(ctx context.Context) Check {
	if s.Running(ctx) {
		return Check{Name: "ports", OK: true, Found: "used by this stack"}
	}
	return fromFault("ports", "all free", s.Ports.check())
}

func (s *Stack) doctorClones(ctx context.Context) Check {
	return fromFault("other clones", "none is running", s.checkOtherClones(ctx))
}

func (s *Stack) checkProcesses(ctx context.Context) Check {
	c := Check{Name: "stack", OK: true, Found: "not running", Fix: "./task logs SERVICE=<name> shows why; ./task up starts what has stopped."}
	processes, err := s.Processes(ctx)
	if err != nil {
		return c
	}
	var ill []string
	for _, p := range processes {
		if !p.healthy() {
			ill = append(ill, p.Name+" is "+p.State())
		}
	}
	c.OK, c.Found = len(ill) == 0, fmt.Sprintf("all %d processes are healthy", len(processes))
	if !c.OK {
		c.Found = strings.Join(ill, ", ")
	}
	return c
}

func fromFault(name, good string, err error) Check {
	switch f := err.(type) {
	case nil:
		return Check{Name: name, OK: true, Found: good}
	case Fault:
		return Check{Name: name, Found: f.Problem, Fix: f.Remedy}
	}
	return Check{Name: name, Found: err.Error()}
}

// checkSpace looks at the disk before it is too late to stop tidily.
func (s *Stack) checkSpace() error {
	servers, err := s.servers()
	if err != nil {
		return err
	}
	for _, srv := range servers {
		if _, err := os.Stat(srv.file); err != nil {
			if err := needSpace(s.cache, buildSpace); err != nil {
				return err
			}
			break
		}
	}
	return needSpace(s.Dir, runSpace)
}

func needSpace(dir string, want uint64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return explain("cannot look at "+dir, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free >= want {
		return nil
	}
	return Fault{
		fmt.Sprintf("The disk is nearly full: %s has %d MiB left, %d are needed", filepath.Clean(dir), free>>20, want>>20),
		"Free some space, then run the command again.",
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
