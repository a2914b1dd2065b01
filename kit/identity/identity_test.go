package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kittest/identitytest"
	"github.com/healthe/healthe/openapi/problem"
)

func TestVerify(t *testing.T) { // X-1, AUTH-11
	t.Parallel()

	issuer := identitytest.New(t)
	now := time.Now()
	ann := identity.Identity{Subject: "ann", Scopes: []string{"account:read"}, Roles: []string{"patient"}, Expires: now.Add(time.Minute).Truncate(time.Second)}

	got, err := issuer.Verifier.Verify(t.Context(), issuer.Token(t, ann), now)
	require.NoError(t, err)
	require.Equal(t, ann, got)

	acted := ann
	acted.Actor = "catalog"
	got, err = issuer.Verifier.Verify(t.Context(), issuer.Token(t, acted), now)
	require.NoError(t, err)
	require.Equal(t, acted, got, "who acts for somebody calls as they do")

	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	forger, err := identity.NewSigner("test", stranger)
	require.NoError(t, err)
	forged, err := forger.Sign(ann, now)
	require.NoError(t, err)
	good := issuer.Token(t, ann)
	parts := strings.Split(good, ".")
	foreign := func(header, claims string) string { // signed by nobody
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(header)) + "." + enc([]byte(claims)) + "."
	}
	long := ann
	long.Expires = now.Add(time.Hour)
	past := ann
	past.Expires = now.Add(-time.Minute)
	nobody := ann
	nobody.Subject = ""

	for name, token := range map[string]string{
		"forged":         forged,
		"unsigned":       parts[0] + "." + parts[1] + ".",
		"alg none":       foreign(`{"alg":"none"}`, `{"iss":"healthe","aud":"healthe","sub":"ann","exp":9999999999}`),
		"alg HS256":      foreign(`{"alg":"HS256","kid":"test"}`, `{"sub":"ann"}`) + "c2ln",
		"other claims":   parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob"}`)) + "." + parts[2],
		"empty":          "",
		"garbage":        "not a token",
		"expired":        issuer.Token(t, past),
		"lives too long": issuer.Token(t, long),
		"no subject":     issuer.Token(t, nobody),
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()

			_, err := issuer.Verifier.Verify(t.Context(), token, now)
			require.ErrorIs(t, err, problem.Unauthenticated(""))
		})
	}

	t.Run("a verified token ends when it expires", func(t *testing.T) {
		t.Parallel()

		_, err := issuer.Verifier.Verify(t.Context(), good, now)
		require.NoError(t, err)
		_, err = issuer.Verifier.Verify(t.Context(), good, now.Add(2*time.Minute))
		require.ErrorIs(t, err, problem.Unauthenticated(""))
	})
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()

	issuer := identitytest.New(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	got, err := issuer.Verifier.Authenticate(r)
	require.NoError(t, err)
	require.Zero(t, got)

	token := issuer.Token(t, identity.Identity{Subject: "ann"})
	r.Header[identity.Header] = []string{token, token}
	_, err = issuer.Verifier.Authenticate(r)
	require.ErrorIs(t, err, problem.Unauthenticated(""))
}

func TestVerifierWithoutKeys(t *testing.T) {
	t.Parallel()

	issuer := identitytest.New(t)
	away := identity.NewVerifier("http://127.0.0.1:1/jwks.json", http.DefaultClient)
	for range 2 { // the second finds the failure of the first
		_, err := away.Verify(t.Context(), issuer.Token(t, identity.Identity{Subject: "ann"}), time.Now())
		require.ErrorIs(t, err, problem.Unavailable(""))
	}
}

func TestKnownKeysDoNotWaitForUnknownOnes(t *testing.T) {
	t.Parallel()

	issuer := identitytest.New(t)
	var asked atomic.Int32
	waits, goOn := make(chan struct{}), make(chan struct{})
	slow := roundTripper(func(r *http.Request) (*http.Response, error) {
		if asked.Add(1) > 1 {
			close(waits)
			<-goOn
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	verifier := identity.NewVerifier(issuer.JWKSURL, &http.Client{Transport: slow})
	_, err := verifier.Verify(t.Context(), issuer.Token(t, identity.Identity{Subject: "ann"}), time.Now())
	require.NoError(t, err)

	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rotated, err := identity.NewSigner("rotated", key)
	require.NoError(t, err)
	now := time.Now().Add(2 * time.Second) // unknown keys may be asked for again
	unknown, err := rotated.Sign(identity.Identity{Subject: "ann", Expires: now.Add(30 * time.Second)}, now)
	require.NoError(t, err)
	refused := make(chan error, 1)
	go func() {
		_, err := verifier.Verify(t.Context(), unknown, now)
		refused <- err
	}()
	<-waits
	known := make(chan error, 1)
	go func() {
		_, err := verifier.Verify(t.Context(), issuer.Token(t, identity.Identity{Subject: "bob"}), time.Now())
		known <- err
	}()
	select {
	case err := <-known:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Error("a known key waited")
	}
	close(goOn)
	require.ErrorIs(t, <-refused, problem.Unauthenticated(""))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestServiceCredentials(t *testing.T) {
	t.Parallel()

	tokens, exchanges := 0, 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		tokens++
		id, secret, _ := r.BasicAuth()
		require.Equal(t, "appointment", id)
		require.Equal(t, "s3cret", secret)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":900}`, tokens)
	})
	mux.HandleFunc("GET /verify", func(w http.ResponseWriter, r *http.Request) {
		exchanges++
		if r.Header.Get("Authorization") == "Bearer t1" && exchanges > 1 {
			w.WriteHeader(http.StatusUnauthorized) // revoked meanwhile
			return
		}
		w.Header().Set(identity.Header, "signed")
	})
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get(identity.Header)) })
	srv := httptest.NewServer(mux)
	defer srv.Close()

	client := &http.Client{Transport: identity.ServiceCredentials{
		TokenURL: srv.URL + "/token", ExchangeURL: srv.URL + "/verify", ClientID: "appointment", ClientSecret: "s3cret",
	}.Transport(http.DefaultTransport)}
	for range 3 {
		resp, err := client.Get(srv.URL + "/whoami")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, 1, tokens, "the token is kept")
	require.Equal(t, 1, exchanges, "the identity is kept")
}

func TestServiceIdentityEndsWithItsToken(t *testing.T) {
	t.Parallel()

	exchanges := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t","token_type":"bearer","expires_in":1}`)
	})
	mux.HandleFunc("GET /verify", func(w http.ResponseWriter, _ *http.Request) {
		exchanges++
		w.Header().Set(identity.Header, "signed")
	})
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	credentials := identity.ServiceCredentials{TokenURL: srv.URL + "/token", ExchangeURL: srv.URL + "/verify"}
	client := &http.Client{Transport: credentials.Transport(http.DefaultTransport)}
	require.Eventually(t, func() bool {
		resp, err := client.Get(srv.URL)
		return err == nil && resp.Body.Close() == nil && exchanges > 1
	}, 5*time.Second, 50*time.Millisecond)
}
