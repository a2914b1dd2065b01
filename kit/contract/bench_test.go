package contract_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kittest/identitytest"
)

// BenchmarkHandler measures what a small POST pays for identity and contract together.
func BenchmarkHandler(b *testing.B) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(document))
	require.NoError(b, err)
	issuer := identitytest.New(b)
	h, err := contract.HandlerOf(doc, contract.Schemes{"healthe": issuer.Verifier.Authenticate},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	require.NoError(b, err)
	token := issuer.Token(b, identity.Identity{Subject: "ann", Scopes: []string{"toys:write"}})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/toys/v1/toys", strings.NewReader(`{"name":"bear","born":"2024-02-29"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(identity.Header, token)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
