package catalog

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

// compositeDeadline is for all parts of a composite together; what has not come by then is unavailable.
const compositeDeadline = 3 * time.Second

// staleWarning is the warn-code of an answer that was served past its time (RFC 7234, 5.5.1).
const staleWarning = "110"

// standing says how far an answer of a core service can be trusted: live, or stale and how old in seconds. A cache on the
// way may have answered too: within its time that is as good as the service, past it there is a Warning.
func standing(resp *http.Response) (api.PartState, *api.Age) {
	if !warned(resp.Header) {
		return api.Live, nil
	}
	if age, err := strconv.Atoi(resp.Header.Get("Age")); err == nil && age >= 0 {
		return api.Stale, &age
	}
	if made, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return api.Stale, new(max(0, int(time.Since(made).Seconds())))
	}
	return api.Stale, nil
}

func warned(h http.Header) bool {
	for _, line := range h.Values("Warning") {
		for warning := range strings.SplitSeq(line, ",") { // a comma within a text starts no code
			if code, _, _ := strings.Cut(strings.TrimSpace(warning), " "); code == staleWarning {
				return true
			}
		}
	}
	return false
}

// absent says whether it is the service that says that there is no such thing. Who stands on the way to it knows the same
// status and type, for a path that leads nowhere, but not these words.
func absent(p *problem.Problem, thing string) bool {
	none := problem.NotFound(thing)
	return p != nil && p.Type == none.Type && p.Detail == none.Detail
}

// missing says in the log why a part is.
func missing(ctx context.Context, part string, err error, resp interface{ StatusCode() int }) {
	status := 0
	if err == nil {
		status = resp.StatusCode()
	}
	slog.WarnContext(ctx, "part unavailable", "part", part, "status", status, "error", plain(err))
}

// plain takes the address out of a client's error: its query may say where somebody is and what they look for.
func plain(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}

// asCaller makes the calls of a composite the caller's own: it passes on the identity that came with the request.
func asCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, r.Header.Get(identity.Header))))
	})
}

// asNobody is for what everyone may read: one copy of it serves all, and what someone known reads is kept nowhere.
func asNobody(ctx context.Context) context.Context { return context.WithValue(ctx, identityKey{}, "") }

type identityKey struct{}

// withCaller edits the requests of generated clients. Nobody has no identity, not an empty one.
func withCaller(ctx context.Context, r *http.Request) error {
	if signed, _ := ctx.Value(identityKey{}).(string); signed != "" {
		r.Header.Set(identity.Header, signed)
	}
	return nil
}
