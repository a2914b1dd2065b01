// Package catalog is the door to the core services: it serves every public operation of theirs from their contracts, keeps
// the trouble of one from becoming the trouble of all, and puts together what would take a client many calls.
package catalog

import (
	"context"
	"errors"
	"net/url"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/server"
)

// Config is what the service reads from the environment.
type Config struct{ server.Config }

// New builds the service. It has nothing of its own to wait for: with every core service away it still says so.
func New(_ context.Context, cfg Config) (*server.Service, error) {
	target, err := url.Parse(cfg.InternalURL)
	if err != nil || target.Host == "" {
		return nil, errors.New("INTERNAL_URL must be the URL of Traefik's internal entry point")
	}
	handler, err := newHandler(target, contract.Schemes{"healthe": cfg.Verifier().Authenticate}, defaultPolicy)
	if err != nil {
		return nil, err
	}
	return &server.Service{Handler: server.Wrap(handler)}, nil
}
