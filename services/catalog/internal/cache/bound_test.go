package cache

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMemoryStaysWithinTheBound does not run beside other tests: it weighs the process.
func TestMemoryStaysWithinTheBound(t *testing.T) { //nolint:paralleltest // see above
	const (
		reads  = manyReads
		bound  = 32 << 20
		factor = 1.25 // of the bound: what the weights leave out
	)
	c := silent(t, bound)
	plain := map[string]string{"Content-Type": "application/json", "Etag": `"v1"`, "Cache-Control": "private, max-age=60", "Date": time.Now().Format(http.TimeFormat)}
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		h := make(http.Header, 8)
		for name, value := range plain {
			h.Set(name, value)
		}
		return respond(r, http.StatusOK, h, []byte(`{"path":"`+r.URL.Path+`"}`)), nil
	})
	heap := func() int64 {
		c.store.CleanUp()
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	r := request(t, "/toys")
	before, most := heap(), int64(0)
	for n := range reads {
		r.URL.Path = "/toys/" + strconv.Itoa(n)
		resp, err := c.RoundTrip(r, &minute, ann, next)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		if n%(reads/10) == 0 {
			most = max(most, heap()-before)
		}
	}
	report := c.Report()
	t.Logf("%d reads, bound %d, weight %d in %d entries, heap grew by %d", reads, bound, report.Bytes, report.Entries, most)
	require.LessOrEqual(t, report.Bytes, int64(bound))
	require.Greater(t, report.Bytes, int64(bound)*9/10, "and is used")
	require.LessOrEqual(t, most, int64(bound*factor))
	require.Greater(t, most, int64(bound)/2, "the weights are not made up")
	require.EqualValues(t, reads, report.Misses)
	require.Eventually(t, func() bool { return c.evictions.Load() > reads/2 }, 10*time.Second, time.Millisecond)
}

func BenchmarkServeHit(b *testing.B) {
	for _, path := range []string{"/appointment/v1/clinics", "/appointment/v1/clinics?limit=20&speciality=cardiology"} {
		b.Run(fmt.Sprint(len(path)), func(b *testing.B) {
			c := silent(b, 64<<20)
			service := &service{handler: text(`{"items":[]}`, "Content-Type: application/json", "Etag: \"v1\"", "Cache-Control: private, max-age=60")}
			r := request(b, path)
			_, err := c.RoundTrip(r, &minute, ann, service)
			require.NoError(b, err)
			w := &discarding{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				if !c.Serve(w, r, &minute, ann) {
					b.Fatal("no hit")
				}
			}
		})
	}
}

func BenchmarkRoundTripMiss(b *testing.B) {
	c := silent(b, 64<<20)
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		return respond(r, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, []byte(`{"items":[]}`)), nil
	})
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/toys", http.NoBody)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r.URL.Path = "/toys/" + strconv.Itoa(n)
		if _, err := c.RoundTrip(r, &minute, ann, next); err != nil {
			b.Fatal(err)
		}
	}
}

// discarding is a client that is never slow.
type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarding) WriteHeader(int)             {}
