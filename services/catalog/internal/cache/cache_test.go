package cache

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
)

func TestAHitIsServedWithoutACall(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.service.says(text("toys", "Content-Type: application/json", "Etag: \"v1\"", "X-Request-Id: of another", "Connection: x-hop", "X-Hop: 1"))
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys/v1/toys"))
	first := b.get(t, minute, ann, "/toys/v1/toys")
	require.Equal(t, "healthe; fwd=miss; stored", first.Header.Get("Cache-Status"))
	require.Equal(t, "private, no-cache", first.Header.Get("Cache-Control"))
	require.Empty(t, first.Header.Get("Age"))

	b.time = b.time.Add(30 * time.Second)
	for _, resp := range []*http.Response{b.serve(t, minute, ann, http.MethodGet, "/toys/v1/toys"), b.get(t, minute, ann, "/toys/v1/toys").Response} {
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "healthe; hit", resp.Header.Get("Cache-Status"))
		require.Equal(t, "30", resp.Header.Get("Age"))
		require.Equal(t, "4", resp.Header.Get("Content-Length"))
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		require.Equal(t, "private, no-cache", resp.Header.Get("Cache-Control"))
		for _, name := range []string{"X-Request-Id", "X-Hop", "Connection", "Warning"} {
			require.Empty(t, resp.Header.Get(name), name)
		}
	}
	head := b.serve(t, minute, ann, http.MethodHead, "/toys/v1/toys")
	require.Equal(t, "4", head.Header.Get("Content-Length"))
	body, err := io.ReadAll(head.Body)
	require.NoError(t, err)
	require.Empty(t, body)

	unchanged := b.serve(t, minute, ann, http.MethodGet, "/toys/v1/toys", `If-None-Match: "v0", W/"v1"`)
	require.Equal(t, http.StatusNotModified, unchanged.StatusCode)
	require.Equal(t, `"v1"`, unchanged.Header.Get("Etag"))
	require.Empty(t, unchanged.Header.Get("Content-Type"))
	require.Equal(t, http.StatusOK, b.serve(t, minute, ann, http.MethodGet, "/toys/v1/toys", `If-None-Match: "v0"`).StatusCode)
	require.Equal(t, 1, b.service.calls())

	b.time = b.time.Add(30 * time.Second)
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys/v1/toys"), "a minute is over")
	require.EqualValues(t, 5, b.Report().Hits)
	require.EqualValues(t, 1, b.Report().Misses)
}

func TestAnAnswerIsForWhomItWasGiven(t *testing.T) { // CAT-3, CAT-11
	t.Parallel()

	with := func(edit func(*identity.Identity)) identity.Identity {
		i := ann
		edit(&i)
		return i
	}
	same := with(func(i *identity.Identity) {
		i.Scopes, i.SessionID, i.Expires = []string{"account:read", "patients:read"}, "another", time.Now()
	})
	later := with(func(i *identity.Identity) {
		i.Scopes, i.Expires = []string{"account:read", "patients:read"}, time.Now()
	})
	other := Policy{Operation: "games.listToys", TTL: time.Minute}
	for name, c := range map[string]struct {
		who    identity.Identity
		policy Policy
		path   string
		hit    bool
	}{
		"the same, stated again":            {later, minute, "/toys/v1/toys?a=1&b=2", true},
		"the same, in another session":      {same, minute, "/toys/v1/toys?a=1&b=2", false},
		"the query in another order":        {ann, minute, "/toys/v1/toys?b=%32&a=1", true},
		"someone else":                      {bob, minute, "/toys/v1/toys?a=1&b=2", false},
		"nobody":                            {identity.Identity{}, minute, "/toys/v1/toys?a=1&b=2", false},
		"through an application":            {with(func(i *identity.Identity) { i.ClientID = "app" }), minute, "/toys/v1/toys?a=1&b=2", false},
		"with fewer scopes":                 {with(func(i *identity.Identity) { i.Scopes = i.Scopes[:1] }), minute, "/toys/v1/toys?a=1&b=2", false},
		"in another role":                   {with(func(i *identity.Identity) { i.Roles = []string{"doctor"} }), minute, "/toys/v1/toys?a=1&b=2", false},
		"a scope that is a role":            {with(func(i *identity.Identity) { i.Scopes, i.Roles = append(i.Scopes, i.Roles...), nil }), minute, "/toys/v1/toys?a=1&b=2", false},
		"another operation of the name":     {ann, other, "/toys/v1/toys?a=1&b=2", false},
		"another path":                      {ann, minute, "/toys/v1/toys/7?a=1&b=2", false},
		"the path with its slash encoded":   {ann, minute, "/toys/v1%2Ftoys?a=1&b=2", false},
		"another value":                     {ann, minute, "/toys/v1/toys?a=1&b=3", false},
		"one value more":                    {ann, minute, "/toys/v1/toys?a=1&b=2&b=2", false},
		"a query in the place of the other": {ann, minute, "/toys/v1/toys?a=1%26b=2", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.get(t, minute, ann, "/toys/v1/toys?a=1&b=2")
			require.Equal(t, c.hit, b.serve(t, c.policy, c.who, http.MethodGet, c.path) != nil)
		})
	}
	b := newBench(t)
	b.get(t, public, ann, "/toys/v1/toys")
	require.NotNil(t, b.serve(t, public, bob, http.MethodGet, "/toys/v1/toys"), "public: one copy for all")
}

