package catalog

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	clinics = "/appointment/v1/clinics" // open to everyone
	me      = "/auth/v1/me"
)

// Every public operation of every core service is here, and no other. CAT-12: nothing is left out.
func TestEveryPublicOperationIsServed(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	for _, service := range coreServices {
		b.core.does(service, says(http.StatusOK, `{}`))
		doc, err := contract.Load(service)
		require.NoError(t, err)
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				path := path
				for _, ref := range append(item.Parameters, op.Parameters...) {
					if ref.Value.In == "path" {
						path = strings.ReplaceAll(path, "{"+ref.Value.Name+"}", uuid.NewString())
					}
				}
				got := b.do(request{method: method, path: path})
				if internal, _ := op.Extensions["x-healthe-internal"].(bool); internal {
					require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, got.StatusCode, op.OperationID)
					continue
				}
				require.NotContains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, got.StatusCode, op.OperationID)
			}
		}
	}
	require.NotEmpty(t, b.core.requests())
	for _, path := range []string{"/", "/forum/v1/posts", "/auth/internal/verify", "/metrics", "/appointment"} {
		require.Equal(t, http.StatusNotFound, b.get(path).StatusCode, path)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()

	t.Run("passes request and answer on as they are", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v3"`)
			w.Header().Set("Link", `<x>; rel="next"`)
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("X-Request-Id", "another-request")
			w.Header().Set("Idempotency-Replayed", "true")
			w.Header().Set("Keep-Alive", "timeout=5")
			says(http.StatusCreated, `{"id": "x"}`)(w, nil)
		})
		got := b.do(request{method: http.MethodGet, path: clinics + "?limit=7", scopes: []string{"account:read"}, header: http.Header{
			"X-Request-Id": {"my-request-1"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			"If-Match": {`"v2"`}, "X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"},
			"Connection": {"X-Secret, Upgrade"}, "X-Secret": {"hop"}, "Te": {"gzip"}, "Upgrade": {"websocket"},
		}})
		require.Equal(t, http.StatusCreated, got.StatusCode)
		require.Equal(t, `{"id": "x"}`, got.text)
		require.Equal(t, `"v3"`, got.Header.Get("ETag"))
		require.Equal(t, []string{"a=1", "b=2"}, got.Header["Set-Cookie"])
		require.Equal(t, []string{"my-request-1"}, got.Header["X-Request-Id"])
		require.Equal(t, "true", got.Header.Get("Idempotency-Replayed"))
		require.Empty(t, got.Header.Get("Keep-Alive"), "hop by hop")

		sent := b.core.requests()[0]
		require.Equal(t, "limit=7", sent.URL.RawQuery)
		require.Equal(t, "my-request-1", sent.Header.Get("X-Request-Id"))
		require.Contains(t, sent.Header.Get("Traceparent"), "0af7651916cd43dd8448eb211c80319c")
		require.NotEmpty(t, sent.Header.Get(identity.Header))
		require.Equal(t, `"v2"`, sent.Header.Get("If-Match"))
		require.Equal(t, []string{"203.0.113.7"}, sent.Header["X-Forwarded-For"])
		for _, name := range []string{"X-Secret", "Upgrade", "Connection", "Te"} {
			require.Empty(t, sent.Header.Get(name), "hop by hop")
		}
	})

	t.Run("hands no credentials to a service that needs none", func(t *testing.T) { // CAT-3
		t.Parallel()

		b := newBench(t)
		credentials := http.Header{"Authorization": {"Bearer secret"}, "Cookie": {"ory_kratos_session=secret"}}
		for _, service := range coreServices {
			b.core.does(service, says(http.StatusOK, `{}`))
		}
		b.do(request{method: http.MethodGet, path: clinics, header: credentials})
		b.do(request{method: http.MethodGet, path: me, header: credentials, scopes: []string{"account:read"}})
		seen := b.core.requests()
		require.Len(t, seen, 2)
		require.Empty(t, seen[0].Header.Get("Authorization")+seen[0].Header.Get("Cookie"))
		require.Equal(t, "Bearer secret", seen[1].Header.Get("Authorization"), "auth ends sessions")
	})

	t.Run("keeps to itself how the body came", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("mailing", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			says(http.StatusAccepted, `{}`)(w, r)
		})
		body := strings.NewReader(`{"subject": "a", "text": "b", "recipients": [{"address": "ada@example.org"}]}`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/mailing/v1/messages", struct{ io.Reader }{body})
		require.NoError(t, err)
		req.Header = http.Header{"Content-Type": {"application/json"}, "Expect": {"100-continue"}, "X-Request-Id": {"my-request-1"}}
		req.Trailer = http.Header{identity.Header: {"forged"}}
		require.NoError(t, b.issuer.As(t, "ada", "mail:send")(t.Context(), req))
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		require.Equal(t, "my-request-1", resp.Header.Get("X-Request-Id"))
		sent := b.core.requests()[0]
		require.Empty(t, sent.Header.Get("Expect"))
		require.Empty(t, sent.Trailer)
	})

	t.Run("hands a service's problem on untouched", func(t *testing.T) { // CAT-1, CAT-13
		t.Parallel()

		b := newBench(t)
		taken := problem.Conflict("slot-taken", "This slot is already booked.")
		b.core.does("appointment", refuses(taken))
		got := b.get(clinics)
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, taken.Type, got.problem(t).Type)
		b.core.does("appointment", refuses(problem.Unavailable("The database")))
		got = b.get(clinics)
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Contains(t, got.text, "The database is not available")
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	})

	t.Run("refuses what breaks a contract before the service sees it", func(t *testing.T) { // CAT-10
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", says(http.StatusOK, `{}`))
		b.core.does("mailing", says(http.StatusOK, `{}`))
		tests := map[string]struct {
			request
			status int
		}{
			"an unknown parameter":   {request{method: http.MethodGet, path: clinics + "?x=1"}, http.StatusBadRequest},
			"a bad identifier":       {request{method: http.MethodGet, path: clinics + "/me"}, http.StatusBadRequest},
			"a number out of range":  {request{method: http.MethodGet, path: clinics + "?limit=1000"}, http.StatusBadRequest},
			"nobody":                 {request{method: http.MethodGet, path: "/mailing/v1/messages"}, http.StatusUnauthorized},
			"an identity of no one":  {request{method: http.MethodGet, path: "/mailing/v1/messages", header: http.Header{identity.Header: {"a.b.c"}}}, http.StatusUnauthorized},
			"a scope that is not":    {request{method: http.MethodGet, path: "/mailing/v1/messages", scopes: []string{"account:read"}}, http.StatusForbidden},
			"a body that is no JSON": {request{method: http.MethodPost, path: "/mailing/v1/messages", body: "x", scopes: []string{"mail:send"}}, http.StatusBadRequest},
			"an unknown property":    {request{method: http.MethodPost, path: "/mailing/v1/messages", body: `{"x": 1}`, scopes: []string{"mail:send"}}, http.StatusBadRequest},
			"a wrong media type":     {request{method: http.MethodPost, path: "/mailing/v1/messages", body: "x", scopes: []string{"mail:send"}, header: http.Header{"Content-Type": {"text/plain"}}}, http.StatusUnsupportedMediaType},
			"a body beyond measure":  {request{method: http.MethodPost, path: "/mailing/v1/messages", body: strings.Repeat(" ", 5<<20), scopes: []string{"mail:send"}}, http.StatusRequestEntityTooLarge},
			"a method that is not":   {request{method: http.MethodTrace, path: clinics}, http.StatusMethodNotAllowed},
			"an operation of Kratos": {request{method: http.MethodPost, path: "/mailing/v1/courier", body: `{}`}, http.StatusNotFound},
		}
		for name, tt := range tests {
			got := b.do(tt.request)
			require.Equal(t, tt.status, got.StatusCode, name)
			require.Equal(t, tt.status, got.problem(t).Status, name)
		}
		require.Empty(t, b.core.requests())
	})
}

// CAT-10: no way of writing a path or framing a request reaches a service in a form that its contract does not name.
func TestOddRequests(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	for _, service := range coreServices {
		b.core.does(service, says(http.StatusOK, `{}`))
	}
	host := strings.TrimPrefix(b.url, "http://")
	for _, raw := range []string{
		"GET /appointment/v1/../../auth/internal/verify HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /appointment/v1/clinics/..%2f..%2f..%2fauth%2finternal%2fverify HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /appointment/v1/clinics/%2e%2e/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //appointment/v1/clinics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /appointment/v1/clinics/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /Appointment/v1/clinics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://elsewhere/auth/internal/verify HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"FROB /appointment/v1/clinics HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /appointment/v1/clinics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /appointment/v1/clinics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
		"GET /appointment/v1/clinics HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", host)
		require.NoError(t, err)
		_, _ = fmt.Fprint(conn, raw) // the server may hang up in the middle of it
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			require.GreaterOrEqual(t, resp.StatusCode, 400, raw[:min(len(raw), 80)])
			_ = resp.Body.Close()
		}
		_ = conn.Close()
	}
	require.Empty(t, b.core.requests())
}
