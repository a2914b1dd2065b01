package circuits

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observe lets the metrics read what is known anyway.
func (c *Circuits) observe() {
	meter := otel.Meter("healthe")
	gauge := func(name, what string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(what))
		if err != nil {
			panic(err) // only a wrong name can be the reason
		}
		return g
	}
	watchers := gauge("circuits.watchers", "Streams that are open.")
	instances := gauge("circuits.instances", "Instances of the catalog that report, as this one sees it.")
	unpublished := gauge("circuits.unpublished", "1 while this instance cannot publish what it sees.")
	overrides := gauge("circuits.override", "1 for each circuit that is forced, by service and state.")
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
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
	}, watchers, instances, unpublished, overrides)
	if err != nil {
		panic(err) // the gauges are of this meter
	}
}
