package contract_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/openapi"
	"github.com/healthe/healthe/openapi/problem"
)

const document = `
openapi: 3.0.3
info: { title: Toys, version: 1.0.0 }
components:
  securitySchemes:
    healthe: { type: http, scheme: bearer }
paths:
  /toys/v1/toys:
    get:
      operationId: listToys
      security: []
      parameters: [{ name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }]
      responses: { "200": { description: ok } }
    post:
      operationId: createToy
      security: [{ healthe: ["toys:write"] }]
      x-healthe-body-limit: 200
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              additionalProperties: false
              required: [name]
              properties:
                name: { type: string, minLength: 1, maxLength: 20 }
                born: { type: string, format: date }
                made: { type: string, format: date-time }
                parts: { type: array, items: { type: object, properties: { id: { type: string, format: uuid } } } }
      responses: { "201": { description: ok } }
  /toys/v1/toys/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: string, format: uuid } }]
    get:
      operationId: getToy
      security: [{}, { healthe: [] }]
      responses: { "200": { description: ok } }
`

func newToys(t *testing.T) (*httptest.Server, *identitytest.Issuer) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(document))
	require.NoError(t, err)
	issuer := identitytest.New(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, _ := contract.Current(r.Context())
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{"operation": op.ID, "caller": identity.Caller(r.Context()).Subject, "body": string(body)})
	})
	h, err := contract.HandlerOf(doc, contract.Schemes{"healthe": issuer.Verifier.Authenticate}, echo)
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv, issuer
}

func TestHandler(t *testing.T) {
	t.Parallel()

	srv, issuer := newToys(t)
	writer := issuer.Token(t, identity.Identity{Subject: "ann", Scopes: []string{"toys:write"}})
	reader := issuer.Token(t, identity.Identity{Subject: "ann", Scopes: []string{"toys:read"}})
	const toys, json, text = "/toys/v1/toys", "application/json", "text/plain"
	type request struct{ method, path, token, mediaType, body string }

	for name, tt := range map[string]struct {
		request
		status  int
		pointer string // of the only error, where there is one
	}{
		"takes a good body":                {request{"POST", toys, writer, json + "; charset=utf-8", `{"name":"bear"}`}, 200, ""},
		"takes a good query":               {request{"GET", toys + "?limit=5", "", "", ""}, 200, ""},
		"takes an escaped backslash":       {request{"POST", toys, writer, json, `{"name":"\\u0000"}`}, 200, ""},
		"knows the path":                   {request{"GET", "/toys/v1/games", "", "", ""}, 404, ""},
		"knows the method":                 {request{"DELETE", toys, "", "", ""}, 405, ""},
		"does not clean paths":             {request{"GET", "/toys/v1/../v1/toys", "", "", ""}, 404, ""},
		"wants an identity":                {request{"POST", toys, "", json, `{"name":"bear"}`}, 401, ""},
		"wants a true identity":            {request{"GET", toys + "/0190b8a2-0000-7000-8000-000000000000", "x.y.z", "", ""}, 401, ""},
		"wants the scope":                  {request{"POST", toys, reader, json, `{"name":"bear"}`}, 403, ""},
		"refuses an unknown property":      {request{"POST", toys, writer, json, `{"name":"bear","id":1}`}, 400, "/id"},
		"refuses a wrong type":             {request{"POST", toys, writer, json, `{"name":7}`}, 400, "/name"},
		"refuses a missing property":       {request{"POST", toys, writer, json, `{}`}, 400, "/name"},
		"refuses a value out of range":     {request{"POST", toys, writer, json, `{"name":""}`}, 400, "/name"},
		"points into arrays":               {request{"POST", toys, writer, json, `{"name":"a","parts":[{"id":"x"}]}`}, 400, "/parts/0/id"},
		"refuses a day that is none":       {request{"POST", toys, writer, json, `{"name":"a","born":"2023-02-29"}`}, 400, "/born"},
		"refuses a time that is none":      {request{"POST", toys, writer, json, `{"name":"a","made":"2023-02-28T25:00:00Z"}`}, 400, "/made"},
		"refuses the year zero":            {request{"POST", toys, writer, json, `{"name":"a","made":"0000-01-01T00:00:00Z"}`}, 400, "/made"},
		"refuses malformed JSON":           {request{"POST", toys, writer, json, `{"name":`}, 400, ""},
		"refuses text after the JSON":      {request{"POST", toys, writer, json, `{"name":"a"} x`}, 400, ""},
		"refuses NUL":                      {request{"POST", toys, writer, json, `{"name":"a","parts":[{"id":"\u0000"}]}`}, 400, "/parts/0/id"},
		"refuses NUL in a name":            {request{"POST", toys, writer, json, `{"name":"a","\u0000":1}`}, 400, "/\x00"},
		"refuses a name that comes twice":  {request{"POST", toys, writer, json, `{"name":"a","parts":[{"id":"x"}],"parts":[{}]}`}, 400, "/parts"},
		"refuses no body":                  {request{"POST", toys, writer, json, ""}, 400, ""},
		"refuses another content type":     {request{"POST", toys, writer, text, `{"name":"a"}`}, 415, ""},
		"refuses an oversized body":        {request{"POST", toys, writer, json, `{"name":"` + strings.Repeat("a", 300) + `"}`}, 413, ""},
		"refuses a body on a GET":          {request{"GET", toys, "", json, `{}`}, 400, ""},
		"refuses a bad identifier":         {request{"GET", toys + "/7", "", "", ""}, 400, "/path/id"},
		"refuses an unknown parameter":     {request{"GET", toys + "?limt=5", "", "", ""}, 400, "/query/limt"},
		"refuses a bad parameter":          {request{"GET", toys + "?limit=many", "", "", ""}, 400, "/query/limit"},
		"refuses a parameter twice":        {request{"GET", toys + "?limit=5&limit=500", "", "", ""}, 400, "/query/limit"},
		"refuses a parameter too high":     {request{"GET", toys + "?limit=101", "", "", ""}, 400, "/query/limit"},
		"refuses a query that is none":     {request{"GET", toys + "?limit=%zz", "", "", ""}, 400, "/query"},
		"refuses NUL in the query":         {request{"GET", toys + "?limit=%00", "", "", ""}, 400, "/query/limit"},
		"refuses a query that is no UTF-8": {request{"GET", toys + "?limit=%ff", "", "", ""}, 400, "/query/limit"},
		"lets anyone call what is open":    {request{"GET", toys + "/0190b8a2-0000-7000-8000-000000000000", "", "", ""}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL, strings.NewReader(tt.body))
			require.NoError(t, err)
			path, query, _ := strings.Cut(tt.path, "?")
			r.URL.Path, r.URL.RawQuery = path, query
			if tt.token != "" {
				r.Header.Set(identity.Header, tt.token)
			}
			if tt.mediaType != "" {
				r.Header.Set("Content-Type", tt.mediaType)
			}
			resp, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, tt.status, resp.StatusCode, string(body))
			if tt.status == http.StatusOK {
				return
			}
			require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
			var p problem.Problem
			require.NoError(t, jsonUnmarshal(body, &p))
			if tt.pointer != "" {
				require.Len(t, p.Errors, 1)
				require.Equal(t, tt.pointer, p.Errors[0].Pointer)
			}
		})
	}
}

