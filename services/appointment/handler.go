package appointment

import (
	"net/http"
	"time"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// service implements every operation of openapi/appointment.yaml.
type service struct {
	db        *postgres.DB
	store     *store.Queries
	jobs      *jobs.Client
	rules     Rules
	publicURL string
	now       func() time.Time
}

var _ api.StrictServerInterface = (*service)(nil)

func newHandler(s *service, schemes contract.Schemes) (http.Handler, error) {
	strict := api.NewStrictHandlerWithOptions(s, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  contract.Refuse,
		ResponseErrorHandlerFunc: contract.Fail,
	})
	operations := api.HandlerWithOptions(strict, api.StdHTTPServerOptions{ErrorHandlerFunc: contract.Refuse})
	return contract.Handler("appointment", schemes, contract.Private(idempotency.Middleware(s.db, operations)))
}
