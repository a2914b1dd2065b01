package circuits

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	api "github.com/healthe/healthe/openapi/catalog"
)

// seen is what two instances report of one service.
func seen(a, b api.Circuit) snapshot {
	a.Service, b.Service = "mailing", "mailing"
	s := snapshot{at: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}
	s.Instances = []api.InstanceReport{{Instance: "a", Circuits: []api.Circuit{a}}, {Instance: "b", Circuits: []api.Circuit{b}}}
	return s
}

func draw(t *testing.T, s snapshot, history ...sample) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, newSheet().draw(&out, "page", viewOf(s, history)))
	return out.String()
}

func TestShowCircuits(t *testing.T) {
	t.Parallel()

	one := start(t, dbtest.New(t, "catalog"), "a").operator(t)
	require.Equal(t, http.StatusOK, one.force(t, "mailing", "open", `Moving <script>alert("it")</script> away`).StatusCode())
	got, err := one.ShowCircuitsWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode())
	require.Contains(t, got.HTTPResponse.Header.Get("Content-Type"), "text/html")
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	html := string(got.Body)
	require.Contains(t, html, "Mailing is forced open.")
	require.Contains(t, html, "2 writes wait")
	require.Contains(t, html, "Moving &lt;script&gt;alert(&#34;it&#34;)&lt;/script&gt; away", "a reason is text")
	require.Contains(t, html, one.id.String())

	policy := got.HTTPResponse.Header.Get("Content-Security-Policy")
	require.True(t, strings.HasPrefix(policy, "default-src 'none'; connect-src 'self'; "), policy)
	require.NotContains(t, policy, "unsafe")
	for _, tag := range []string{"style", "script"} { // CSP level 3, 8.2: what is inline runs by its hash
		inline := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(html, -1)
		require.Len(t, inline, 1, tag)
		require.Contains(t, policy, tag+"-src '"+hash(inline[0][1])+"'")
	}
	require.NotRegexp(t, `(?i)\s(src|style|on[a-z]+)=|href="[a-z]+:|@import|url\(`, html, "nothing from elsewhere, nothing that the policy would stop")
	require.Contains(t, html, `<noscript><meta http-equiv="refresh" content="5"></noscript>`)
	require.NotContains(t, html, "ZgotmplZ")
}

func TestPage(t *testing.T) {
	t.Parallel()

	closed, half, open := api.Circuit{State: api.CircuitStateClosed}, api.Circuit{State: api.CircuitStateHalfOpen}, api.Circuit{State: api.CircuitStateOpen}
	forced := api.Circuit{State: api.CircuitStateClosed, Forced: true}
	for name, tt := range map[string]struct {
		a, b api.Circuit
		want []string
	}{
		"closed":       {closed, closed, []string{"All circuits are closed.", "✓ closed", `class="card service closed"`, `x2="46" y2="0"`}},
		"half open":    {half, half, []string{"Mailing is half open.", "◐ half open", `class="card service half_open"`, `class="line half_open"`}},
		"open":         {open, open, []string{"Mailing is open.", "✕ open", `class="card service open"`, `class="line open"`}},
		"open on one":  {closed, open, []string{"Mailing is open.", "<small>on 1 of 2 instances</small>"}},
		"forced":       {forced, forced, []string{"Mailing is forced closed.", "✓ forced closed", `class="card service closed forced"`}},
		"not reported": {closed, api.Circuit{}, []string{"2 instances"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			html := draw(t, seen(tt.a, tt.b))
			for _, want := range tt.want {
				require.True(t, strings.Contains(html, want), want)
			}
		})
	}

	t.Run("does not show as nothing what is not known", func(t *testing.T) {
		t.Parallel()

		s := seen(closed, closed)
		s.alone = true
		html := draw(t, s)
		require.Contains(t, html, "not known")
		require.Contains(t, html, "database does not answer")
		require.Contains(t, html, "none yet", "no read, no ratio")
		s.Deferred = api.DeferredWrites{Pending: new(int64(0)), OldestS: new(int64(0))}
		require.Contains(t, draw(t, s), "none is deferred")
	})

	t.Run("with no service", func(t *testing.T) {
		t.Parallel()

		require.Contains(t, draw(t, snapshot{}), "No core service is known.")
	})

	t.Run("what others write is text", func(t *testing.T) {
		t.Parallel()

		s := seen(closed, closed)
		evil := `"><img src=x onerror=alert(1)>`
		s.Instances[0].Instance = evil
		s.Instances[0].Circuits[0].Service = evil
		s.Overrides = []api.Override{{Service: evil, State: "open", Reason: evil, By: uuid.New()}}
		require.NotContains(t, draw(t, s), "<img")
	})

	t.Run("draws the last minute, with gaps at its beginning only", func(t *testing.T) {
		t.Parallel()

		history := []sample{{}, {"mailing": {CallsPerS: 5}}, {"mailing": {CallsPerS: 10}}}
		calls := curves("mailing", history)[0]
		require.Equal(t, "10", calls.Now)
		require.Equal(t, "116.0,15.5 118.0,2.0", calls.Line)
		require.Equal(t, "116.0,30 116.0,15.5 118.0,2.0 118,30", calls.Area)
		require.Empty(t, curves("auth", history)[0].Area)
	})
}

func TestSum(t *testing.T) {
	t.Parallel()

	got := sum(seen(
		api.Circuit{State: "closed", CallsPerS: 30, FailureRate: .1, P95Ms: 5, Running: 1, Limit: 10, Retries: 1, Rejected: 2},
		api.Circuit{State: "half_open", CallsPerS: 10, FailureRate: .5, P95Ms: 9, Running: 2, Limit: 20, Retries: 3, Rejected: 4},
	))
	require.Len(t, got, 1)
	require.Equal(t, api.Circuit{
		Service: "mailing", State: "half_open", CallsPerS: 40, FailureRate: .2, P95Ms: 9, Running: 3, Limit: 30, Retries: 4, Rejected: 6,
	}, got[0].Circuit)
	require.Equal(t, "on 1 of 2 instances", got[0].Deviant)

	idle := sum(seen(api.Circuit{State: "closed"}, api.Circuit{State: "open", FailureRate: 1}))
	require.InDelta(t, 1, idle[0].FailureRate, 0, "without calls, the worse is true")
}

func TestWords(t *testing.T) {
	t.Parallel()

	for want, got := range map[string]string{
		"0": number(0), "0.4": number(.4), "9.9": number(9.94), "10": number(9.96), "86": number(86.3), "12.3k": number(12_345),
		"0 %": percent(0), "<0.1 %": percent(.0004), "0.3 %": percent(.003), "12 %": percent(.123), ">99.9 %": percent(.9996), "100 %": percent(1),
		"3.1 ms": millis(3.14), "999 ms": millis(999.4), "1 s": millis(1000), "1.5 s": millis(1540),
		"31 MiB": mebibytes(31 << 20), "59 s": waited(59), "2 min": waited(135), "3 h": waited(3*3600 + 5), "2 d": waited(2 * 86_400),
		"1 write": plural(1, "write", "writes"), "0 writes": plural(0, "write", "writes"),
	} {
		require.Equal(t, want, got)
	}
}
