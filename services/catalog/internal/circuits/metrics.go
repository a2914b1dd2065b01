package circuits

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/healthe/healthe/kit/telemetry"
)

// observe lets the metrics read what is known anyway.
func (c *Circuits) observe() {
	meter := otel.Meter("healthe")
	watchers := telemetry.Must(meter.Int64ObservableGauge("circuits.watchers", metric.WithDescription("Streams that are open.")))
	instances := telemetry.Must(meter.Int64ObservableGauge("circuits.instances", metric.WithDescription("Instances of the catalog that report, as this one sees it.")))
	unpublished := telemetry.Must(meter.Int64ObservableGauge("circuits.unpublished", metric.WithDescription("1 while this instance cannot publish what it sees.")))
	overrides := telemetry.Must(meter.Int64ObservableGauge("circuits.override", metric.WithDescription("1 for each circuit that is forced, by service and state.")))
	telemetry.Must(meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(watchers, c.watchers.Load())
		o.ObserveInt64(instances, c.instances.Load())
		away := int64(0)
		if c.away.Load() {
			away = 1
		}
		o.ObserveInt64(unpublished, away)
		for _, f := range c.forced() {
			o.ObserveInt64(overrides, 1, metric.WithAttributes(attribute.String("service", f.Service), attribute.String("state", string(f.State))))
		}
		return nil
	}, watchers, instances, unpublished, overrides))
}
