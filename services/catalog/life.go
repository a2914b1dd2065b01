package catalog

import (
	"context"
	"net/http"
	"time"

	"github.com/healthe/healthe/kit/server"
)

type lifeKey struct{}

// withLife keeps how long the client stays, before server.Wrap sets a deadline: streams go on beyond it.
func withLife(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), lifeKey{}, r.Context())))
	})
}

// unbounded is ctx without its deadline: it ends when the client goes away, or this instance begins to stop.
func unbounded(ctx context.Context) context.Context {
	client, ok := ctx.Value(lifeKey{}).(context.Context)
	if !ok {
		return ctx
	}
	life, end := context.WithCancel(client)
	release := context.AfterFunc(server.Life(ctx), end)
	context.AfterFunc(life, func() { release() })
	return stream{ctx, life}
}

// stream has the values of a request and another life.
type stream struct {
	context.Context
	life context.Context //nolint:containedctx // it is one
}

func (s stream) Deadline() (time.Time, bool) { return s.life.Deadline() }
func (s stream) Done() <-chan struct{}       { return s.life.Done() }
func (s stream) Err() error                  { return s.life.Err() }