func TestVary(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.service.says(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "accept-language, Accept-Encoding")
		_, _ = io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	for range 2 {
		for _, language := range []string{"da", "en"} {
			require.Equal(t, language, b.get(t, minute, ann, "/toys", "Accept-Language: "+language).body)
		}
	}
	require.Equal(t, 2, b.service.calls())
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys", "Accept-Language: da", "Accept-Encoding: gzip"))

	for _, vary := range []string{"*", "Accept, Authorization", "Cookie", "X-Healthe-Identity"} {
		b.service.says(text("toys", "Vary: "+vary))
		b.get(t, minute, ann, "/toys/"+vary[:1])
		require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys/"+vary[:1]), vary)
	}
}

func TestWhatIsNotKept(t *testing.T) { // CAT-5
	t.Parallel()

	for name, answer := range map[string]http.HandlerFunc{
		"no-store":              text("x", "Cache-Control: private, No-Store"),
		"a cookie":              text("x", "Set-Cookie: a=b"),
		"a stream":              text("data: x\n\n", "Content-Type: text/event-stream"),
		"coded, not said by":    text("x", "Content-Encoding: gzip"),
		"not found":             status(http.StatusNotFound, "problem"),
		"a mistake of ours":     status(http.StatusInternalServerError, "problem"),
		"no service":            status(http.StatusServiceUnavailable, "problem"),
		"a part":                status(http.StatusPartialContent, "x"),
		"another kind of yes":   status(http.StatusAccepted, "x"),
		"a yes without content": status(http.StatusNoContent, ""),
		"of no age at all":      text("x", "Cache-Control: max-age=0, stale-if-error=0"),
		"old when it came":      text("x", "Cache-Control: max-age=60, stale-if-error=0", "Age: 60"),
		"expired":               text("x", "Expires: 0", "Cache-Control: stale-if-error=0"),
		"long":                  text(strings.Repeat("x", maxBody+1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.service.says(answer)
			first := b.get(t, minute, ann, "/toys")
			require.NotContains(t, first.Header.Get("Cache-Status"), "stored")
			require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
			require.Equal(t, first.body, b.get(t, minute, ann, "/toys").body)
			require.Equal(t, 2, b.service.calls())
			require.Zero(t, b.Report().Entries)
		})
	}
	b := newBench(t)
	b.service.says(text("x", "Cache-Control: private"))
	b.get(t, public, ann, "/toys")
	require.Nil(t, b.serve(t, public, bob, http.MethodGet, "/toys"), "the service knows better than the contract")
	b.get(t, minute, ann, "/toys")
	require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
}

func TestWhatIsNoPlainReadPasses(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	b.get(t, minute, ann, "/toys")
	for _, field := range []string{"Range: bytes=0-1", `If-Match: "v1"`, `If-Range: "v1"`, "If-Unmodified-Since: x", "Upgrade: websocket"} {
		require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys", field))
		require.Empty(t, b.get(t, minute, ann, "/toys", field).Header.Get("Cache-Status"))
	}
	require.Nil(t, b.serve(t, minute, ann, http.MethodPost, "/toys"))
	require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys?a=%zz"))
	require.Equal(t, 6, b.service.calls())
	resp, err := b.RoundTrip(request(t, "/toys"), nil, ann, b.service)
	require.NoError(t, err)
	require.Empty(t, resp.Header.Get("Cache-Status"), "no policy, no cache")
}

