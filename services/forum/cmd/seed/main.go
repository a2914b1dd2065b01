// Seed fills the forum's database with made-up data; ./task seed SERVICE=forum runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/services/forum/internal/seed"
)

type settings struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required"`
	Posts       int           `env:"POSTS" envDefault:"1000000"` // with five comments and ten votes each
	Seed        uint64        `env:"SEED" envDefault:"1"`
	Until       time.Time     `env:"UNTIL"` // the same end and seed make the same data; not given, it is now
	Add         bool          `env:"ADD"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.Parse[settings]()
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx, cfg.DatabaseURL, "forum"); err != nil {
		return err
	}
	o := seed.Size(cfg.Posts)
	o.Seed, o.Add = cfg.Seed, cfg.Add
	if !cfg.Until.IsZero() {
		o.Until = cfg.Until
	}
	info, err := os.Stderr.Stat()
	o.Progress = &seed.Progress{W: os.Stderr, Terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"}
	err = seed.Run(ctx, cfg.DatabaseURL.Reveal(), o)
	if errors.Is(err, seed.ErrNotEmpty) {
		return fmt.Errorf("%w: ADD=1 adds to them", err)
	}
	return err
}
