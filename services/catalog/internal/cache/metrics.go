package cache

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/healthe/healthe/kit/telemetry"
)

// measure lets the process's metrics read the counts; serving a hit does not touch them.
func (c *Cache) measure() {
	meter := otel.Meter("healthe")
	reads := telemetry.Must(meter.Int64ObservableCounter("cache.reads", metric.WithDescription("Reads, by where their answer came from.")))
	evictions := telemetry.Must(meter.Int64ObservableCounter("cache.evictions", metric.WithDescription("Answers dropped for want of room or past their time.")))
	size := telemetry.Must(meter.Int64ObservableGauge("cache.size", metric.WithUnit("By"), metric.WithDescription("Memory that stored answers take.")))
	entries := telemetry.Must(meter.Int64ObservableGauge("cache.entries", metric.WithDescription("Stored answers.")))
	telemetry.Must(meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		r := c.Report()
		for from, n := range map[string]int64{"hit": r.Hits, "miss": r.Misses, "stale": r.Stale, "collapsed": r.Collapsed} {
			o.ObserveInt64(reads, n, metric.WithAttributes(attribute.String("from", from)))
		}
		o.ObserveInt64(evictions, c.evictions.Load())
		o.ObserveInt64(size, r.Bytes)
		o.ObserveInt64(entries, r.Entries)
		return nil
	}, reads, evictions, size, entries))
}
