// Package auth says who calls: accounts and sessions in front of Kratos, OAuth2 consent in
// front of Hydra, professional roles, and the signed identity that every service trusts.
package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/keys"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"
)

// Config is what auth reads from the environment.
type Config struct {
	server.Config
	DatabaseURL         config.Secret `env:"DATABASE_URL,required"`
	KratosPublicURL     string        `env:"KRATOS_PUBLIC_URL,required"`
	KratosAdminURL      string        `env:"KRATOS_ADMIN_URL,required"`
	HydraAdminURL       string        `env:"HYDRA_ADMIN_URL,required"`
	KeyEncryptionSecret config.Secret `env:"KEY_ENCRYPTION_SECRET,required"`
	PasswordCost        int           `env:"PASSWORD_COST" envDefault:"11"`        // of bcrypt, as Kratos' configuration says
	SignupsPerAddress   int           `env:"SIGNUPS_PER_ADDRESS" envDefault:"60"`  // of the network, in an hour
	UnverifiedLifetime  time.Duration `env:"UNVERIFIED_LIFETIME" envDefault:"24h"` // of an account whose address nobody verified, at least
}

// New builds the service. It migrates its database first.
func New(ctx context.Context, cfg Config) (*server.Service, error) {
	if err := db.Migrate(ctx, cfg.DatabaseURL, "auth"); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, "auth")
	if err != nil {
		return nil, err
	}
	mail, err := mailing.NewClientWithResponses(cfg.InternalURL, mailing.WithHTTPClient(cfg.Neighbours("mail:send")))
	if err != nil {
		return nil, err
	}
	return build(ctx, cfg, pool, mail)
}

// build puts the service together around a database and the neighbour that sends mail.
func build(ctx context.Context, cfg Config, db *postgres.DB, mail mailing.ClientWithResponsesInterface) (*server.Service, error) {
	box, err := seal.New(cfg.KeyEncryptionSecret)
	if err != nil {
		return nil, err
	}
	ring, err := keys.Open(ctx, store.New(db), box)
	if err != nil {
		return nil, err
	}
	roles, err := gate.LoadRoles()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: telemetry.Transport{Base: transport()}, Timeout: 8 * time.Second}
	s := &service{
		cfg: cfg, db: db, store: store.New(db), box: box, keys: ring, roles: roles, mail: mail,
		kratos: kratos.New(cfg.KratosPublicURL, cfg.KratosAdminURL, client),
		hydra:  hydra.New(cfg.HydraAdminURL, client),
	}
	s.gate = gate.New(s.kratos, s.hydra, ring, roles, db.Pool())
	workers := river.NewWorkers()
	s.register(workers)
	if s.jobs, err = jobs.New(db, workers, s.periodic()...); err != nil {
		return nil, err
	}
	handler, err := newHandler(s)
	if err != nil {
		return nil, err
	}
	return &server.Service{
		Handler:    handler,
		Ready:      db.Ping,
		Background: []func(context.Context) error{jobs.Run(s.jobs), s.gate.Listen, ring.Follow, idempotency.Sweep(db)},
		Close:      db.Close,
	}, nil
}

// transport keeps enough connections to Kratos and Hydra open for the look-ups of a busy instance.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	t.Proxy = nil
	return t
}
