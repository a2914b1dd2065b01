package cache

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnUnchangedAnswerIsNotSentAgain(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.service.says(text("toys", "Etag: \"v1\"", "Content-Type: application/json", "X-Old: 1"))
	require.Equal(t, "toys", b.get(t, always, ann, "/toys").body)
	require.Nil(t, b.serve(t, always, ann, http.MethodGet, "/toys"), "a time of 0: it is asked each time")

	b.service.says(text("toys", "Etag: \"v1\"", "X-Old: 2", "Content-Type: text/none"))
	second := b.get(t, always, ann, "/toys")
	require.Equal(t, "toys", second.body)
	require.Equal(t, "healthe; fwd=stale; fwd-status=304; stored", second.Header.Get("Cache-Status"))
	require.Equal(t, "2", second.Header.Get("X-Old"))
	require.Equal(t, "application/json", second.Header.Get("Content-Type"), "of the content that is kept")
	require.Equal(t, `"v1"`, b.service.asked[1].Header.Get("If-None-Match"))

	third := b.get(t, always, ann, "/toys", `If-None-Match: "v1"`)
	require.Equal(t, http.StatusNotModified, third.StatusCode, "on to the client, who has it too")

	b.service.says(text("newer", "Etag: \"v2\""))
	fourth := b.get(t, always, ann, "/toys", `If-None-Match: "v1"`)
	require.Equal(t, http.StatusOK, fourth.StatusCode)
	require.Equal(t, "newer", fourth.body)
	require.Equal(t, `"v2"`, fourth.Header.Get("Etag"))

	empty := newBench(t)
	empty.service.says(text("toys", "Etag: \"v1\""))
	require.Equal(t, http.StatusNotModified, empty.get(t, always, ann, "/toys", `If-None-Match: "v1"`).StatusCode)
	require.Empty(t, empty.service.asked[0].Header.Get("If-None-Match"), "nothing is known here: the whole answer is kept")
	empty.service.fails(errAway)
	require.Equal(t, "toys", empty.get(t, always, ann, "/toys").body)
}

func TestA304MakesAnAnswerFreshAgain(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.service.says(text("toys", "Etag: \"v1\"", "Cache-Control: max-age=10"))
	b.get(t, minute, ann, "/toys")
	b.time = b.time.Add(10 * time.Second)
	b.get(t, minute, ann, "/toys")
	b.time = b.time.Add(9 * time.Second)
	resp := b.serve(t, minute, ann, http.MethodGet, "/toys")
	require.Equal(t, "9", resp.Header.Get("Age"))
}

func TestAnOldAnswerServesWhileTheServiceIsOut(t *testing.T) { // CAT-1
	t.Parallel()

	for name, fail := range map[string]func(*service){
		"no connection": func(s *service) { s.fails(errAway) },
		"no instance":   func(s *service) { s.says(status(http.StatusServiceUnavailable, "problem")) },
		"it breaks off": func(s *service) {
			s.says(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Break", "1") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.get(t, always, ann, "/toys")
			fail(b.service)
			next := http.RoundTripper(b.service)
			if name == "it breaks off" {
				next = broken{b.service}
			}
			b.time = b.time.Add(90 * time.Second)
			resp, err := b.RoundTrip(request(t, "/toys"), &always, ann, next)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "toys", string(body))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, "90", resp.Header.Get("Age"))
			require.Equal(t, `110 healthe "Response is Stale"`, resp.Header.Get("Warning"))
			require.Equal(t, "healthe; fwd=stale; detail=stale-if-error", resp.Header.Get("Cache-Status"))
			require.EqualValues(t, 1, b.Report().Stale)

			_, err = b.RoundTrip(request(t, "/other"), &always, ann, broken{b.service})
			require.Error(t, err, "nothing is made up")
		})
	}
}

