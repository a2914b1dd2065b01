package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/identity"
)

const me = "/auth/v1/me"

// authKey opens the key that auth signs with at the moment: only with it can a test make what is signed well and wrong all the same.
func (p *platform) authKey(t *testing.T) (kid string, key ed25519.PrivateKey) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), p.DatabaseURL("auth"))
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	var sealed []byte
	require.NoError(t, db.QueryRow(t.Context(),
		"SELECT id::text, sealed_key FROM signing_keys WHERE signs_from <= now() ORDER BY generation DESC LIMIT 1").Scan(&kid, &sealed))
	secret, err := hkdf.Key(sha256.New, []byte(p.Secrets["KEY_ENCRYPTION_SECRET"]), nil, "healthe auth seal", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(secret)
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	seed, err := aead.Open(nil, nil, sealed, []byte("signing key"))
	require.NoError(t, err)
	return kid, ed25519.NewKeyFromSeed(seed)
}

// signed states claims with a key.
func signed(t *testing.T, alg jose.SignatureAlgorithm, kid string, key any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	require.NoError(t, err)
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := s.Sign(text)
	require.NoError(t, err)
	compact, err := jws.CompactSerialize()
	require.NoError(t, err)
	return compact
}

// rightful is the identity that auth states for a caller.
func (c *caller) rightful(t *testing.T) string {
	t.Helper()
	got := c.at(c.p.InternalURL()).get(t, "/auth/internal/verify").wants(t, http.StatusOK)
	text := got.Header.Get(identity.Header)
	require.NotEmpty(t, text)
	return text
}

// forgeries are identities that claim to be an admin, by what is wrong with them.
func (p *platform) forgeries(t *testing.T, admin *caller) map[string]string {
	t.Helper()
	good := strings.Split(admin.rightful(t), ".")
	kid, key := p.authKey(t)
	_, strange, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	claims := func(change map[string]any) map[string]any {
		text, err := base64.RawURLEncoding.DecodeString(good[1])
		require.NoError(t, err)
		var all map[string]any
		require.NoError(t, json.Unmarshal(text, &all))
		for name, value := range change {
			all[name] = value
			if value == nil {
				delete(all, name)
			}
		}
		return all
	}
	encode := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	none := encode(map[string]string{"alg": "none", "typ": "JWT", "kid": kid})
	rightly := func(change map[string]any) string { return signed(t, jose.EdDSA, kid, key, claims(change)) }
	return map[string]string{
		"expired":                        rightly(map[string]any{"iat": now - 70, "exp": now - 10}),
		"for another audience":           rightly(map[string]any{"aud": "somebody-else"}),
		"for no audience":                rightly(map[string]any{"aud": nil}),
		"of another issuer":              rightly(map[string]any{"iss": p.PublicURL()}),
		"without an end":                 rightly(map[string]any{"exp": nil}),
		"that lives too long":            rightly(map[string]any{"exp": now + 3600}),
		"of the future":                  rightly(map[string]any{"iat": now + 30, "nbf": now + 30, "exp": now + 60}),
		"of nobody":                      rightly(map[string]any{"sub": ""}),
		"signed with another key":        signed(t, jose.EdDSA, kid, strange, claims(nil)),
		"signed with an unknown key":     signed(t, jose.EdDSA, "00000000-0000-7000-8000-000000000000", strange, claims(nil)),
		"signed with the public key":     signed(t, jose.HS256, kid, []byte(key.Public().(ed25519.PublicKey)), claims(nil)),
		"changed after it was signed":    good[0] + "." + encode(claims(map[string]any{"sub": "00000000-0000-4000-8000-000000000000"})) + "." + good[2],
		"with its signature cut off":     good[0] + "." + good[1] + ".",
		"with alg none":                  none + "." + good[1] + ".",
		"with alg none and a signature":  none + "." + good[1] + "." + good[2],
		"without dots":                   "admin",
		"that is a session token itself": admin.token,
	}
}

// ZUUL-1, ZUUL-7: nobody trusts the network, and nothing but auth's key makes an identity.
func TestForgedIdentitiesAreRefusedByEveryService(t *testing.T) {
	t.Parallel()

	p := shared(t)
	admin := p.person(t, "admin")
	paths := map[string]string{
		"auth": me, "appointment": "/appointment/v1/me/calendar-feed", "forum": "/forum/v1/me", "mailing": "/mailing/v1/messages", "catalog": "/catalog/v1/me/overview",
	}
	forgeries := p.forgeries(t, admin)
	for _, service := range p.Services() {
		instances, err := p.Instances(t.Context(), service)
		require.NoError(t, err)
		require.NotEmpty(t, instances)
		require.Contains(t, paths, service, "add a path of the new service")
		for _, base := range append(instances, p.InternalURL()) {
			direct := p.visitor().at(base)
			got := direct.get(t, paths[service], header(identity.Header, admin.rightful(t)))
			require.Less(t, got.StatusCode, 500, "%s", got)
			require.NotEqual(t, http.StatusUnauthorized, got.StatusCode, "auth's own identity must pass, or this test tests nothing: %s", got)
			for what, forged := range forgeries {
				t.Run(service+" refuses one "+what, func(t *testing.T) {
					direct.get(t, paths[service], header(identity.Header, forged)).refused(t, http.StatusUnauthorized)
				})
			}
		}
	}
}

