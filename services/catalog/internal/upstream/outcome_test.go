package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

// retryAfter is what the problem of err says in that header.
func retryAfter(t *testing.T, u *Upstream, err error) string {
	t.Helper()
	rec := httptest.NewRecorder()
	problem.Write(rec, httptest.NewRequest(http.MethodGet, "/", nil), u.Problem(err))
	return rec.Header().Get("Retry-After")
}

func TestOutcomes(t *testing.T) {
	t.Parallel()

	u, _ := newService(t, says(200))
	tooLong := &http.MaxBytesError{Limit: 10}
	for name, tt := range map[string]struct {
		err    error
		status int
		out    bool
	}{
		"an open circuit":            {ErrOpen, 503, true},
		"no place":                   {ErrFull, 503, true},
		"no answer in time":          {ErrTimeout, 504, true},
		"the caller's deadline":      {context.DeadlineExceeded, 504, true},
		"a reset":                    {errors.New("10.0.0.1: connection reset"), 503, true},
		"nobody waits":               {context.Canceled, 503, false},
		"a body that is too long":    {&uploadError{tooLong}, 413, false},
		"a body that ends too early": {&uploadError{errors.New("unexpected EOF")}, 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := fmt.Errorf("wrapped: %w", tt.err)
			p := u.Problem(err)
			require.Equal(t, tt.status, p.Status)
			require.NotContains(t, p.Detail, "10.0.0.1", "nothing of our insides") // CAT-1
			require.Equal(t, tt.out, Out(nil, err))
			require.Equal(t, tt.status >= 500, retryAfter(t, u, err) != "")
		})
	}
	for status := 100; status < 600; status++ {
		require.Equal(t, status == 502 || status == 503 || status == 504, Out(&http.Response{StatusCode: status}, nil), status)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		u, core := newService(t, nil)
		for i := range 100 {
			core.does(after(time.Duration(i+1)*time.Millisecond, says(200)))
			_, err := ask(t.Context(), t, u, getOne)
			require.NoError(t, err)
		}
		core.does(says(503))
		_, _ = ask(t.Context(), t, u, getOne)
		core.does(after(time.Second, says(404)))
		_, _ = ask(t.Context(), t, u, getOne)
		report := u.Report()
		require.Equal(t, "toys", report.Service)
		require.InDelta(t, 11, report.CallsPerS, 0.7, "104 in nine to ten seconds")
		require.InDelta(t, 3.0/104, report.FailureRate, 1e-9, "with its retries")
		require.InDelta(t, 1.0/104, report.SlowRate, 1e-9)
		require.InDelta(t, 50, report.P50Ms, 50.0/8)
		require.InDelta(t, 95, report.P95Ms, 95.0/8)
		require.InDelta(t, 100, report.P99Ms, 100.0/8)
		require.EqualValues(t, 2, report.Retries)

		<-time.After(11 * time.Second)
		report = u.Report()
		require.Zero(t, report.CallsPerS)
		require.Zero(t, report.P99Ms)
		require.EqualValues(t, 2, report.Retries, "since the start")
	})
}

func TestBuckets(t *testing.T) {
	t.Parallel()

	for d := time.Duration(0); d < 16*time.Second; d += d/50 + time.Microsecond {
		us := float64(d.Microseconds())
		require.GreaterOrEqual(t, float64(bound(bucket(d))), us)
		require.LessOrEqual(t, float64(bound(bucket(d))), us*1.125+1)
	}
	require.Equal(t, nBuckets-1, bucket(time.Hour))
	require.Equal(t, 0, bucket(-time.Second))
}

func TestMetrics(t *testing.T) {
	t.Parallel()

	reader := metric.NewManualReader()
	u, core := newService(t, says(200))
	u.observe(metric.NewMeterProvider(metric.WithReader(reader)).Meter("healthe"))
	_, err := ask(t.Context(), t, u, getOne)
	require.NoError(t, err)
	core.does(says(503))
	_, _ = ask(t.Context(), t, u, getOne)
	open := api.OverrideStateOpen
	u.Force(&open)
	_, _ = ask(t.Context(), t, u, getOne)

	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	got, took := map[string]int64{}, map[string]uint64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		var points []metricdata.DataPoint[int64]
		switch data := m.Data.(type) {
		case metricdata.Gauge[int64]:
			points = data.DataPoints
		case metricdata.Sum[int64]:
			points = data.DataPoints
		case metricdata.Histogram[float64]:
			for _, point := range data.DataPoints {
				service, _ := point.Attributes.Value("upstream")
				outcome, _ := point.Attributes.Value("outcome")
				took[m.Name+" "+m.Unit+" "+service.AsString()+" "+outcome.AsString()] = point.Count
			}
		}
		for _, point := range points {
			service, _ := point.Attributes.Value("upstream")
			require.Equal(t, "toys", service.AsString())
			outcome, _ := point.Attributes.Value("outcome")
			got[m.Name+" "+outcome.AsString()] = point.Value
		}
	}
	require.Equal(t, map[string]int64{
		"upstream.circuit ": 2, "upstream.running ": 0, "upstream.limit ": 256, "upstream.retries ": 2, "upstream.hedges ": 0,
		"upstream.calls answered": 1, "upstream.calls failed": 3, "upstream.calls late": 0, "upstream.calls gone": 0,
		"upstream.calls broke_up": 0, "upstream.calls rejected_open": 1, "upstream.calls rejected_full": 0,
	}, got)
	require.Equal(t, map[string]uint64{"upstream.request.duration s toys answered": 1, "upstream.request.duration s toys failed": 3}, took)
}
