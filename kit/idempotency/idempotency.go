// Package idempotency makes a request that is sent twice happen once.
//
// A request with an Idempotency-Key runs in one transaction: what it does and the answer it
// gave are committed together, so that no crash can separate them. Of a refused request the
// answer alone is committed.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/problem"
)

var (
	errOtherBody = problem.New(http.StatusUnprocessableEntity, "idempotency-key-reused", "Idempotency key reused",
		"This Idempotency-Key was used for another request; take a new one.")
	errRunning = problem.Conflict("idempotency-key-running", "A request with this Idempotency-Key is still running; ask again.").RetryAfter(time.Second)
)

const (
	lockKey = `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))`
	begin   = `SAVEPOINT request`
	undo    = `ROLLBACK TO SAVEPOINT request`
	findKey = `SELECT request_hash, status, header, body FROM idempotency_keys
		WHERE caller = $1 AND operation = $2 AND key = $3 AND created_at > now() - interval '24 hours'`
	keepKey = `INSERT INTO idempotency_keys (caller, operation, key, request_hash, status, header, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (caller, operation, key) DO UPDATE
		SET request_hash = EXCLUDED.request_hash, status = EXCLUDED.status, header = EXCLUDED.header, body = EXCLUDED.body, created_at = now()
		WHERE idempotency_keys.created_at <= now() - interval '24 hours'`
	sweepKeys = `DELETE FROM idempotency_keys WHERE created_at <= now() - interval '24 hours'`
)

// request is what the key names.
type request struct {
	caller, operation, key string
	hash                   []byte
}

// answer is what was said to it.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Middleware stands between contract.Handler and the operations. It concerns the operations
// that take the header, called by someone known: keys are kept per caller.
func Middleware(db *postgres.DB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, _ := contract.Current(r.Context())
		caller := identity.Caller(r.Context())
		key := r.Header.Get("Idempotency-Key")
		if key == "" || !op.Idempotent || caller.Subject == "" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			contract.Fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		sum := sha256.New()
		fmt.Fprintf(sum, "%s %s\n%s\n", r.Method, r.URL.RequestURI(), r.Header.Get("If-Match"))
		sum.Write(body)
		req := request{caller.Subject, op.ID, key, sum.Sum(nil)}
		if err := once(db, req, next, w, r); err != nil {
			contract.Fail(w, r, err)
		}
	})
}

// once answers r, either by running next or by repeating what it answered before.
func once(db *postgres.DB, req request, next http.Handler, w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()

	before, err := find(ctx, tx, req)
	if err != nil {
		return err
	}
	if before != nil {
		before.header.Set("Idempotency-Replayed", "true")
		before.send(w)
		return nil
	}
	now := &answer{header: w.Header().Clone(), status: http.StatusOK}
	next.ServeHTTP(now, r.WithContext(postgres.WithTx(ctx, tx)))
	if now.status >= http.StatusInternalServerError || now.status == http.StatusTooManyRequests {
		now.send(w)
		return nil
	}
	if now.status >= http.StatusBadRequest {
		if _, err := tx.Exec(ctx, undo); err != nil {
			return err
		}
	}
	if err := keep(ctx, tx, req, now); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	now.send(w)
	return nil
}

// find returns the answer given before, nil if there is none. From here on no other request
// with this key gets past it until tx ends.
func find(ctx context.Context, tx pgx.Tx, req request) (*answer, error) {
	var batch pgx.Batch
	batch.Queue(lockKey, req.operation+"\x1f"+req.caller+"\x1f"+req.key)
	batch.Queue(findKey, req.caller, req.operation, req.key) // a statement of its own, so that it sees what the lock waited for
	batch.Queue(begin)
	results := tx.SendBatch(ctx, &batch)
	defer results.Close()

	var free bool
	if err := results.QueryRow().Scan(&free); err != nil {
		return nil, err
	}
	var hash, header, body []byte
	var before answer
	err := results.QueryRow().Scan(&hash, &before.status, &header, &body)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && !free:
		return nil, errRunning
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case !bytes.Equal(hash, req.hash):
		return nil, errOtherBody
	}
	before.body.Write(body)
	return &before, json.Unmarshal(header, &before.header)
}

func keep(ctx context.Context, tx pgx.Tx, req request, a *answer) error {
	header, err := json.Marshal(a.header)
	if err != nil {
		return err
	}
	body := append([]byte{}, a.body.Bytes()...) // of a 204 too: nil would be NULL
	_, err = tx.Exec(ctx, keepKey, req.caller, req.operation, req.key, req.hash, a.status, header, body)
	return err
}

// Header, Write and WriteHeader make answer an http.ResponseWriter that waits.
func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

func (a *answer) send(w http.ResponseWriter) {
	id := w.Header().Get("X-Request-Id") // of this request, not of the one that was answered first
	maps.Copy(w.Header(), a.header)
	if id != "" {
		w.Header().Set("X-Request-Id", id)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the caller is gone; it can ask again
}

// Sweep forgets old keys every hour until ctx ends. Each instance may do it.
func Sweep(db *postgres.DB) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			if _, err := db.Exec(ctx, sweepKeys); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "idempotency keys not swept", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Hour):
			}
		}
	}
}
