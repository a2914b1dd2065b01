// Package healthe is the Go client of the Healthe platform.
//
//	client, err := healthe.New("https://healthe.example", healthe.WithToken(token))
//	me, err := healthe.OK(client.Auth.GetMeWithResponse(ctx))
//
// Every operation of the contracts is a method of the generated clients that [Client] holds. Here they get what all of them
// need: who calls, an Idempotency-Key for each POST, retries where doing it twice is doing it once, and refusals as errors:
//
//	if p, ok := errors.AsType[*problem.Problem](err); ok { ... p.Type, p.Status, p.Errors ... }
//	if errors.Is(err, healthe.NotFound) { ... }
//	if healthe.Is(err, "slot-taken") { ... }
package healthe

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/openapi/mailing"
)

// Client has one generated client for each service. It serves any number of goroutines.
type Client struct {
	Auth        *auth.ClientWithResponses
	Appointment *appointment.ClientWithResponses
	Forum       *forum.ClientWithResponses
	Mailing     *mailing.ClientWithResponses
	Catalog     *catalog.ClientWithResponses
}

type settings struct {
	base      string
	transport *http.Client
	tokens    oauth2.TokenSource
	own       *clientcredentials.Config
	attempts  int
	wait      time.Duration
}

// Option is a setting of [New].
type Option func(*settings)

// WithToken calls with an OAuth2 access token.
func WithToken(token string) Option {
	return WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
}

// WithSessionToken calls as a person who has logged in, with the session_token that logIn answered.
func WithSessionToken(token string) Option { return WithToken(token) }

// WithTokenSource calls with what source gives, for tokens that are refreshed.
func WithTokenSource(source oauth2.TokenSource) Option {
	return func(s *settings) { s.tokens = source }
}

// WithClientCredentials calls as an application itself, not for a person. Tokens are fetched and refreshed as needed.
func WithClientCredentials(id, secret string, scopes ...string) Option {
	return func(s *settings) {
		s.own = &clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: s.base + "/oauth2/token", Scopes: scopes}
	}
}

// WithHTTPClient sends requests with client, for proxies, certificates or a time limit of one's own.
func WithHTTPClient(client *http.Client) Option {
	return func(s *settings) { s.transport = client }
}

// WithRetries sets how often a request is sent at most (3 unless set) and the wait before the second time (200 ms unless set), doubled each time.
func WithRetries(attempts int, wait time.Duration) Option {
	return func(s *settings) { s.attempts, s.wait = max(attempts, 1), max(wait, time.Millisecond) }
}

// New returns a client of the platform at baseURL. Without an option that says who calls, it can do what everyone may.
func New(baseURL string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("healthe: the base URL must be like https://healthe.example")
	}
	s := &settings{
		base: strings.TrimSuffix(baseURL, "/"), attempts: 3, wait: 200 * time.Millisecond,
		transport: &http.Client{Timeout: 30 * time.Second},
	}
	for _, set := range options {
		set(s)
	}
	if s.own != nil { // once it is known by which HTTP client
		s.tokens = s.own.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, s.transport))
	}
	return newClient(s.base, &caller{s})
}

func newClient(base string, do *caller) (*Client, error) {
	people, err1 := auth.NewClientWithResponses(base, auth.WithHTTPClient(do))
	calendar, err2 := appointment.NewClientWithResponses(base, appointment.WithHTTPClient(do))
	talk, err3 := forum.NewClientWithResponses(base, forum.WithHTTPClient(do))
	mail, err4 := mailing.NewClientWithResponses(base, mailing.WithHTTPClient(do))
	composites, err5 := catalog.NewClientWithResponses(base, catalog.WithHTTPClient(do))
	return &Client{people, calendar, talk, mail, composites}, errors.Join(err1, err2, err3, err4, err5)
}
