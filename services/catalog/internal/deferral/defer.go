package deferral

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/deferred"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

var (
	errOtherRequest = problem.New(http.StatusUnprocessableEntity, "idempotency-key-reused", "Idempotency key reused",
		"This Idempotency-Key was used for another request; take a new one.")
	errTooMany = problem.New(http.StatusTooManyRequests, "too-many-deferred", "Too many deferred writes",
		"The service is out, and as many of your writes wait for it as are kept.").RetryAfter(longestPause)
)

// carried are the headers that a request is carried out with; the rest is about the client or the connection.
var carried = []string{"Content-Type", "If-Match", "If-None-Match", "Accept-Language"}

// Request is a write as it came, and as it is to be carried out.
type Request struct {
	Service, Operation string // the operationId
	HTTP               *http.Request
	Body               []byte
	Key                string // the Idempotency-Key, also of the attempts made before; never empty
	Caller             identity.Identity
	Identity           string // the X-Healthe-Identity that it came with
}

// Defer takes a write on: once it returns, it will be carried out, refused or given up after 24 hours, whatever happens to
// this process. The same key again is the same operation, or a problem if the request is another one or the operation came to nothing. A problem is also
// that the user has too many pending, and that nobody is there to act for: a machine asks again by itself.
func (d *Deferral) Defer(ctx context.Context, r Request) (deferred.DeferredOperation, error) {
	user, target := r.Caller.UserID(), r.HTTP.URL.RequestURI()
	if user == uuid.Nil || r.Identity == "" || !utf8.ValidString(target) {
		return deferred.DeferredOperation{}, problem.Unavailable("The " + r.Service + " service")
	}
	header, err := json.Marshal(r.header(ctx))
	if err != nil {
		return deferred.DeferredOperation{}, err
	}
	// The attempts may have used up the request's time; and who hung up meanwhile asks again with the same key.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	now := d.now()
	params := store.CreateOperationParams{
		UserID: user, ClientID: r.Caller.ClientID, Service: r.Service, Operation: r.Operation, Method: r.HTTP.Method, Target: target,
		Header: header, Body: append([]byte{}, r.Body...), Proof: r.Identity, IdempotencyKey: r.Key, RequestHash: r.hash(),
		Now: now, ExpiresAt: now.Add(lifetime), MaxPending: maxPending,
	}
	var row store.Operation
	var made bool
	err = pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		var err error
		row, err = known(ctx, store.New(tx), params)
		if made = errors.Is(err, pgx.ErrNoRows); made {
			row, err = d.create(ctx, tx, params)
		}
		return err
	})
	if err != nil {
		return deferred.DeferredOperation{}, err
	}
	if made {
		d.metrics.taken.Add(ctx, 1, of(row.Service))
	}
	return toAPI(row), nil
}

// known returns the operation that the key names, or pgx.ErrNoRows; then nobody else makes one until the transaction ends.
func known(ctx context.Context, q *store.Queries, p store.CreateOperationParams) (store.Operation, error) {
	if err := q.LockUser(ctx, p.UserID.String()); err != nil {
		return store.Operation{}, err
	}
	key := store.GetOperationByKeyParams{
		UserID: p.UserID, ClientID: p.ClientID, Service: p.Service, Operation: p.Operation, IdempotencyKey: p.IdempotencyKey,
	}
	if err := q.ReleaseKey(ctx, store.ReleaseKeyParams(key)); err != nil {
		return store.Operation{}, err
	}
	row, err := q.GetOperationByKey(ctx, key)
	switch {
	case err == nil && !bytes.Equal(row.RequestHash, p.RequestHash):
		return row, errOtherRequest
	case err == nil && (row.State == store.OperationStateWithdrawn || row.State == store.OperationStateFailed):
		return row, errEnded // 202 would promise that it is carried out
	}
	return row, err
}

func (d *Deferral) create(ctx context.Context, tx pgx.Tx, p store.CreateOperationParams) (store.Operation, error) {
	row, err := store.New(tx).CreateOperation(ctx, p)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errTooMany
	}
	if err != nil {
		return row, err
	}
	return row, d.enqueue(ctx, tx, p.Now, row.ID)
}

// Pending tells whether writes of the user wait for the service. Later ones wait behind them.
func (d *Deferral) Pending(ctx context.Context, user uuid.UUID, service string) (bool, error) {
	return d.store.HasPending(ctx, store.HasPendingParams{UserID: user, Service: service})
}

// header is what the request is carried out with, under the id that its log lines have so far.
func (r Request) header(ctx context.Context) http.Header {
	out := http.Header{}
	for _, name := range carried {
		if v := r.HTTP.Header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	if id := telemetry.FromContext(ctx).ID; id != "" {
		out.Set("X-Request-Id", id)
	}
	return out
}

// hash tells requests apart as services do (package idempotency).
func (r Request) hash() []byte {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s\n%s\n", r.HTTP.Method, r.HTTP.URL.RequestURI(), r.HTTP.Header.Get("If-Match"))
	sum.Write(r.Body)
	return sum.Sum(nil)
}

// pace is how long the next try waits, from how long the operation has: soon at first, and never so long that a service
// that is back is kept waiting.
func pace(waited time.Duration) time.Duration {
	return min(max(waited/2, time.Second), longestPause)
}
