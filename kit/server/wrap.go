package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	requestTimeout = 10 * time.Second
	maxBody        = 32 << 20 // contracts set lower ones for each operation
)

var soundRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// Wrap adds what every request gets: an id, a deadline, a trace, a measurement, one log line,
// a bounded body, and an answer even if the operation panics.
func Wrap(next http.Handler) http.Handler {
	duration := telemetry.Duration(otel.Meter("healthe"), "http.server.request.duration", "How long requests took, by operation and status.")
	tracer := otel.Tracer("healthe")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		about := &telemetry.Request{ID: r.Header.Get("X-Request-Id")}
		if !soundRequestID.MatchString(about.ID) { // it lands in logs
			about.ID = rand.Text()
		}
		ctx, cancel := context.WithTimeout(telemetry.NewContext(r.Context(), about), requestTimeout)
		defer cancel()
		ctx = otel.GetTextMapPropagator().Extract(ctx, propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		w.Header().Set("X-Request-Id", about.ID)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		defer func() {
			status := strconv.Itoa(rec.status)
			span.SetName(r.Method + " " + about.Operation)
			span.SetAttributes(attribute.String("http.response.status_code", status))
			span.End()
			duration.Record(ctx, time.Since(began).Seconds(),
				metric.WithAttributes(attribute.String("operation", about.Operation), attribute.String("status", status)))
			slog.InfoContext(ctx, "request", "method", r.Method, "status", rec.status, "us", time.Since(began).Microseconds())
		}()
		defer recoverTo(rec, r)
		next.ServeHTTP(rec, r)
	})
}

// recoverTo answers for an operation that panicked.
func recoverTo(w *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	slog.ErrorContext(r.Context(), "panic", "stack", string(debug.Stack()))
	if w.wrote {
		panic(http.ErrAbortHandler) // hangs up, so that half an answer is not taken for a whole one
	}
	problem.Write(w, r, fmt.Errorf("panic: %v", v))
}

type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *recorder) WriteHeader(code int) {
	if !r.wrote {
		r.status, r.wrote = code, code >= http.StatusOK
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.wrote = true
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
