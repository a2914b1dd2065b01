package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()

	var hundred []sample
	for i := range 100 {
		hundred = append(hundred, sample{took: time.Duration(100-i) * time.Millisecond})
	}
	for name, c := range map[string]struct {
		all  []sample
		p    float64
		want time.Duration
	}{
		"of nothing":                 {nil, 0.99, 0},
		"of one":                     {hundred[:1], 0.99, 100 * time.Millisecond},
		"99th of a hundred":          {hundred, 0.99, 99 * time.Millisecond},
		"median of a hundred":        {hundred, 0.5, 50 * time.Millisecond},
		"highest":                    {hundred, 1, 100 * time.Millisecond},
		"between two is the greater": {hundred[:10], 0.85, 99 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, percentile(c.all, c.p))
		})
	}
	require.Equal(t, 100*time.Millisecond, hundred[0].took, "the samples stay in their order")
}

func TestCount(t *testing.T) {
	t.Parallel()

	got := count([]sample{
		{status: http.StatusOK},
		{status: http.StatusCreated, group: writing},
		{status: http.StatusAccepted, group: writing},
		{status: http.StatusAccepted, group: other}, // of a read it would mean nothing
		{status: http.StatusOK, stale: true},
		{status: http.StatusConflict},
		{status: http.StatusServiceUnavailable, stale: true},
		{status: http.StatusServiceUnavailable},
		{status: http.StatusGatewayTimeout},
		{},
	})
	require.Equal(t, seen{
		requests: 10, fresh: 3, stale: 1, deferred: 1, refused: 1, unanswered: 1,
		failed: map[int]int{http.StatusServiceUnavailable: 2, http.StatusGatewayTimeout: 1},
	}, got)
	require.Equal(t, got.requests, got.fresh+got.stale+got.deferred+got.refused+got.unanswered+3, "each is counted once")
}

func TestSpans(t *testing.T) {
	t.Parallel()

	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var l ledger
	for i := range 10 {
		l.add(sample{at: at(i), group: group(i % 3), status: []int{http.StatusOK, 0}[i%2]})
	}
	found := l.during(span{at(0), at(2)}, span{at(5), at(7)})
	require.Len(t, found, 4, "what begins at the end of a span is not in it")
	require.Equal(t, 2, failures(found))
	require.Len(t, of(found, faulted), 2)
	require.Len(t, of(l.during(span{at(0), at(10)}), faulted), 4, "the ledger keeps all")
}

func TestStale(t *testing.T) {
	t.Parallel()

	for warning, want := range map[string]bool{"": false, `110 - "Response is Stale"`: true, `111 - "Revalidation Failed"`: true, `214 - "Transformation Applied"`: false} {
		require.Equal(t, want, stale(http.Header{"Warning": {warning}}), warning)
	}
}
