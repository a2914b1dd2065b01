// Command bench measures what the platform promises about its speed, on a stack of its own
// beside any running one, and prints ratios: each is measured against its reference in the
// same run, in turns. The ratios of single operations are benchmarks beside their services.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/healthe/healthe/dev/stack"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "nothing" {
		serveNothing()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context) (err error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	options := stack.Options{
		Root: root, Dir: filepath.Join(root, ".stack-bench"), FreePorts: true,
		Env:      map[string]string{"RATE_LIMIT": "1000000", "RATE_LIMIT_LOGIN": "1000000", "NEW_AUTHOR_FOR": "0s"},
		Progress: &stack.Lines{W: os.Stderr, Every: 2 * time.Second},
	}
	s, err := stack.Open(options)
	if err != nil {
		return err
	}
	if err := s.Remove(ctx); err != nil { // what an interrupted run has left
		return err
	}
	if s, err = stack.Start(ctx, options); err != nil {
		return err
	}
	defer func() {
		if e := s.Remove(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	if err := forwardAuth(ctx, s); err != nil {
		return fmt.Errorf("forward-auth: %w", err)
	}
	if err := catalogue(ctx, s); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if err := votes(ctx, s); err != nil {
		return fmt.Errorf("votes: %w", err)
	}
	if err := memory(ctx, s); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return warmStart(ctx, s)
}

// warmStart stops the stack and takes the time until all of it is healthy again.
func warmStart(ctx context.Context, s *stack.Stack) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := s.Up(ctx); err != nil {
		return err
	}
	fmt.Printf("warm start, until everything is healthy: %.1f s (at most 15)\n", time.Since(began).Seconds())
	return nil
}
