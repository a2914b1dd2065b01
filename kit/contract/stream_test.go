package contract_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
)

const pictures = `
openapi: 3.0.3
info: { title: Pictures, version: 1.0.0 }
paths:
  /pictures/v1/pictures:
    post:
      operationId: addPicture
      security: []
      x-healthe-body-limit: 10
      requestBody: { required: true, content: { image/png: { schema: { type: string, format: binary } } } }
      responses: { "200": { description: ok } }
`

func TestBodiesThatAreNoJSONStream(t *testing.T) {
	t.Parallel()

	first := make(chan string)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(pictures))
	require.NoError(t, err)
	h, err := contract.HandlerOf(doc, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, part)
		if string(part) == "first" {
			first <- string(part)
		}
		if rest, err := io.ReadAll(r.Body); err != nil {
			contract.Fail(w, r, err)
		} else {
			_, _ = w.Write(append(part, rest...))
		}
	}))
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	send := func(t *testing.T, mediaType string, body io.Reader) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/pictures/v1/pictures", body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}

	t.Run("the handler has the beginning before the end is sent", func(t *testing.T) {
		t.Parallel()

		body, client := io.Pipe()
		go func() {
			_, _ = io.WriteString(client, "first")
			_, _ = io.WriteString(client, <-first)
			_ = client.Close()
		}()
		status, text := send(t, "image/png", body)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "firstfirst", text)
	})
	t.Run("the limit holds for what says its length", func(t *testing.T) {
		t.Parallel()

		status, _ := send(t, "image/png", strings.NewReader(strings.Repeat("a", 11)))
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
	})
	t.Run("the limit holds for what does not", func(t *testing.T) {
		t.Parallel()

		status, text := send(t, "image/png", struct{ io.Reader }{strings.NewReader(strings.Repeat("a", 11))})
		require.Equal(t, http.StatusRequestEntityTooLarge, status)
		require.Contains(t, text, "at most 10 bytes")
	})
	t.Run("the media type must be one of the operation's", func(t *testing.T) {
		t.Parallel()

		status, _ := send(t, "image/gif", strings.NewReader("a"))
		require.Equal(t, http.StatusUnsupportedMediaType, status)
	})
	t.Run("a required body must come", func(t *testing.T) {
		t.Parallel()

		status, _ := send(t, "image/png", http.NoBody)
		require.Equal(t, http.StatusBadRequest, status)
	})
}