func TestTheServiceShortensTheTime(t *testing.T) {
	t.Parallel()

	date := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		fields []string
		fresh  time.Duration
	}{
		"says nothing":            {nil, time.Minute},
		"less":                    {[]string{"Cache-Control: public, max-age=10"}, 10 * time.Second},
		"less, quoted, twice":     {[]string{`Cache-Control: Max-Age="20", x="a,max-age=1"`, "Cache-Control: max-age=10"}, 10 * time.Second},
		"more":                    {[]string{"Cache-Control: max-age=3600"}, time.Minute},
		"more than a number":      {[]string{"Cache-Control: max-age=99999999999999999999"}, time.Minute},
		"no number":               {[]string{"Cache-Control: max-age=soon"}, 0},
		"some of it is over":      {[]string{"Cache-Control: max-age=30", "Age: 20"}, 10 * time.Second},
		"expires":                 {[]string{"Date: " + date.Format(http.TimeFormat), "Expires: " + date.Add(5*time.Second).Format(http.TimeFormat)}, 5 * time.Second},
		"max-age before expires":  {[]string{"Cache-Control: max-age=10", "Expires: 0"}, 10 * time.Second},
		"no-cache":                {[]string{"Cache-Control: no-cache"}, 0},
		"no-cache for some of it": {[]string{`Cache-Control: no-cache="Set-Cookie"`}, 0},
		"others' caches only":     {[]string{"Cache-Control: s-maxage=1"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.service.says(text("toys", append(c.fields, "Etag: \"v1\"")...))
			b.get(t, minute, ann, "/toys")
			if c.fresh > 0 {
				b.time = b.time.Add(c.fresh - time.Millisecond)
				require.NotNil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
				b.time = b.time.Add(time.Millisecond)
			}
			require.Nil(t, b.serve(t, minute, ann, http.MethodGet, "/toys"))
		})
	}
	b := newBench(t)
	b.service.says(text("toys", "Cache-Control: max-age=30, s-maxage=0", "Etag: \"v1\""))
	b.get(t, public, ann, "/toys")
	require.Nil(t, b.serve(t, public, ann, http.MethodGet, "/toys"))
}

func TestTheClientSaysWhatItTakes(t *testing.T) {
	t.Parallel()

	for field, hit := range map[string]bool{
		"no-cache": false, "no-store": false, "max-age=0": false, "max-age=29": false, "min-fresh=31": false, "max-age=x": false,
		"max-age=30": true, "min-fresh=30": true, "only-if-cached": true, "max-stale": true,
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.get(t, minute, ann, "/toys")
			b.time = b.time.Add(30 * time.Second)
			require.Equal(t, hit, b.serve(t, minute, ann, http.MethodGet, "/toys", "Cache-Control: "+field) != nil)
			b.service.says(text("newer"))
			b.get(t, minute, ann, "/toys", "Cache-Control: "+field)
			require.Equal(t, hit, b.service.calls() == 1)
			next := b.get(t, minute, ann, "/toys").body
			require.Equal(t, hit || field == "no-store", next == "toys", "what was asked for anew is kept, unless it must not be")

			b.service.fails(errAway)
			b.time = b.time.Add(time.Hour)
			old, _ := b.try(t, minute, ann, "/toys", "Cache-Control: "+field)
			require.Equal(t, field == "max-stale", old.body == "toys", "and an old answer only if they take one")
		})
	}
	b := newBench(t)
	alone := b.serve(t, minute, ann, http.MethodGet, "/toys", "Cache-Control: only-if-cached")
	require.Equal(t, http.StatusGatewayTimeout, alone.StatusCode)
	require.Equal(t, "application/problem+json", alone.Header.Get("Content-Type"))
	again := b.get(t, minute, ann, "/toys", "Cache-Control: only-if-cached")
	require.Equal(t, http.StatusGatewayTimeout, again.StatusCode)
	require.Contains(t, again.body, "only-if-cached")
	require.Zero(t, b.service.calls())
}
