// Package hydra asks Ory Hydra, which owns OAuth2 and OpenID Connect: what a token is good
// for, what an application asks of a user, and what the user answered.
package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	// ErrGone says that a challenge is unknown, used up or expired.
	ErrGone = errors.New("hydra: no such challenge")
	// ErrAway says that Hydra does not answer, or not well.
	ErrAway = errors.New("hydra: away")
)

const (
	maxAnswer   = 1 << 20
	maxConsents = "250"
	// How long Hydra knows, without asking, who logged in and what they allowed (s). It forgets the
	// log-ins when a session ends.
	rememberLogin, rememberConsent = 24 * 60 * 60, 365 * 24 * 60 * 60
)

// Client reaches one Hydra by its admin API.
type Client struct {
	admin string
	http  *http.Client
}

// New returns a client of the Hydra at this URL.
func New(admin string, client *http.Client) *Client { return &Client{admin: admin, http: client} }

// Token is what Hydra says of an access token.
type Token struct {
	Active    bool   `json:"active"`
	Subject   string `json:"sub"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope"`
	ExpiresAt int64  `json:"exp"` // Unix seconds
	Use       string `json:"token_use"`
}

// OfClient tells whether a machine asked for itself, by client credentials.
func (t Token) OfClient() bool { return t.Subject == t.ClientID }

// Introspect returns what an access token is good for. An unknown one is not active. Hydra says so also when it could not ask
// its database: only a no that it repeats when it is well is one.
func (c *Client) Introspect(ctx context.Context, token string) (Token, error) {
	got, err := c.introspect(ctx, token)
	if err != nil || got.Active {
		return got, err
	}
	if err := c.admins(ctx, http.MethodGet, "/health/ready", nil, nil); err != nil {
		return got, err
	}
	return c.introspect(ctx, token)
}

func (c *Client) introspect(ctx context.Context, token string) (Token, error) {
	var got Token
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.admin+"/admin/oauth2/introspect",
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = c.send(req, &got)
	if err == nil && got.Use != "" && got.Use != "access_token" {
		return Token{}, nil // a refresh token is no credential here
	}
	return got, err
}

// App is an application.
type App struct {
	ID           string   `json:"client_id"`
	Name         string   `json:"client_name"`
	URI          string   `json:"client_uri"`
	PolicyURI    string   `json:"policy_uri"`
	RedirectURIs []string `json:"redirect_uris"`
	SkipConsent  bool     `json:"skip_consent"`
}

// Title returns what to call the application.
func (a App) Title() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// Login is an application's wish that a user logs in.
type Login struct {
	Subject string `json:"subject"` // who is known already
	Skip    bool   `json:"skip"`    // nothing needs to be asked
	Client  App    `json:"client"`
	OIDC    struct {
		Hint string `json:"login_hint"`
	} `json:"oidc_context"`
	RequestURL string `json:"request_url"`
}

// Again tells whether the application wants the person to log in even if it is known who it is.
func (l Login) Again() bool {
	u, err := url.Parse(l.RequestURL)
	if err != nil {
		return true
	}
	q := u.Query()
	return q.Has("max_age") || strings.Contains(" "+q.Get("prompt")+" ", " login ")
}

// GetLogin returns what a login challenge stands for.
func (c *Client) GetLogin(ctx context.Context, challenge string) (Login, error) {
	var got Login
	err := c.get(ctx, "login", challenge, &got)
	return got, err
}

// AcceptLogin says who logged in, and returns where to send the browser.
func (c *Client) AcceptLogin(ctx context.Context, challenge, subject string) (string, error) {
	return c.put(ctx, "login", challenge, "accept", map[string]any{"subject": subject, "remember": true, "remember_for": rememberLogin})
}

// Consent is an application's wish to act for a user.
type Consent struct {
	Subject string   `json:"subject"`
	Skip    bool     `json:"skip"`
	Client  App      `json:"client"`
	Scopes  []string `json:"requested_scope"`
	// Audience is what the token is to be accepted by besides.
	Audience []string `json:"requested_access_token_audience"`
}

// GetConsent returns what a consent challenge stands for.
func (c *Client) GetConsent(ctx context.Context, challenge string) (Consent, error) {
	var got Consent
	err := c.get(ctx, "consent", challenge, &got)
	return got, err
}

