package telemetry

import "go.opentelemetry.io/otel/metric"

// Must returns an instrument. Only a wrong name or unit makes it panic.
func Must[T any](instrument T, err error) T {
	if err != nil {
		panic(err)
	}
	return instrument
}

// Duration returns what measures how long, in seconds, one of our own requests takes.
func Duration(meter metric.Meter, name, what string) metric.Float64Histogram {
	return Must(meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)))
}
