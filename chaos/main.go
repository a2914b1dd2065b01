// Command chaos breaks one thing after the other between clients and a stack of its own, under load, and measures what
// clients saw of it. It ends with an error if an accepted write was lost or done twice, or if trouble spread.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/healthe/healthe/dev/stack"
)

const (
	longest      = 8 * time.Minute // everything, the start of the stack included
	normal       = 6 * time.Second // undisturbed, before and after each fault
	broken       = 12 * time.Second
	recovery     = 30 * time.Second // at most, from the end of a fault until all is as before
	settling     = 60 * time.Second // at most, from then until every deferred write has ended
	worstP99     = 1.5              // of the others' p99 over their normal p99
	repeats      = 4                // rounds at most that are played once more
	longestRound = 60 * time.Second // what must be left of the time for that
	documents    = "docs/resilience.md"
)

func main() {
	only := flag.String("only", "", "run these `faults` alone, separated by commas, and leave "+documents+" as it is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context, only string) (err error) {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	alone, err := lock(filepath.Join(".bin", "chaos.lock"))
	if err != nil {
		return err
	}
	defer alone.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it took longer than %s", longest))
	defer cancel()
	p, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.keepLogs()
		}
		err = errors.Join(err, p.remove(context.WithoutCancel(ctx)))
	}()
	rows, err := p.measure(ctx, chosen)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	table := markdown(rows)
	fmt.Print("\n", table, "\n")
	for _, r := range rows {
		say("%s: the p99 of other services was %s, normally %s", r.name, r.others.Round(100*time.Microsecond), r.othersNormal.Round(100*time.Microsecond))
	}
	if only == "" {
		whole, err := document(rows)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(p.Root, documents), []byte(whole), 0o644); err != nil { //nolint:gosec // for everyone to read
			return err
		}
		say("%s is written", documents)
	}
	return verdict(rows)
}

// lock keeps a second run from taking this one's stack away. It is free again once the process has ended, however it does.
func lock(name string) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, errors.New("another run is under way in this clone: wait for its end")
	}
	return file, nil
}

// platform is the stack with a proxy between the catalog and each core service.
type platform struct {
	*stack.Stack
	proxies proxies
}

// start brings up a stack that differs from the usual one in the way from the catalog to the core services, and in the rate
// limits, which all of the load would hit as one client.
func start(ctx context.Context) (*platform, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	options := stack.Options{
		Root: root, Dir: filepath.Join(root, ".stack-chaos"), FreePorts: true,
		Env:      map[string]string{"RATE_LIMIT": "1000000", "RATE_LIMIT_LOGIN": "1000000", "POSTGRES_FSYNC": "off"},
		Progress: &stack.Lines{W: os.Stderr, Every: 2 * time.Second},
	}
	s, err := stack.Open(options)
	if err != nil {
		return nil, err
	}
	if err := s.Remove(ctx); err != nil { // what a run that was killed has left
		return nil, err
	}
	if s, err = stack.Open(options); err != nil { // the ports are new
		return nil, err
	}
	through, err := startProxies(s.Ports["WEB_INTERNAL_PORT"], s.Ports["POSTGRES_PORT"], "appointment", "auth", "mailing")
	if err != nil {
		return nil, err
	}
	options.Env["UPSTREAM_URLS"] = through.urls()
	direct := fmt.Sprintf("127.0.0.1:%d", s.Ports["POSTGRES_PORT"])
	options.Env["APPOINTMENT_DATABASE_URL"] = strings.Replace(s.DatabaseURL(target), direct, through[database].Listen, 1)
	p := &platform{s, through}
	if p.Stack, err = stack.Start(ctx, options); err != nil {
		return nil, errors.Join(err, p.remove(context.WithoutCancel(ctx)))
	}
	for _, service := range []string{"auth", "appointment", "catalog"} {
		say("starting a second instance of %s", service)
		if err := p.Scale(ctx, service, 2); err != nil {
			return nil, errors.Join(err, p.remove(context.WithoutCancel(ctx)))
		}
	}
	return p, nil
}

// remove leaves nothing behind.
func (p *platform) remove(ctx context.Context) error {
	say("stopping the stack")
	p.proxies.stop()
	return p.Remove(ctx)
}

// keepLogs saves what the processes said, from being deleted with the stack.
func (p *platform) keepLogs() {
	kept := filepath.Join(os.TempDir(), "healthe-chaos-logs")
	_ = os.RemoveAll(kept)
	if os.CopyFS(kept, os.DirFS(filepath.Join(p.Dir, "logs"))) == nil {
		say("the logs of the stack are in %s", kept)
	}
}

// named are the processes of a service: appointment-0, appointment-1.
func (p *platform) named(ctx context.Context, service string) ([]string, error) {
	processes, err := p.Processes(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, process := range processes {
		if process.Name == service || strings.HasPrefix(process.Name, service+"-") {
			found = append(found, process.Name)
		}
	}
	return found, nil
}

var began = time.Now()

// say tells a person what goes on.
func say(format string, args ...any) {
	fmt.Printf("%5.0f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// pause waits, and says whether there is still something to wait for.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
