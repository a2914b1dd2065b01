package appointment

import (
	"net/http"
	"time"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/identity"
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
	return contract.Handler("appointment", schemes, noStore(idempotency.Middleware(s.db, operations)))
}

// noStore keeps what only someone known may read out of every cache: nearly all of it is clinical. What is not, the contract
// lets be kept for that caller.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, _ := contract.Current(r.Context())
		resilience, _ := op.Doc.Extensions["x-healthe-resilience"].(map[string]any)
		switch {
		case identity.Caller(r.Context()).Subject == "":
		case resilience["cache"] != nil:
			w.Header().Set("Cache-Control", "private, max-age=0") // asked for each time, and serves while this service is out
		default:
			w.Header().Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}
