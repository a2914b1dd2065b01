package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/maypok86/otter/v2"

	"github.com/healthe/healthe/openapi/problem"
)

const (
	leeway          = 5 * time.Second // between the clocks of two machines
	keysTimeout     = 2 * time.Second
	keysRetry       = time.Second // at most one look for an unknown key in that time
	verifiedEntries = 10_000
)

var errBadIdentity = problem.Unauthenticated("The identity sent with this request is not valid.")

type claims struct {
	jwt.Claims
	Scope     string   `json:"scope"`
	Roles     []string `json:"roles"`
	ClientID  string   `json:"client_id,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	Act       *act     `json:"act,omitempty"`
}

type act struct { // RFC 8693
	Subject string `json:"sub"`
}

// Signer signs identities. Only auth has one.
type Signer struct{ signer jose.Signer }

// NewSigner returns a signer with the key that the JWKS lists as kid.
func NewSigner(kid string, key ed25519.PrivateKey) (Signer, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType("JWT"))
	return Signer{s}, err
}

// Sign states that i holds from now until i.Expires, at most MaxLifetime away.
func (s Signer) Sign(i Identity, now time.Time) (string, error) {
	var actor *act
	if i.Actor != "" {
		actor = &act{i.Actor}
	}
	return jwt.Signed(s.signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: Issuer, Audience: jwt.Audience{Audience}, Subject: i.Subject,
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(i.Expires),
		},
		Scope: strings.Join(i.Scopes, " "), Roles: i.Roles, ClientID: i.ClientID, SessionID: i.SessionID, Act: actor,
	}).Serialize()
}

// Open returns the identity that token states and when it was signed, with the key that public finds for its kid. Whether that is
// to come, has ended or lasts too long is left to judge. The error is a 401, or that of public.
func Open(token string, public func(kid string) (any, error)) (i Identity, signed time.Time, err error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 {
		return i, signed, errBadIdentity.Because(err)
	}
	key, err := public(parsed.Headers[0].KeyID)
	if err != nil {
		return i, signed, err
	}
	var c claims
	if err := parsed.Claims(key, &c); err != nil {
		return i, signed, errBadIdentity.Because(err)
	}
	if c.Subject == "" || c.IssuedAt == nil || c.Expiry == nil {
		return i, signed, errBadIdentity.Because(errors.New("no subject, no beginning or no end"))
	}
	then := jwt.Expected{Issuer: Issuer, AnyAudience: jwt.Audience{Audience}, Time: c.IssuedAt.Time()}
	if err := c.ValidateWithLeeway(then, leeway); err != nil {
		return i, signed, errBadIdentity.Because(err)
	}
	i = Identity{
		Subject: c.Subject, Scopes: strings.Fields(c.Scope), Roles: c.Roles,
		ClientID: c.ClientID, SessionID: c.SessionID, Expires: c.Expiry.Time(),
	}
	if c.Act != nil {
		i.Actor = c.Act.Subject
	}
	return i, c.IssuedAt.Time(), nil
}

// Verifier checks identities against auth's published keys. One serves all requests.
type Verifier struct {
	url      string
	client   *http.Client
	verified *otter.Cache[string, Identity] // checking a signature costs more than finding it again

	keys atomic.Pointer[jose.JSONWebKeySet]

	mu      sync.Mutex // one fetch at a time
	fetched time.Time
	failed  error // of the last fetch
}

// NewVerifier returns a verifier that reads its keys from jwksURL when it needs them.
func NewVerifier(jwksURL string, client *http.Client) *Verifier {
	return &Verifier{
		url: jwksURL, client: client,
		verified: otter.Must(&otter.Options[string, Identity]{
			MaximumSize:      verifiedEntries,
			ExpiryCalculator: otter.ExpiryWriting[string, Identity](MaxLifetime),
		}),
	}
}

// Authenticate returns the identity that Traefik put on r, and nobody if there is none.
func (v *Verifier) Authenticate(r *http.Request) (Identity, error) {
	switch tokens := r.Header.Values(Header); {
	case len(tokens) == 0:
		return Identity{}, nil
	case len(tokens) > 1:
		return Identity{}, errBadIdentity
	default:
		return v.Verify(r.Context(), tokens[0], time.Now())
	}
}

// Verify returns the identity that token states.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (Identity, error) {
	if i, ok := v.verified.GetIfPresent(token); ok && now.Before(i.Expires) {
		return i, nil
	}
	i, signed, err := Open(token, func(kid string) (any, error) { return v.key(ctx, kid, now) })
	switch {
	case err != nil:
		return Identity{}, err
	case now.Add(-leeway).After(i.Expires), now.Add(leeway).Before(signed):
		return Identity{}, errBadIdentity.Because(errors.New("it has ended, or has not begun"))
	case i.Expires.Sub(now) > MaxLifetime+leeway:
		return Identity{}, errBadIdentity.Because(errors.New("it would live too long"))
	}
	v.verified.Set(token, i)
	return i, nil
}

// key finds the public key kid, and asks auth again when it does not know it: keys rotate.
func (v *Verifier) key(ctx context.Context, kid string, now time.Time) (any, error) {
	if key := v.known(kid); key != nil {
		return key, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.fetched) >= keysRetry {
		keys, err := v.fetch(context.WithoutCancel(ctx)) // others wait for it too
		if err == nil {
			v.keys.Store(&keys)
		}
		v.fetched, v.failed = time.Now(), err
	}
	if key := v.known(kid); key != nil {
		return key, nil
	}
	if v.failed != nil {
		return nil, problem.Unavailable("Sign-in").Because(v.failed)
	}
	return nil, errBadIdentity.Because(errors.New("unknown key"))
}

func (v *Verifier) known(kid string) any {
	if keys := v.keys.Load(); keys != nil {
		if found := keys.Key(kid); len(found) == 1 {
			return found[0].Key
		}
	}
	return nil
}

func (v *Verifier) fetch(ctx context.Context) (keys jose.JSONWebKeySet, err error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, nil)
	if err != nil {
		return keys, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return keys, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("keys: %s", resp.Status)
	}
	return keys, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&keys)
}
