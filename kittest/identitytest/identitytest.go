// Package identitytest signs identities in tests, as auth does in production.
package identitytest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/healthe/healthe/kit/identity"
)

// Issuer publishes a key of its own and signs with it.
type Issuer struct {
	Verifier *identity.Verifier
	Signer   identity.Signer
	JWKSURL  string
}

// New returns an issuer for one test.
func New(t testing.TB) *Issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "test", Algorithm: string(jose.EdDSA), Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) }))
	t.Cleanup(srv.Close)
	signer, err := identity.NewSigner("test", private)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{Verifier: identity.NewVerifier(srv.URL, srv.Client()), Signer: signer, JWKSURL: srv.URL}
}

// Token returns who, signed, for the next half minute.
func (i *Issuer) Token(t testing.TB, who identity.Identity) string {
	t.Helper()
	if who.Expires.IsZero() {
		who.Expires = time.Now().Add(30 * time.Second)
	}
	token, err := i.Signer.Sign(who, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// As returns an editor for generated clients: their requests come from subject with scopes.
func (i *Issuer) As(t testing.TB, subject string, scopes ...string) func(context.Context, *http.Request) error {
	t.Helper()
	token := i.Token(t, identity.Identity{Subject: subject, Scopes: scopes})
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(identity.Header, token)
		return nil
	}
}