func TestHandlerHandsOn(t *testing.T) {
	t.Parallel()

	srv, issuer := newToys(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/toys/v1/toys", strings.NewReader(`{"name":"bear"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	require.NoError(t, issuer.As(t, "ann", "toys:write")(t.Context(), r))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var got map[string]string
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
	require.Equal(t, map[string]string{"operation": "createToy", "caller": "ann", "body": `{"name":"bear"}`}, got)
}

func TestRefuse(t *testing.T) {
	t.Parallel()

	t.Run("points at what only the decoder finds wrong", func(t *testing.T) {
		t.Parallel()

		var toy struct {
			Size struct {
				HeightMM int `json:"height_mm"`
			} `json:"size"`
		}
		rec := httptest.NewRecorder()
		err := json.Unmarshal([]byte(`{"size":{"height_mm":30.0}}`), &toy)
		contract.Refuse(rec, httptest.NewRequest(http.MethodPost, "/", nil), fmt.Errorf("can't decode JSON body: %w", err))
		require.Equal(t, 400, rec.Code)
		require.Contains(t, rec.Body.String(), `"/size/height_mm"`)
	})

	t.Run("says no more than a body can say", func(t *testing.T) {
		t.Parallel()

		all := make(openapi3.MultiError, 10_000)
		for i := range all {
			all[i] = &openapi3.SchemaError{Reason: "wrong"}
		}
		rec := httptest.NewRecorder()
		contract.Refuse(rec, httptest.NewRequest(http.MethodPost, "/", nil), all)
		require.Less(t, rec.Body.Len(), 10_000)
	})

	t.Run("does not repeat a value", func(t *testing.T) {
		t.Parallel()

		schema := openapi3.NewStringSchema().WithFormat("date")
		rec := httptest.NewRecorder()
		contract.Refuse(rec, httptest.NewRequest(http.MethodPost, "/", nil), schema.VisitJSON("1990-13-45"))
		require.Equal(t, 400, rec.Code)
		require.NotContains(t, rec.Body.String(), "1990")
	})
}

func TestAnEmptyBodyInChunksIsNone(t *testing.T) {
	t.Parallel()

	srv, _ := newToys(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/toys/v1/toys", struct{ io.Reader }{strings.NewReader("")})
	require.NoError(t, err)
	r.TransferEncoding = []string{"chunked"}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
}

func TestHandlerWantsSecurity(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]*strings.Replacer{
		"stated":  strings.NewReplacer("      security: []\n", ""),
		"checked": strings.NewReplacer("healthe:", "other:"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc, err := openapi3.NewLoader().LoadFromData([]byte(change.Replace(document)))
			require.NoError(t, err)
			_, err = contract.HandlerOf(doc, contract.Schemes{"healthe": nil}, http.NotFoundHandler())
			require.Error(t, err)
		})
	}
}

func TestEveryContractLoads(t *testing.T) {
	t.Parallel()

	names, err := fs.Glob(openapi.Files, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		if name == "codegen.yaml" { // the generator's settings lie beside them
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := contract.Load(strings.TrimSuffix(name, ".yaml"))
			require.NoError(t, err)
		})
	}
}

var jsonUnmarshal = json.Unmarshal // the table has a constant called json
