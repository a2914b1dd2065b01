package deferral

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/healthe/healthe/kit/identity"
)

func TestMetrics(t *testing.T) {
	t.Parallel()

	b, user, reader := newBench(t), uuid.New(), metric.NewManualReader()
	b.observe(metric.NewMeterProvider(metric.WithReader(reader)).Meter("healthe"))
	read := func() map[string]float64 {
		t.Helper()
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &all))
		got := map[string]float64{}
		for _, m := range all.ScopeMetrics[0].Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				got[m.Name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				got[m.Name] = data.DataPoints[0].Value
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					service, _ := point.Attributes.Value("service")
					state, _ := point.Attributes.Value("state")
					got[m.Name+" "+service.AsString()+" "+state.AsString()] = float64(point.Value)
				}
			}
		}
		return got
	}
	require.Equal(t, map[string]float64{"deferral.pending": 0, "deferral.oldest": 0}, read())

	done, refused, withdrawn := b.takes(user, "1"), b.takes(user, "2"), b.takes(user, "3")
	b.takes(user, "4")
	b.takes(user, "4") // the same key is the same write
	b.service.does(says(http.StatusServiceUnavailable, "unavailable"), nil)
	b.tries(done)
	b.service.does(nil, nil)
	b.tries(done)
	b.service.does(says(http.StatusConflict, "slot-taken"), nil)
	b.tries(refused)
	require.NoError(t, b.Withdraw(t.Context(), identity.Identity{Subject: user.String()}, withdrawn))
	require.Error(t, b.Withdraw(t.Context(), identity.Identity{Subject: user.String()}, withdrawn))
	_, err := b.db.Exec(t.Context(), "UPDATE operations SET created_at = now() - interval '1 hour' WHERE state = 'pending'")
	require.NoError(t, err)
	got := read()
	require.InDelta(t, 3600, got["deferral.oldest"], 60)
	delete(got, "deferral.oldest")
	require.Equal(t, map[string]float64{
		"deferral.taken appointment ": 4, "deferral.tries appointment ": 3, "deferral.pending": 1,
		"deferral.ended appointment succeeded": 1, "deferral.ended appointment failed": 1, "deferral.ended appointment withdrawn": 1,
	}, got)

	b.db.Close()
	require.NotContains(t, read(), "deferral.pending", "what is not known is not made up")
}
