package telemetry

import (
	"context"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Request is what the log, the metrics and calls to neighbours know of a request.
type Request struct {
	ID        string // X-Request-Id
	Operation string // operationId, once the contract has found it
}

type requestKey struct{}

// NewContext returns a context that carries r.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// FromContext returns the request that ctx serves; outside of one, an empty Request.
func FromContext(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	return &Request{}
}

// Transport carries the request id and the trace on to a neighbour.
type Transport struct{ Base http.RoundTripper }

// RoundTrip sends a copy of r with the headers added.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if id := FromContext(r.Context()).ID; id != "" && r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", id)
	}
	otel.GetTextMapPropagator().Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return t.Base.RoundTrip(r)
}

// logHandler adds to each line which request, operation and trace it belongs to.
type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, rec slog.Record) error {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		rec.AddAttrs(slog.String("request_id", r.ID))
		if r.Operation != "" {
			rec.AddAttrs(slog.String("operation", r.Operation))
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		rec.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, rec)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
