package forum

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/problem"
)

func typeOf(err error) string { p, _ := errors.AsType[*problem.Problem](err); return p.Type }
func statusOf(err error) int  { p, _ := errors.AsType[*problem.Problem](err); return p.Status }

var pathParameter = regexp.MustCompile(`\{[^}]+\}`)

// everyOperation calls f with each operation of the contract as a subtest.
func everyOperation(t *testing.T, f func(t *testing.T, method, path string, op *openapi3.Operation)) {
	t.Helper()
	doc, err := contract.Load("forum")
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()

				f(t, method, path, op)
			})
		}
	}
}

func (b *bench) raw(t *testing.T, method, path, body string, who ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if who != nil {
		require.NoError(t, b.issuer.As(t, uuid.NewString(), who...)(t.Context(), req))
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var buf bytes.Buffer
	_, err = buf.ReadFrom(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, buf.Bytes()
}

func scopesOf(op *openapi3.Operation) []string {
	return (*op.Security)[0]["healthe"]
}

func TestEveryOperation(t *testing.T) {
	t.Parallel()

	t.Run("asks who calls", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		everyOperation(t, func(t *testing.T, method, path string, op *openapi3.Operation) {
			path = pathParameter.ReplaceAllString(path, uuid.NewString())
			status, _ := b.raw(t, method, path, "")
			require.Equal(t, http.StatusUnauthorized, status)
			status, _ = b.raw(t, method, path, "", "other:scope")
			require.Equal(t, http.StatusForbidden, status)
		})
	})

	t.Run("names what is wrong with a request", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		everyOperation(t, func(t *testing.T, method, path string, op *openapi3.Operation) {
			who := append([]string{"x"}, scopesOf(op)...)
			good := pathParameter.ReplaceAllString(path, uuid.NewString())
			status, body := b.raw(t, method, good+"?no_such=1", "", who...)
			require.Equal(t, http.StatusBadRequest, status, string(body))
			require.Contains(t, string(body), "/query/no_such")
			if bad := pathParameter.ReplaceAllString(path, "7"); bad != path {
				status, body = b.raw(t, method, bad, "", who...)
				require.Equal(t, http.StatusBadRequest, status, string(body))
				require.Contains(t, string(body), "/path/")
			}
			if op.RequestBody == nil {
				return
			}
			for _, wrong := range []string{`{"no_such": 1}`, `[]`, `{`, `"x"`, `{"value": 7, "title": [], "reason": null}`} {
				status, body = b.raw(t, method, good, wrong, who...)
				require.Equal(t, http.StatusBadRequest, status, wrong+string(body))
			}
		})
	})

	t.Run("does not know what is not there", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		everyOperation(t, func(t *testing.T, method, path string, op *openapi3.Operation) {
			if op.Responses.Value("404") == nil {
				return // it names nothing
			}
			body := ""
			if op.RequestBody != nil {
				for _, media := range op.RequestBody.Value.Content {
					body = strings.ReplaceAll(string(jsonOf(t, media.Example)), "2026-05-08T08:00:00Z", time.Now().Add(day).UTC().Format(time.RFC3339))
				}
			}
			status, got := b.raw(t, method, pathParameter.ReplaceAllString(path, uuid.NewString()), body, append([]string{"x"}, scopesOf(op)...)...)
			require.Equal(t, http.StatusNotFound, status, string(got))
		})
	})
}
