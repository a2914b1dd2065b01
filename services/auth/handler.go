package auth

import (
	"net/http"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/idempotency"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/jobs"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kit/server"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/keys"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/pages"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"
)

// service implements every operation of openapi/auth.yaml.
type service struct {
	cfg    Config
	db     *postgres.DB
	store  *store.Queries
	jobs   *jobs.Client
	box    seal.Box
	keys   *keys.Ring
	gate   *gate.Gate
	roles  gate.Roles
	kratos *kratos.Client
	hydra  *hydra.Client
	mail   mailing.ClientWithResponsesInterface
}

var _ api.StrictServerInterface = (*service)(nil)

// newHandler mounts three things: the API, the pages, which call it, and forward-auth. That one
// is asked about every request to the platform, so it goes without the contract, the log line
// and the measurements that are worth their cost elsewhere; Traefik logs those requests.
func newHandler(s *service) (http.Handler, error) {
	strict := api.NewStrictHandlerWithOptions(s, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  contract.Refuse,
		ResponseErrorHandlerFunc: contract.Fail,
	})
	operations := api.HandlerWithOptions(strict, api.StdHTTPServerOptions{ErrorHandlerFunc: contract.Refuse})
	own := identity.NewVerifier("http://auth/auth/v1/jwks.json", &http.Client{Transport: ownKeys{s.keys}})
	checked, err := contract.Handler("auth", contract.Schemes{"healthe": own.Authenticate},
		idempotency.Middleware(s.db, rememberSender(operations)))
	if err != nil {
		return nil, err
	}
	browser, err := pages.New(pages.Config{PublicURL: s.cfg.PublicURL, API: checked, Gate: s.gate, Hydra: s.hydra, Kratos: s.kratos})
	if err != nil {
		return nil, err
	}
	rest := http.NewServeMux()
	rest.Handle("/auth/", checked)
	rest.Handle("/", browser)
	wrapped := server.Wrap(rest)
	forward := newForwardAuth(s.gate, s.cfg.PublicURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == verifyPath {
			forward.ServeHTTP(w, r)
			return
		}
		wrapped.ServeHTTP(w, r)
	}), nil
}
