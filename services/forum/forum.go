// Package forum is where people talk under a pseudonym: communities, posts, trees of comments, votes whose sums are exact, feeds,
// search, and what moderators need. Its database knows nobody: see internal/pseudonym.
package forum

import (
	"context"
	"time"

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
	"github.com/healthe/healthe/services/forum/internal/pseudonym"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// Config is what the service reads from the environment.
type Config struct {
	server.Config
	Rules

	DatabaseURL     config.Secret `env:"DATABASE_URL,required"`
	PseudonymSecret config.Secret `env:"PSEUDONYM_SECRET,required"` // a new one makes everybody a stranger
}

// New builds the service.
func New(ctx context.Context, cfg Config) (*server.Service, error) {
	mails, err := mailing.NewClientWithResponses(cfg.InternalURL, mailing.WithHTTPClient(cfg.Neighbours("mail:send")))
	if err != nil {
		return nil, err
	}
	names, err := pseudonym.New(cfg.PseudonymSecret)
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, cfg.DatabaseURL, "forum"); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, "forum")
	if err != nil {
		return nil, err
	}
	s, err := newService(pool, names, mail.New(mails), cfg.Rules, cfg.PublicURL)
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

func newService(pool *postgres.DB, names *pseudonym.Maker, post mail.Post, rules Rules, publicURL string) (*service, error) {
	s := &service{db: pool, store: store.New(pool), names: names, rules: rules, publicURL: publicURL, now: time.Now}
	workers := river.NewWorkers()
	river.AddWorker(workers, &notifier{service: s, post: post})
	var err error
	s.jobs, err = jobs.New(pool, workers)
	return s, err
}
