package deferral

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

const (
	tryTime      = 8 * time.Second  // for all of a try
	leaseTime    = 10 * time.Second // for who makes it: until then nobody else begins
	exchangeTime = 2 * time.Second  // of a try, while no worker does anything else
	maxProblem   = 64 << 10         // bytes
	maxLocation  = 2000
	maxFaults    = 3 // a longestPause apart: what a service cannot do by then, it cannot do
)

var (
	errExpired = problem.New(http.StatusServiceUnavailable, "deferred-expired", "Given up",
		"The service was out for a day, and the write was given up. Look whether it is still wanted, and ask again.")
	errNotAllowed = problem.New(http.StatusForbidden, "deferred-not-allowed", "Not allowed any more",
		"When the service was back, you or the application could not act any more. The write was not carried out.")
	errRunning = problem.Base + "idempotency-key-running"
)

// nothingThere is what Traefik says where it knows no service: nobody has answered.
const nothingThere = "There is nothing at this path."

// verdict is what a try came to: still pending, succeeded or failed.
type verdict struct {
	state    store.OperationState
	tried    int32 // 1 if the service was asked
	status   int
	location string
	problem  *problem.Problem
	fault    *problem.Problem // the service's own mistake, which the same request may meet again
	wait     time.Duration    // at least, until the next try
	cause    error
}

func again(err error) verdict { return verdict{state: store.OperationStatePending, cause: err} }

// call does what the user asked for, in their name.
func (d *Deferral) call(ctx context.Context, row store.Operation) verdict {
	ctx, header, err := d.head(ctx, row)
	if err != nil {
		return again(err)
	}
	signed, err := d.exchange(ctx, row)
	if errors.Is(err, errNotAllowed) {
		return verdict{state: store.OperationStateFailed, problem: errNotAllowed, cause: err}
	}
	if err != nil {
		return again(err)
	}
	header.Set(identity.Header, signed)
	target, err := url.Parse(strings.TrimSuffix(d.cfg.Target.String(), "/") + row.Target)
	if err != nil {
		return again(err)
	}
	req, err := http.NewRequestWithContext(ctx, row.Method, target.String(), bytes.NewReader(row.Body))
	if err != nil {
		return again(err)
	}
	req.Header = header
	resp, err := d.cfg.Upstream(row.Service).RoundTrip(req)
	if err != nil {
		v := again(err)
		v.tried = 1
		return v
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	v := judge(resp.StatusCode, resp.Header, body, err)
	v.tried = 1
	if v.fault != nil && row.Faults+1 >= maxFaults { // others of the user wait behind it
		v.state, v.problem = store.OperationStateFailed, v.fault
	}
	return v
}

// head returns what the request is sent with, and a context in which its calls are logged under its id.
func (d *Deferral) head(ctx context.Context, row store.Operation) (context.Context, http.Header, error) {
	header := http.Header{}
	if err := json.Unmarshal(row.Header, &header); err != nil {
		return ctx, nil, err
	}
	if header.Get("X-Request-Id") == "" {
		header.Set("X-Request-Id", row.ID.String())
	}
	header.Set("Idempotency-Key", *row.IdempotencyKey)
	return telemetry.NewContext(ctx, &telemetry.Request{ID: header.Get("X-Request-Id"), Operation: row.Operation}), header, nil
}

// exchange has auth say again who the user is. errNotAllowed is final, any other error is not.
func (d *Deferral) exchange(ctx context.Context, row store.Operation) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	resp, err := d.cfg.Auth.ExchangeIdentityWithResponse(ctx, auth.NewIdentityExchange{
		GrantType: auth.UrnIetfParamsOauthGrantTypeTokenExchange, SubjectTokenType: auth.UrnIetfParamsOauthTokenTypeJwt,
		SubjectToken: *row.Proof, OperationID: row.ID, Operation: row.Operation,
	})
	if err != nil {
		return "", fmt.Errorf("exchange: %w", err)
	}
	if p := resp.ApplicationProblemJSON403; p != nil && p.Type == problem.Base+"exchange-refused" { // not that we may not ask
		return "", errNotAllowed.Because(p)
	}
	if resp.JSON200 == nil {
		return "", fmt.Errorf("exchange: auth answered %s", resp.Status())
	}
	return resp.JSON200.AccessToken, nil
}

// judge says what an answer means. Only the service itself can refuse, and only what it will not take later either. A mistake
// that it owns up to is no outage, and may be about this very request.
func judge(status int, header http.Header, body []byte, unread error) verdict {
	v := again(fmt.Errorf("the service answered %d", status))
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		v.wait = time.Duration(min(seconds, int(longestPause/time.Second))) * time.Second
	}
	switch {
	case status >= 200 && status < 300:
		v.state, v.status = store.OperationStateSucceeded, status
		if location := header.Get("Location"); len(location) <= maxLocation {
			v.location = strings.ToValidUTF8(location, "")
		}
	case status < 400 || status > http.StatusNotImplemented || unread != nil:
	case status >= 500:
		if p := refusal(header, body); p != nil {
			v.fault, v.wait = p, longestPause
		}
	case status == http.StatusUnauthorized: // the new identity came too late; whether the user may act, auth says
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
	default:
		if p := refusal(header, body); p != nil {
			v.state, v.problem = store.OperationStateFailed, p
		}
	}
	return v
}

// refusal returns the problem that the service explains, nil if somebody else answered or it is over in a moment.
func refusal(header http.Header, body []byte) *problem.Problem {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	var p problem.Problem
	if mediaType != "application/problem+json" || json.Unmarshal(body, &p) != nil || !strings.HasPrefix(p.Type, problem.Base) {
		return nil
	}
	if p.Type == errRunning || p.Detail == nothingThere {
		return nil
	}
	return &p
}
