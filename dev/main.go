// Dev is what ./task runs: it starts and stops the platform on this machine, and looks after it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/healthe/healthe/dev/stack"
)

// command is one verb. Its settings come from the environment (SERVICE, N, YES), as Task passes them on.
type command struct {
	name, about string
	run         func(context.Context, *stack.Stack) error
}

var commands = []command{
	{"up", "build what is missing, start everything, wait until it is healthy", up},
	{"build", "build what is missing", func(ctx context.Context, s *stack.Stack) error { return s.Build(ctx) }},
	{"down", "stop everything; the data stays", down},
	{"ps", "list the processes", ps},
	{"logs", "show the output of SERVICE, or of all", logs},
	{"scale", "run N instances of SERVICE", scale},
	{"reset", "delete the data and secrets of this clone", reset},
	{"doctor", "say what this machine lacks", doctor},
	{"database", "(process-compose) make the databases", func(ctx context.Context, s *stack.Stack) error { return s.Database(ctx) }},
	{"registry", "(process-compose) fill the service registry", func(ctx context.Context, s *stack.Stack) error { return s.Registry(ctx) }},
	{"seed", "(process-compose) make OAuth2 clients and demo accounts", func(ctx context.Context, s *stack.Stack) error { return s.Seed(ctx) }},
	{"fill", "fill the database of SERVICE with made-up data", fill},
	{"with-postgres", "run a command with TEST_DATABASE_URL set to a server of its own", withPostgres},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if code, ok := errors.AsType[exitCode](err); ok {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// exitCode passes on how a command ended that has said why itself.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func run(ctx context.Context) error {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		shown := progress()
		defer shown.Update("") // nothing half-written before an error
		// process-compose passes on the stack whose processes these are; its ports are in its state folder.
		dir := os.Getenv("STACK_DIR")
		s, err := stack.Open(stack.Options{Dir: dir, FreePorts: dir != "", Progress: shown})
		if err != nil {
			return err
		}
		err = c.run(ctx, s)
		if err != nil && ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "Interrupted.")
			return exitCode(130)
		}
		return err
	}
	for _, c := range commands {
		fmt.Printf("dev %-14s %s\n", c.name, c.about)
	}
	return exitCode(2)
}

// progress is a line that changes for a person, plain lines for a script.
func progress() stack.Progress {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" {
		width, _ := strconv.Atoi(os.Getenv("COLUMNS"))
		if width == 0 {
			width = 80
		}
		return &stack.Terminal{W: os.Stderr, Width: width}
	}
	return &stack.Lines{W: os.Stderr, Every: 10 * time.Second}
}

func up(ctx context.Context, s *stack.Stack) error {
	begun := time.Now()
	if err := s.Up(ctx); err != nil {
		return err
	}
	fmt.Printf("Everything is healthy (%.1f s).\n\n", time.Since(begun).Seconds())
	fmt.Printf("  API     %s   (TLS: https://localhost:%d, with a certificate of this clone)\n", s.PublicURL(), s.Ports["WEBSECURE_PORT"])
	fmt.Printf("  Log in  %s/login\n", s.PublicURL())
	fmt.Printf("  Mail    %s/api/v1/messages\n\nDemo accounts\n", s.MailURL())
	for _, a := range s.Accounts() {
		fmt.Printf("  %-9s %-21s password %s\n", a.Username, a.Email, a.Password)
	}
	fmt.Printf(`
Try next
  ./task demo                          a patient books an appointment, step by step
  curl -s %s/appointment/v1/specialities
  ./task ps                            what runs; ./task logs appointment; ./task down
`, s.PublicURL())
	return nil
}

func down(ctx context.Context, s *stack.Stack) error {
	if !s.Running(ctx) {
		fmt.Println("Nothing of this clone is running.")
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	fmt.Println("Stopped. The data stays; ./task reset deletes it.")
	return nil
}

func ps(ctx context.Context, s *stack.Stack) error {
	processes, err := s.Processes(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-16s %-10s %8s %10s %9s  %s\n", "NAME", "STATE", "PID", "MEMORY", "RESTARTS", "AGE")
	for _, p := range processes {
		pid, memory, age := "", "", ""
		if p.Running {
			pid = strconv.Itoa(p.PID)
			memory = fmt.Sprintf("%d MiB", p.Memory>>20)
			age = time.Duration(p.Age).Round(time.Second).String()
		}
		fmt.Printf("%-16s %-10s %8s %10s %9d  %s\n", p.Name, p.State(), pid, memory, p.Restarts, age)
	}
	return nil
}

func scale(ctx context.Context, s *stack.Stack) error {
	n, err := strconv.Atoi(os.Getenv("N"))
	if err != nil || os.Getenv("SERVICE") == "" {
		return stack.Fault{Problem: "scale needs a service and a number", Remedy: "For example: ./task scale SERVICE=appointment N=3"}
	}
	if err := s.Scale(ctx, os.Getenv("SERVICE"), n); err != nil {
		return err
	}
	fmt.Printf("%s has %d instances.\n", os.Getenv("SERVICE"), n)
	return nil
}

func reset(ctx context.Context, s *stack.Stack) error {
	fmt.Printf("This stops the stack and deletes all of its data:\n  %s (databases)\n  %s (secrets, demo passwords, mail, logs)\n", s.PostgresData(), s.Dir)
	if os.Getenv("YES") != "1" {
		fmt.Print("Delete it? [y/N] ")
		answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
			fmt.Println("\nNothing was deleted. Without asking: ./task reset YES=1")
			return exitCode(1)
		}
	}
	if err := s.Remove(ctx); err != nil {
		return err
	}
	fmt.Println("Deleted.")
	return nil
}

func doctor(ctx context.Context, s *stack.Stack) error {
	bad := 0
	for _, c := range s.Doctor(ctx) {
		if c.OK {
			fmt.Printf("ok     %s: %s\n", c.Name, c.Found)
			continue
		}
		bad++
		fmt.Printf("WRONG  %s: %s\n       %s\n", c.Name, c.Found, c.Fix)
	}
	if bad > 0 {
		return exitCode(1)
	}
	return nil
}
