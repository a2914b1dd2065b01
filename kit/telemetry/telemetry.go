// Package telemetry sets up logs (slog, JSON lines on standard output), metrics
// (OpenTelemetry, read by Prometheus) and traces (OTLP, where an endpoint is set).
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Setup makes logs, metrics and traces of the whole process. It returns the page that
// Prometheus reads, and a function that sends what is still held back.
func Setup(ctx context.Context, service, instance string, level slog.Level) (http.Handler, func(context.Context) error, error) {
	slog.SetDefault(slog.New(logHandler{slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level})}).
		With("service", service, "instance", instance))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	about := resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.instance.id", instance))

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := prometheusexporter.New(prometheusexporter.WithRegisterer(registry))
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	meters := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithResource(about))
	otel.SetMeterProvider(meters)
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return page, meters.Shutdown, nil
	}
	spans, err := otlptracehttp.New(ctx) // reads the standard OTEL_ variables itself
	if err != nil {
		return nil, nil, fmt.Errorf("traces: %w", err)
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(about))
	otel.SetTracerProvider(traces)
	return page, traces.Shutdown, nil
}
