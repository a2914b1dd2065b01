package upstream

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/healthe/healthe/openapi/problem"
)

// Why a service was not asked, or not waited for.
var (
	ErrOpen    = errors.New("circuit open")
	ErrFull    = errors.New("too many calls at once")
	ErrTimeout = errors.New("no answer in time")
)

const (
	forcedWait  = 10 * time.Second // nobody knows when a circuit that was forced open is let go
	discardTime = 20 * time.Millisecond
)

// Out says whether nobody could answer: what `stale` and `defer` are for. A 4xx is an answer, and so is a 500: the service is
// there, and what one request broke must not shut out all the others. That the client went away or sent no sound body says nothing.
func Out(resp *http.Response, err error) bool {
	if err != nil {
		_, tooLong := errors.AsType[*http.MaxBytesError](err)
		_, broken := errors.AsType[*uploadError](err)
		return !tooLong && !broken && !errors.Is(err, context.Canceled)
	}
	return outage(resp)
}

// Problem says in the catalog's own words why the service gave no answer.
func (u *Upstream) Problem(err error) *problem.Problem {
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.TooLarge(tooLong.Limit).Because(err)
	}
	if _, ok := errors.AsType[*uploadError](err); ok {
		return problem.Invalid(problem.Field{Pointer: "", Detail: "The body ended early."}).Because(err)
	}
	switch unavailable := problem.Unavailable("The " + u.name + " service"); {
	case errors.Is(err, ErrOpen):
		return unavailable.RetryAfter(u.circuit.wait()).Because(err)
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return problem.Timeout().Because(err)
	default:
		return unavailable.Because(err)
	}
}

// uploadError is what came instead of the rest of a client's body.
type uploadError struct{ error }

func (e *uploadError) Unwrap() error { return e.error }

func outage(resp *http.Response) bool {
	return resp != nil && (resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout)
}

// passing says what may be over in a moment. What took its whole time once is not asked for again.
func passing(resp *http.Response, err error) bool {
	for _, final := range []error{ErrOpen, ErrFull, ErrTimeout, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return false
		}
	}
	return Out(resp, err)
}

func isStream(resp *http.Response) bool {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return mediaType == "text/event-stream"
}

// discard lets the connection of an answer that nobody will read be used again.
func discard(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	if a, ok := resp.Body.(*answer); ok { // a new connection costs less than a long wait
		a.end(false)
		a.idle = 0
		a.call.limit(discardTime)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
