package catalog

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/kittest/contracttest"
	"github.com/healthe/healthe/kittest/identitytest"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/deferral"
)

// operationsAPI serves the deferred writes alone.
type operationsAPI struct {
	api.StrictServerInterface
	own operations
}

func (a operationsAPI) ListOperations(ctx context.Context, r api.ListOperationsRequestObject) (api.ListOperationsResponseObject, error) {
	return a.own.ListOperations(ctx, r)
}

func (a operationsAPI) GetOperation(ctx context.Context, r api.GetOperationRequestObject) (api.GetOperationResponseObject, error) {
	return a.own.GetOperation(ctx, r)
}

func (a operationsAPI) WithdrawOperation(ctx context.Context, r api.WithdrawOperationRequestObject) (api.WithdrawOperationResponseObject, error) {
	return a.own.WithdrawOperation(ctx, r)
}

// ledger is a catalog that has taken on writes and carries none out.
type ledger struct {
	*api.ClientWithResponses
	t        *testing.T
	db       *postgres.DB
	issuer   *identitytest.Issuer
	deferral *deferral.Deferral
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	db := dbtest.New(t, "catalog")
	d, err := deferral.New(db, deferral.Config{Target: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}})
	require.NoError(t, err)
	issuer := identitytest.New(t)
	strict := api.NewStrictHandlerWithOptions(operationsAPI{own: operations{d}}, nil, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: contract.Refuse, ResponseErrorHandlerFunc: contract.Fail,
	})
	handler, err := contract.Handler("catalog", contract.Schemes{"healthe": issuer.Verifier.Authenticate}, api.Handler(strict))
	require.NoError(t, err)
	doc, err := contract.Load("catalog")
	require.NoError(t, err)
	srv := httptest.NewServer(contracttest.Responses(t, doc, handler))
	t.Cleanup(srv.Close)
	client, err := api.NewClientWithResponses(srv.URL)
	require.NoError(t, err)
	return &ledger{client, t, db, issuer, d}
}

// takes has somebody defer a booking.
func (l *ledger) takes(who identity.Identity) deferred.DeferredOperation {
	l.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/appointment/v1/appointments", strings.NewReader("{}"))
	op, err := l.deferral.Defer(l.t.Context(), deferral.Request{
		Service: "appointment", Operation: "bookAppointment", HTTP: r, Body: []byte("{}"), Key: uuid.NewString(), Caller: who, Identity: "signed",
	})
	require.NoError(l.t, err)
	return op
}

func (l *ledger) as(who identity.Identity) api.RequestEditorFn {
	who.Scopes = []string{"account:read", "account:write"}
	token := l.issuer.Token(l.t, who)
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(identity.Header, token)
		return nil
	}
}

func person() identity.Identity { return identity.Identity{Subject: uuid.NewString()} }

func TestListOperations(t *testing.T) {
	t.Parallel()

	l, ada, bob := newLedger(t), person(), person()
	var taken []uuid.UUID
	for range 5 {
		taken = append([]uuid.UUID{l.takes(ada).Id}, taken...)
	}
	l.takes(bob)
	app := ada
	app.ClientID = "fitness-app"
	byApp := l.takes(app).Id
	list := func(who identity.Identity, params api.ListOperationsParams) *api.ListOperationsResponse {
		t.Helper()
		resp, err := l.ListOperationsWithResponse(t.Context(), &params, l.as(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode(), string(resp.Body))
		require.Equal(t, "no-store", resp.HTTPResponse.Header.Get("Cache-Control"))
		return resp
	}
	var seen []uuid.UUID
	params := api.ListOperationsParams{Limit: new(4)}
	for {
		resp := list(ada, params)
		for _, op := range resp.JSON200.Items {
			seen = append(seen, op.Id)
		}
		if resp.JSON200.NextCursor == nil {
			break
		}
		require.Contains(t, resp.HTTPResponse.Header.Get("Link"), `rel="next"`)
		params.Cursor = resp.JSON200.NextCursor
	}
	require.Equal(t, append([]uuid.UUID{byApp}, taken...), seen, "newest first, nobody else's")

	got := list(app, api.ListOperationsParams{}).JSON200.Items
	require.Len(t, got, 1, "an application sees what it asked for")
	require.Equal(t, byApp, got[0].Id)

	resp, err := l.WithdrawOperationWithResponse(t.Context(), taken[2], l.as(ada))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode())
	require.Len(t, list(ada, api.ListOperationsParams{State: new(api.Withdrawn)}).JSON200.Items, 1)
	require.Len(t, list(ada, api.ListOperationsParams{State: new(api.Pending)}).JSON200.Items, 5)

	bad, err := l.ListOperationsWithResponse(t.Context(), &api.ListOperationsParams{Cursor: new("nonsense")}, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, bad.StatusCode())
}

func TestGetOperation(t *testing.T) {
	t.Parallel()

	l, ada := newLedger(t), person()
	app := ada
	app.ClientID = "fitness-app"
	op := l.takes(ada)
	got, err := l.GetOperationWithResponse(t.Context(), op.Id, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode())
	require.Equal(t, deferred.Pending, got.JSON200.State)
	require.Equal(t, "bookAppointment", got.JSON200.Operation)
	require.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	require.WithinDuration(t, time.Now().Add(24*time.Hour), got.JSON200.ExpiresAt, 5*time.Minute)

	for name, who := range map[string]identity.Identity{"somebody else": person(), "an application of the same user": app} {
		resp, err := l.GetOperationWithResponse(t.Context(), op.Id, l.as(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode(), name)
		gone, err := l.WithdrawOperationWithResponse(t.Context(), op.Id, l.as(who))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode(), name)
	}
}

func TestWithdrawOperation(t *testing.T) {
	t.Parallel()

	l, ada := newLedger(t), person()
	op := l.takes(ada)

	_, err := l.db.Exec(t.Context(), "UPDATE operations SET claim = gen_random_uuid(), due_at = now() + interval '10 s' WHERE id = $1", op.Id)
	require.NoError(t, err) // as whoever carries it out
	busy, err := l.WithdrawOperationWithResponse(t.Context(), op.Id, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, problem.Base+"operation-running", busy.ApplicationProblemJSON409.Type)
	_, err = l.db.Exec(t.Context(), "UPDATE operations SET claim = NULL WHERE id = $1", op.Id)
	require.NoError(t, err)

	done, err := l.WithdrawOperationWithResponse(t.Context(), op.Id, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, done.StatusCode())
	got, err := l.GetOperationWithResponse(t.Context(), op.Id, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, deferred.Withdrawn, got.JSON200.State)
	require.Empty(t, got.HTTPResponse.Header.Get("Retry-After"))
	var body, proof *string
	require.NoError(t, l.db.QueryRow(t.Context(), "SELECT body::text, proof FROM operations WHERE id = $1", op.Id).Scan(&body, &proof))
	require.Nil(t, body, "what ended keeps no personal data")
	require.Nil(t, proof)

	twice, err := l.WithdrawOperationWithResponse(t.Context(), op.Id, l.as(ada))
	require.NoError(t, err)
	require.Equal(t, problem.Base+"operation-ended", twice.ApplicationProblemJSON409.Type)
}