// broken answers with a body that breaks off.
type broken struct{ next http.RoundTripper }

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("to"), failing{}))
	resp.ContentLength = -1
	return resp, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestWhenNoOldAnswerServes(t *testing.T) {
	t.Parallel()

	lax, strict := minute, minute
	strict.StaleIfError = false
	for name, c := range map[string]struct {
		policy  Policy
		answer  http.HandlerFunc
		later   time.Duration
		failure http.HandlerFunc
		stale   bool
	}{
		"within its time":              {lax, text("toys"), time.Hour + time.Minute, nil, true},
		"too old":                      {lax, text("toys"), time.Hour + time.Minute + 1, nil, false},
		"not by the contract":          {strict, text("toys", "Etag: \"v1\""), 2 * time.Minute, nil, false},
		"not by the service":           {lax, text("toys", "Etag: \"v1\"", "Cache-Control: max-age=10, must-revalidate"), 11 * time.Second, nil, false},
		"always asked, by the service": {lax, text("toys", "Etag: \"v1\"", "Cache-Control: no-cache"), 0, nil, false},
		"less by the service":          {lax, text("toys", "Etag: \"v1\"", "Cache-Control: max-age=10, stale-if-error=5"), 16 * time.Second, nil, false},
		"less, but enough":             {lax, text("toys", "Etag: \"v1\"", "Cache-Control: max-age=10, stale-if-error=5"), 15 * time.Second, nil, true},
		"gone is an answer":            {lax, text("toys"), 2 * time.Minute, status(http.StatusNotFound, ""), false},
		"forbidden is an answer":       {lax, text("toys"), 2 * time.Minute, status(http.StatusForbidden, ""), false},
		"a mistake of its own, too":    {lax, text("toys"), 2 * time.Minute, status(http.StatusInternalServerError, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.service.says(c.answer)
			b.get(t, c.policy, ann, "/toys")
			b.time = b.time.Add(c.later)
			b.service.fails(errAway)
			if c.failure != nil {
				b.service.says(c.failure)
			}
			g, err := b.try(t, c.policy, ann, "/toys")
			require.Equal(t, c.stale, err == nil && g.StatusCode == http.StatusOK)
			_, err = b.try(t, c.policy, bob, "/toys")
			require.Equal(t, c.failure == nil, err != nil, "others' answers never")
		})
	}
}

func TestAFailureIsNeverKept(t *testing.T) { // CAT-5
	t.Parallel()

	b := newBench(t)
	b.service.says(status(http.StatusServiceUnavailable, "problem"))
	require.Equal(t, http.StatusServiceUnavailable, b.get(t, minute, ann, "/toys").StatusCode)
	b.service.says(text("toys"))
	require.Equal(t, "toys", b.get(t, minute, ann, "/toys").body)
	b.service.says(status(http.StatusServiceUnavailable, "problem"))
	b.time = b.time.Add(time.Minute)
	require.Equal(t, "toys", b.get(t, minute, ann, "/toys").body)
	b.service.says(text("newer"))
	require.Equal(t, "newer", b.get(t, minute, ann, "/toys").body, "and the old one no longer than the outage")
}

func TestInvalidation(t *testing.T) { // CAT-4
	t.Parallel()

	b := newBench(t)
	b.service.says(text("toys", "Etag: \"v1\""))
	other := minute
	other.Operation = "toys.getShelf"
	b.get(t, minute, ann, "/toys")
	b.get(t, other, ann, "/shelf")
	require.Error(t, b.Invalidate(t.Context(), "toys.listToys", "toys.getToy"), "nobody else could be told")
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
	require.NotNil(t, b.serve(t, other, ann, http.MethodGet, "/shelf"))

	b.service.fails(errAway)
	_, err := b.try(t, minute, ann, "/toys")
	require.ErrorIs(t, err, errAway, "known to be untrue: not even in place of a failure")
	b.service.says(text("toys", "Etag: \"v1\""))
	require.Contains(t, b.get(t, minute, ann, "/toys").Header.Get("Cache-Status"), "fwd-status=304", "unless the service says that it still holds")
	require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
}

func TestNothingIsFreshWhileInvalidationsAreNotHeard(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	hearing := true
	b.hears = func(time.Time) bool { return hearing }
	b.get(t, minute, ann, "/toys")
	hearing = false
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
	b.get(t, minute, ann, "/toys")
	require.Equal(t, 2, b.service.calls())
	b.service.fails(errAway)
	require.Equal(t, "toys", b.get(t, minute, ann, "/toys").body, "marked, in place of a failure")

	b.marks.raiseAll()
	hearing = true
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"), "what may have been missed stays missed")
	stale := b.get(t, minute, ann, "/toys")
	require.NotEmpty(t, stale.Header.Get("Warning"))
	b.service.says(text("toys"))
	b.get(t, minute, ann, "/toys")
	require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
}
