package forum

import (
	"net/http"
	"time"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/services/forum/internal/pseudonym"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// service implements every operation of openapi/forum.yaml.
type service struct {
	db        *postgres.DB
	store     *store.Queries
	jobs      *jobs.Client
	names     *pseudonym.Maker
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
	return contract.Handler("forum", schemes, contract.Private(s.pseudonymous(idempotency.Middleware(s.db, operations))))
}
