package mailing

import (
	"net/http"
	"time"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

// service implements every operation of openapi/mailing.yaml.
type service struct {
	db      *postgres.DB
	store   *store.Queries
	letters letters
	jobs    *jobs.Client
	now     func() time.Time
}

var _ api.StrictServerInterface = (*service)(nil)

func newHandler(s *service, schemes contract.Schemes) (http.Handler, error) {
	strict := api.NewStrictHandlerWithOptions(s, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  contract.Refuse,
		ResponseErrorHandlerFunc: contract.Fail,
	})
	operations := api.HandlerWithOptions(strict, api.StdHTTPServerOptions{ErrorHandlerFunc: contract.Refuse})
	return contract.Handler("mailing", schemes, idempotency.Middleware(s.db, operations))
}
