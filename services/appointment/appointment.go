// Package appointment lets patients book doctors: the directory, hours and free slots, bookings that can never collide, a
// waitlist for what becomes free, calendars, and the mail about all of it.
package appointment

import (
	"context"
	"time"
	_ "time/tzdata" // a container built from nothing has none, and no clinic's clock could be read

	"github.com/riverqueue/river"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/mail"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// Config is what the service reads from the environment.
type Config struct {
	server.Config
	Rules

	DatabaseURL config.Secret `env:"DATABASE_URL,required"`
}

// New builds the service.
func New(ctx context.Context, cfg Config) (*server.Service, error) {
	mails, err := mailing.NewClientWithResponses(cfg.InternalURL, mailing.WithHTTPClient(cfg.Neighbours("mail:send")))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, cfg.DatabaseURL, "appointment"); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, "appointment")
	if err != nil {
		return nil, err
	}
	s, err := newService(pool, mail.New(mails), cfg.Rules, cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	handler, err := newHandler(s, contract.Schemes{"healthe": cfg.Verifier().Authenticate})
	if err != nil {
		return nil, err
	}
	return &server.Service{
		Handler: server.Wrap(handler), Ready: pool.Ping, Close: pool.Close,
		Background: []func(context.Context) error{jobs.Run(s.jobs), idempotency.Sweep(pool)},
	}, nil
}

func newService(pool *postgres.DB, post mail.Post, rules Rules, publicURL string) (*service, error) {
	s := &service{db: pool, store: store.New(pool), rules: rules, publicURL: publicURL, now: time.Now}
	workers := river.NewWorkers()
	river.AddWorker(workers, &mailer{service: s, post: post})
	river.AddWorker(workers, &reminder{service: s, post: post})
	river.AddWorker(workers, &offerEnder{service: s})
	river.AddWorker(workers, &slotOfferer{service: s})
	river.AddWorker(workers, &sweeper{service: s})
	var err error
	s.jobs, err = jobs.New(pool, workers, river.NewPeriodicJob(river.PeriodicInterval(sweepEvery),
		func() (river.JobArgs, *river.InsertOpts) { return sweepJob{}, nil }, nil))
	return s, err
}
