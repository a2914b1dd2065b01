// Package catalog is the one public door of all services: it serves each core service's public operations under that
// service's own contract, answers composite questions that take several of them, and keeps the trouble of one service from
// everyone else: circuits, copies of answers, writes that wait.
package catalog

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/healthe/healthe/db"
	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/catalog/internal/cache"
	"github.com/healthe/healthe/services/catalog/internal/circuits"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
	"github.com/healthe/healthe/services/catalog/internal/upstream"
)

// Config is what the service reads from the environment.
type Config struct {
	server.Config
	DatabaseURL  config.Secret     `env:"DATABASE_URL,required"`
	CacheBytes   int64             `env:"CACHE_BYTES" envDefault:"67108864"`
	UpstreamURLs map[string]string `env:"UPSTREAM_URLS" envKeyValSeparator:"="` // of core services that are not reached at INTERNAL_URL
}

// New builds the service. An instance starts only with its database, and goes on without it: then no write is kept for
// later, and copies serve only while a service is out.
func New(ctx context.Context, cfg Config) (*server.Service, error) {
	docs, policies, err := contracts()
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, cfg.DatabaseURL, "catalog"); err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, "catalog")
	if err != nil {
		return nil, err
	}
	copies := cache.New(pool.Pool(), cfg.CacheBytes, upstream.Out)
	ways, err := cfg.ways(docs, policies, copies, upstream.Defaults)
	if err != nil {
		return nil, err
	}
	waiting, err := cfg.deferral(pool, ways)
	if err != nil {
		return nil, err
	}
	seen := circuits.New(circuits.Config{
		DB: pool, Sources: sources(ways), Cache: copies.Report, Backlog: waiting.Backlog, Life: unbounded,
	})
	handler, err := newHandler(ways, waiting, seen, contract.Schemes{"healthe": cfg.Verifier().Authenticate})
	if err != nil {
		return nil, err
	}
	return &server.Service{
		Handler: withLife(server.Wrap(handler)), Close: pool.Close,
		Background: append(waiting.Background(), copies.Listen, seen.Run),
	}, nil
}

// ways returns how each core service is reached.
func (c Config) ways(docs map[string]*openapi3.T, policies map[string]*upstream.Policies, copies *cache.Cache, s upstream.Settings) (map[string]*way, error) {
	all := map[string]*way{}
	for _, name := range coreServices {
		address, elsewhere := c.UpstreamURLs[name]
		if !elsewhere {
			address = c.InternalURL
		}
		target, err := url.Parse(address)
		if err != nil || target.Host == "" {
			return nil, fmt.Errorf("%q is no URL at which %s could be reached: INTERNAL_URL must be Traefik's internal entry point", address, name)
		}
		u := upstream.New(name, policies[name], s)
		all[name] = &way{doc: docs[name], upstream: u, target: target, cache: copies, kept: kept(u)}
	}
	return all, nil
}

func (c Config) deferral(pool *postgres.DB, ways map[string]*way) (*deferral.Deferral, error) {
	people, err := auth.NewClientWithResponses(c.InternalURL, auth.WithHTTPClient(c.Neighbours("identities:exchange")))
	if err != nil {
		return nil, err
	}
	mail, err := mailing.NewClientWithResponses(c.InternalURL, mailing.WithHTTPClient(c.Neighbours("mail:send")))
	if err != nil {
		return nil, err
	}
	inside, err := url.Parse(c.InternalURL)
	if err != nil {
		return nil, err
	}
	return deferral.New(pool, deferral.Config{
		Upstream: func(service string) http.RoundTripper { return ways[service] }, Target: inside,
		Out:  func(service string) bool { return ways[service].upstream.Shut() },
		Auth: people, Mailing: mail, PublicURL: c.PublicURL,
	})
}

func sources(ways map[string]*way) map[string]circuits.Source {
	all := map[string]circuits.Source{}
	for name, w := range ways {
		all[name] = w.upstream
	}
	return all
}
