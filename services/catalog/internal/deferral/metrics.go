package deferral

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

// metrics are what this instance has done.
type metrics struct{ taken, tries, ended metric.Int64Counter }

// observe has meter show what d does, and what is pending: that is the same at all instances, and is looked up when it is read.
func (d *Deferral) observe(meter metric.Meter) {
	d.metrics = metrics{
		taken: telemetry.Must(meter.Int64Counter("deferral.taken", metric.WithDescription("Writes taken on, by service."))),
		tries: telemetry.Must(meter.Int64Counter("deferral.tries", metric.WithDescription("Tries in which the service was asked, by service."))),
		ended: telemetry.Must(meter.Int64Counter("deferral.ended", metric.WithDescription("Writes that ended, by service and state."))),
	}
	pending := telemetry.Must(meter.Int64ObservableGauge("deferral.pending", metric.WithDescription("Writes that wait, of all instances.")))
	oldest := telemetry.Must(meter.Float64ObservableGauge("deferral.oldest", metric.WithUnit("s"), metric.WithDescription("How long the oldest of them has waited.")))
	telemetry.Must(meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, storeTime)
		defer cancel()
		if n, waited, err := d.Backlog(ctx); err == nil { // else nothing is known, and the sweep says why
			o.ObserveInt64(pending, n)
			o.ObserveFloat64(oldest, waited.Seconds())
		}
		return nil
	}, pending, oldest))
}

// hasEnded counts an operation once that is committed.
func (m metrics) hasEnded(ctx context.Context, service string, state store.OperationState) {
	m.ended.Add(ctx, 1, of(service), metric.WithAttributes(attribute.String("state", string(state))))
}

func of(service string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("service", service))
}