// ZUUL-1, X-5: straight to an instance without an identity, past Traefik and catalog, nothing is done for nobody.
func TestNoOperationIsDoneForNobodyOnAServicesOwnPort(t *testing.T) {
	t.Parallel()

	p := shared(t)
	nobody := p.visitor()
	for _, o := range operations(t) {
		if !o.secured {
			continue
		}
		instances, err := p.Instances(t.Context(), o.service)
		require.NoError(t, err)
		require.NotEmpty(t, instances, o.service)
		for _, base := range instances {
			nobody.at(base).do(t, o.method, o.url(), o.example()).refused(t, http.StatusUnauthorized)
		}
	}
}

// ZUUL-1, ZUUL-7: what a client says of itself in X-Healthe-Identity arrives nowhere, even if auth has signed it.
func TestAnIdentityThatAClientSendsNeverArrives(t *testing.T) {
	t.Parallel()

	p := shared(t)
	admin := p.person(t, "admin", "doctor")
	smuggled := admin.rightful(t)
	ways := map[string]edit{
		"as it is":      header("X-Healthe-Identity", smuggled),
		"in lower case": func(r *http.Request) { r.Header["x-healthe-identity"] = []string{smuggled} },
		"twice":         func(r *http.Request) { r.Header["X-Healthe-Identity"] = []string{smuggled, smuggled} },
		"named by Connection": func(r *http.Request) {
			r.Header.Set("X-Healthe-Identity", smuggled)
			r.Header.Set("Connection", "X-Healthe-Identity")
		},
		"with underscores": header("X_Healthe_Identity", smuggled),
	}

	t.Run("on the routes of operations", func(t *testing.T) {
		t.Parallel()
		for _, o := range operations(t) {
			nobody := p.visitor()
			want := nobody.do(t, o.method, o.url(), o.example())
			for way, smuggle := range ways {
				got := nobody.do(t, o.method, o.url(), o.example(), smuggle)
				if o.secured && !o.internal {
					got.refused(t, http.StatusUnauthorized)
				}
				if want.StatusCode != http.StatusTooManyRequests && got.StatusCode != http.StatusTooManyRequests {
					require.Equal(t, want.StatusCode, got.StatusCode, "%s %s: %s", o.id, way, got)
				}
				require.Empty(t, got.Header.Get(identity.Header), o.id)
			}
			if o.internal {
				want.refused(t, http.StatusNotFound, http.StatusMethodNotAllowed)
			}
		}
	})

	t.Run("on the routes of pages and of OAuth2", func(t *testing.T) {
		t.Parallel()
		nobody := p.visitor()
		for _, path := range []string{
			"/login", "/registration", "/verification", "/recovery", "/settings", "/consent", "/logout", "/error", "/static/auth.css",
			"/oauth2/auth", "/userinfo", "/.well-known/openid-configuration",
		} {
			want := nobody.get(t, path)
			for way, smuggle := range ways {
				got := nobody.get(t, path, smuggle)
				require.Equal(t, want.StatusCode, got.StatusCode, "%s %s", way, got)
				require.Equal(t, place(t, want), place(t, got), "%s %s", way, path)
				require.NotContains(t, string(got.body), admin.username)
				require.Empty(t, got.Header.Get(identity.Header))
			}
		}
	})

	t.Run("beside the credentials of somebody else", func(t *testing.T) {
		t.Parallel()
		patient := p.person(t)
		for way, smuggle := range ways {
			got := patient.get(t, me, smuggle)
			if got.StatusCode == http.StatusUnauthorized { // Connection made a proxy drop it: less than before, never more
				continue
			}
			require.Equal(t, patient.id, got.wants(t, http.StatusOK).id(t), way)
			patient.get(t, "/auth/v1/role-requests?view=all", smuggle).refused(t, http.StatusForbidden)
		}
	})

	t.Run("with TLS", func(t *testing.T) {
		t.Parallel()
		tls := p.visitor().overTLS(t)
		for way, smuggle := range ways {
			require.Equal(t, http.StatusUnauthorized, tls.get(t, me, smuggle).StatusCode, way)
		}
	})
}

// place is where a redirect leads, without what differs each time.
func place(t *testing.T, a answer) string {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	return u.Host + u.Path
}

// ZUUL-2, ZUUL-3: the routes on which an identity is believed are not reachable from elsewhere.
func TestNothingListensBeyondThisMachineButIsMeantTo(t *testing.T) {
	t.Parallel()

	p := shared(t)
	for _, service := range p.Services() {
		instances, err := p.Instances(t.Context(), service)
		require.NoError(t, err)
		for _, base := range instances {
			u, err := url.Parse(base)
			require.NoError(t, err)
			require.Equal(t, "127.0.0.1", u.Hostname())
		}
	}
	open := listening(t)
	for name, port := range p.Ports {
		require.NotEmpty(t, open[port], "%s is not listened on", name)
		for _, address := range open[port] {
			require.Equal(t, "127.0.0.1", address, name)
		}
	}
}
