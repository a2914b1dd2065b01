// Package stack runs the whole platform on one machine: it builds what is missing, keeps ports and secrets,
// starts everything under process-compose and waits until it is healthy. Tests use it to start a second
// stack beside a running one and to break parts of it.
package stack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// startTimeout is generous: a cold start on a busy machine takes 20 s.
const startTimeout = 2 * time.Minute

// Options say where a stack keeps its state and how it differs from the one that a person starts.
type Options struct {
	Root      string            // the clone; "" finds it from the working directory
	Dir       string            // state: secrets, ports, logs, data; "" is Root/.stack
	Cache     string            // what clones share; "" is healthe in the user's cache folder
	FreePorts bool              // any free ports instead of the usual ones
	Env       map[string]string // more variables for process-compose.yaml, or other values for known ones
	Progress  Progress          // nil says nothing
}

// Stack is the platform on this machine, running or not.
type Stack struct {
	Root, Dir string
	cache     string
	Ports     Ports
	Secrets   Secrets
	env       map[string]string
	fixed     bool // on the usual ports, of which there is one set a machine
	progress  Progress
	goEnv     []string // for tests: what else the go command sees
}

// Open reads or makes the state of a stack: its folder, ports and secrets. It starts nothing.
func Open(o Options) (*Stack, error) {
	root := o.Root
	if root == "" {
		var err error
		if root, err = findRoot(); err != nil {
			return nil, err
		}
	}
	s := &Stack{Root: root, Dir: o.Dir, env: o.Env, fixed: !o.FreePorts, progress: o.Progress}
	if s.Dir == "" {
		s.Dir = filepath.Join(root, ".stack")
	}
	if s.progress == nil {
		s.progress = silent{}
	}
	var err error
	if s.cache, err = cacheDir(o.Cache); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.path("logs"), s.path("config"), filepath.Join(s.cache, "bin")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, explain("cannot make the folder "+dir, err)
		}
	}
	if s.Secrets, err = loadSecrets(s.path("secrets")); err != nil {
		return nil, err
	}
	s.Ports, err = loadPorts(s.path("ports"), o.FreePorts)
	return s, err
}

// Start opens a stack, builds what is missing, starts it and returns once everything is healthy. What a
// failed start has started is stopped again.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s, err := Open(o)
	if err != nil {
		return nil, err
	}
	return s, s.Up(ctx)
}

// Build makes the programs that are missing and starts nothing: tests run single ones of them.
func (s *Stack) Build(ctx context.Context) error {
	unlock, err := lock(s.path("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.checkSpace(); err != nil {
		return err
	}
	_, err = s.build(ctx)
	return err
}

// Up is Start for an open stack. On a running stack it restarts only those services that were rebuilt and
// starts those that had stopped.
func (s *Stack) Up(ctx context.Context) (err error) {
	unlock, err := lock(s.path("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.checkSpace(); err != nil {
		return err
	}
	if s.fixed {
		if err := s.checkOtherClones(ctx); err != nil {
			return err
		}
	}
	running := s.Running(ctx)
	if !running {
		s.sweep() // what a killed process-compose has left
		if err := s.Ports.check(); err != nil {
			return err
		}
	}
	rebuilt, err := s.build(ctx)
	if err != nil {
		return err
	}
	if running {
		return s.refresh(ctx, rebuilt)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.Ports.check(); err != nil { // again: building may have taken minutes
		return err
	}
	if s.fixed {
		s.claim()
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.WaitHealthy(ctx)
}

// prepare writes everything that the servers read when they start.
func (s *Stack) prepare(ctx context.Context) error {
	if err := s.initPostgres(ctx); err != nil {
		return err
	}
	if err := s.makeCertificate(); err != nil {
		return err
	}
	return s.render()
}

// refresh brings a running stack to what was just built.
func (s *Stack) refresh(ctx context.Context, rebuilt []string) error {
	processes, err := s.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		switch {
		case contains(rebuilt, p.service()) && p.Running:
			s.progress.Say("restarting %s, which has changed", p.Name)
			err = s.Restart(ctx, p.Name)
		case !p.Running && !p.healthy():
			s.progress.Say("starting %s, which had stopped", p.Name)
			err = s.StartProcess(ctx, p.Name)
		}
		if err != nil {
			return err
		}
	}
	return s.WaitHealthy(ctx)
}

// Stop ends every process of the stack; the data stays. It is no error when nothing runs.
func (s *Stack) Stop(ctx context.Context) error {
	err := s.shutdown(ctx)
	s.sweep()
	s.unclaim()
	return err
}

// Remove stops the stack and deletes its data, secrets and logs.
func (s *Stack) Remove(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.dataDir()), os.RemoveAll(s.Dir))
}

// path is a file in the state folder.
func (s *Stack) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// id tells this stack from those of other clones wherever they share a folder.
func (s *Stack) id() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(s.Dir)))[:12]
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "process-compose.yaml")); e == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", Fault{"This is no clone of healthe", "Run it from inside one."}
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func cacheDir(chosen string) (string, error) {
	if chosen != "" {
		return chosen, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", Fault{"There is no folder for caches", "Set HOME or XDG_CACHE_HOME."}
	}
	return filepath.Join(base, "healthe"), nil
}
