package identity

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// ServiceCredentials are how a service shows to others that it is itself.
type ServiceCredentials struct {
	TokenURL     string // Hydra's token endpoint
	ExchangeURL  string // auth's forward-auth endpoint, which turns the token into an identity
	ClientID     string
	ClientSecret string
	Scopes       []string
}

// Transport adds the identity of this service to each request that does not carry one
// already. The access token and the identity are kept until shortly before they end.
func (c ServiceCredentials) Transport(base http.RoundTripper) http.RoundTripper {
	return &serviceTransport{base: base, credentials: c}
}

type serviceTransport struct {
	base        http.RoundTripper
	credentials ServiceCredentials

	mu      sync.Mutex
	token   *oauth2.Token
	signed  string
	expires time.Time
}

func (t *serviceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get(Header) == "" {
		signed, err := t.identity(r.Context())
		if err != nil {
			return nil, fmt.Errorf("identity of %s: %w", t.credentials.ClientID, err)
		}
		r = r.Clone(r.Context())
		r.Header.Set(Header, signed)
	}
	return t.base.RoundTrip(r)
}

func (t *serviceTransport) identity(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.expires) {
		return t.signed, nil
	}
	signed, status, err := t.exchange(ctx)
	if status == http.StatusUnauthorized { // the token was revoked, or Hydra lost it
		t.token = nil
		signed, _, err = t.exchange(ctx)
	}
	if err != nil {
		return "", err
	}
	t.signed, t.expires = signed, time.Now().Add(MaxLifetime/2)
	if end := t.token.Expiry; !end.IsZero() && end.Before(t.expires) { // the identity ends with the token
		t.expires = end
	}
	return signed, nil
}

func (t *serviceTransport) exchange(ctx context.Context) (string, int, error) {
	client := &http.Client{Transport: t.base}
	if !t.token.Valid() {
		c := t.credentials
		source := clientcredentials.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret, TokenURL: c.TokenURL, Scopes: c.Scopes}
		token, err := source.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
		if err != nil {
			return "", 0, err
		}
		t.token = token
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.credentials.ExchangeURL, nil)
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Authorization", "Bearer "+t.token.AccessToken)
	resp, err := client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // lets the connection be used again
	signed := strings.TrimSpace(resp.Header.Get(Header))
	if resp.StatusCode != http.StatusOK || signed == "" {
		return "", resp.StatusCode, fmt.Errorf("exchange of the access token: %s", resp.Status)
	}
	return signed, resp.StatusCode, nil
}