// AcceptConsent grants scopes, with claims for the ID token, and returns where to send the browser.
func (c *Client) AcceptConsent(ctx context.Context, challenge string, scopes []string, claims map[string]any) (string, error) {
	return c.put(ctx, "consent", challenge, "accept", map[string]any{
		"grant_scope": scopes, "remember": true, "remember_for": rememberConsent,
		"session": map[string]any{"id_token": claims},
	})
}

// RejectConsent tells the application that the user declined.
func (c *Client) RejectConsent(ctx context.Context, challenge string) (string, error) {
	return c.put(ctx, "consent", challenge, "reject", map[string]any{"error": "access_denied", "error_description": "The user declined."})
}

// GetLogout returns who wants to log out.
func (c *Client) GetLogout(ctx context.Context, challenge string) (string, error) {
	var got struct {
		Subject string `json:"subject"`
	}
	err := c.get(ctx, "logout", challenge, &got)
	return got.Subject, err
}

// AcceptLogout ends the log-in that Hydra remembers, and returns where to send the browser.
func (c *Client) AcceptLogout(ctx context.Context, challenge string) (string, error) {
	return c.put(ctx, "logout", challenge, "accept", nil)
}

// Grant is what a user allowed an application, once.
type Grant struct {
	Scopes  []string  `json:"grant_scope"`
	At      time.Time `json:"handled_at"`
	Request struct {
		Client App `json:"client"`
	} `json:"consent_request"`
}

// ListGrants returns what a user allowed and did not withdraw.
func (c *Client) ListGrants(ctx context.Context, subject string) ([]Grant, error) {
	var got []Grant
	err := c.admins(ctx, http.MethodGet, "/admin/oauth2/auth/sessions/consent", url.Values{"subject": {subject}, "page_size": {maxConsents}}, &got)
	if errors.Is(err, ErrGone) {
		return nil, nil
	}
	return got, err
}

// Withdraw takes back what subject allowed client, and revokes its tokens.
func (c *Client) Withdraw(ctx context.Context, subject, client string) error {
	err := c.admins(ctx, http.MethodDelete, "/admin/oauth2/auth/sessions/consent", url.Values{"subject": {subject}, "client": {client}}, nil)
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// Forget takes back everything that subject allowed and the log-ins that Hydra remembers.
func (c *Client) Forget(ctx context.Context, subject string) error {
	err := c.admins(ctx, http.MethodDelete, "/admin/oauth2/auth/sessions/consent", url.Values{"subject": {subject}, "all": {"true"}}, nil)
	if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	return c.ForgetLogins(ctx, subject)
}

// ForgetLogins takes back the log-ins that Hydra remembers: the next application has to ask again.
func (c *Client) ForgetLogins(ctx context.Context, subject string) error {
	err := c.admins(ctx, http.MethodDelete, "/admin/oauth2/auth/sessions/login", url.Values{"subject": {subject}}, nil)
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

func (c *Client) get(ctx context.Context, kind, challenge string, into any) error {
	if challenge == "" {
		return ErrGone
	}
	return c.admins(ctx, http.MethodGet, "/admin/oauth2/auth/requests/"+kind, url.Values{kind + "_challenge": {challenge}}, into)
}

func (c *Client) put(ctx context.Context, kind, challenge, verb string, body any) (string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	u := c.admin + "/admin/oauth2/auth/requests/" + kind + "/" + verb + "?" + url.Values{kind + "_challenge": {challenge}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	var got struct {
		RedirectTo string `json:"redirect_to"`
	}
	err = c.send(req, &got)
	return got.RedirectTo, err
}

func (c *Client) admins(ctx context.Context, method, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.admin+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	return c.send(req, into)
}

func (c *Client) send(req *http.Request, into any) error {
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return errors.Join(ErrAway, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return errors.Join(ErrAway, err)
	}
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("%w: %s %s: %s", ErrAway, req.Method, req.URL.Path, resp.Status)
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone, resp.StatusCode == http.StatusConflict:
		return ErrGone
	case resp.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("hydra: %s %s: %s", req.Method, req.URL.Path, resp.Status)
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}
