// Package mailing sends the platform's mail: it stores each mail with the job that sends it, tries until the next mail server
// takes it or there is no point any more, and forgets what is personal soon after.
package mailing

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

// Config is what the service reads from the environment.
type Config struct {
	server.Config

	DatabaseURL   config.Secret `env:"DATABASE_URL,required"`
	SMTPURL       config.Secret `env:"SMTP_URL,required"`       // smtp://user:password@host:port?tls=none|starttls|require
	MailFrom      string        `env:"MAIL_FROM,required"`      // Healthe <no-reply@example.org>
	CourierSecret config.Secret `env:"COURIER_SECRET,required"` // what Kratos shows
}

// New builds the service.
func New(ctx context.Context, cfg Config) (*server.Service, error) {
	if cfg.Env == "production" && !encrypted(cfg.SMTPURL) {
		return nil, errors.New("SMTP_URL: in production mail goes out encrypted only, with ?tls=require or smtps://")
	}
	out, err := newSender(cfg.SMTPURL, cfg.MailFrom, nil)
	if err != nil {
		return nil, err
	}
	people, err := auth.NewClientWithResponses(cfg.InternalURL, auth.WithHTTPClient(cfg.Neighbours("contacts:read")))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, cfg.DatabaseURL, "mailing"); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, "mailing")
	if err != nil {
		return nil, err
	}
	s, err := newService(pool, out, newContacts(people), retryDelay)
	if err != nil {
		return nil, err
	}
	handler, err := newHandler(s, contract.Schemes{
		"healthe": cfg.Verifier().Authenticate, "courier": authenticateCourier(cfg.CourierSecret),
	})
	if err != nil {
		return nil, err
	}
	return &server.Service{
		Handler: server.Wrap(handler), Ready: pool.Ping, Close: pool.Close,
		Background: []func(context.Context) error{jobs.Run(s.jobs), idempotency.Sweep(pool)},
	}, nil
}

func newService(pool *postgres.DB, out *sender, people contacts, delay func(int) time.Duration) (*service, error) {
	all, err := loadLetters()
	if err != nil {
		return nil, err
	}
	s := &service{db: pool, store: store.New(pool), letters: all, now: time.Now}
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliverer{db: pool, store: s.store, letters: all, sender: out, contacts: people, delay: delay, now: s.now})
	river.AddWorker(workers, &tidier{store: s.store, now: s.now})
	s.jobs, err = jobs.New(pool, workers, river.NewPeriodicJob(river.PeriodicInterval(tidyEvery),
		func() (river.JobArgs, *river.InsertOpts) { return tidyJob{}, nil }, nil))
	return s, err
}
