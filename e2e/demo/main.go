// Demo plays the platform's main story on the stack that runs, and prints each step: `./task demo`.
//
// HEALTHE_URL, MAILPIT_URL, ADMIN_USERNAME and ADMIN_PASSWORD let it play elsewhere.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/healthe/healthe/dev/stack"
	"github.com/healthe/healthe/sdk/go/examples/journey"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := where(ctx)
	if err != nil {
		return err
	}
	show := plain
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == "" {
		show = coloured
	}
	steps, began := 0, time.Now()
	cfg.Report = func(s journey.Step) { steps++; show(s) }
	if err := journey.Run(ctx, cfg); err != nil {
		return fmt.Errorf("the journey ended after %d steps: %w", steps, err)
	}
	fmt.Printf("\nDone: %d steps in %.1f s, all through %s\n", steps, time.Since(began).Seconds(), cfg.URL)
	return nil
}

// where finds the platform: what the environment says, else the stack of this clone.
func where(ctx context.Context) (journey.Config, error) {
	cfg := journey.Config{
		URL: os.Getenv("HEALTHE_URL"), MailpitURL: os.Getenv("MAILPIT_URL"),
		AdminUsername: os.Getenv("ADMIN_USERNAME"), AdminPassword: os.Getenv("ADMIN_PASSWORD"),
	}
	if cfg.URL != "" && cfg.MailpitURL != "" && cfg.AdminPassword != "" {
		cfg.AdminUsername = cmp.Or(cfg.AdminUsername, "admin")
		return cfg, nil
	}
	s, err := stack.Open(stack.Options{})
	if err != nil {
		return cfg, err
	}
	if !s.Running(ctx) {
		return cfg, errors.New("nothing is running: start the platform with ./task up, then try again")
	}
	cfg.URL, cfg.MailpitURL = s.PublicURL(), s.MailURL()
	for _, a := range s.Accounts() {
		if a.Username == "admin" {
			cfg.AdminUsername, cfg.AdminPassword = a.Username, a.Password
		}
	}
	return cfg, nil
}

// plain is for scripts: one line a step.
func plain(s journey.Step) {
	if s.Detail != "" {
		s.Detail = ": " + s.Detail
	}
	fmt.Printf("%s %s%s\n", s.Who, s.What, s.Detail)
}

// coloured is for a terminal.
func coloured(s journey.Step) {
	colour := map[string]int{"ada": 36, "noor": 32, "bea": 35, "mia": 34, "admin": 33}[s.Who]
	fmt.Printf("\x1b[1;%dm%-6s\x1b[0m %s \x1b[2m%s %s\x1b[0m\n", colour, s.Who, s.What, s.Detail, took(s.Took))
}

func took(d time.Duration) string {
	return fmt.Sprintf("(%.0f ms)", float64(d.Microseconds())/1000)
}
