// Package kratos asks Ory Kratos, which owns identities and sessions. It knows the few calls
// that auth makes, and puts the answers in auth's words.
package kratos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
)

// What Kratos may answer that callers tell apart. Every other error means that it is away.
var (
	ErrNotFound     = errors.New("kratos: not found")
	ErrTaken        = errors.New("kratos: username or address is taken")
	ErrUnauthorized = errors.New("kratos: no such session")
	ErrCredentials  = errors.New("kratos: wrong identifier or password, or an account that cannot log in")
	ErrCode         = errors.New("kratos: wrong or expired code")
	ErrPassword     = errors.New("kratos: the password is refused")
	ErrInvalid      = errors.New("kratos: that is no username or no address")
)

const maxAnswer = 1 << 20

// Client reaches one Kratos by its public and its admin API.
type Client struct {
	public, admin string
	http          *http.Client
}

// New returns a client of the Kratos at these URLs.
func New(public, admin string, client *http.Client) *Client {
	return &Client{public: public, admin: admin, http: client}
}

// Traits are what a person says about themselves.
type Traits struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	Name     string `json:"name"`
}

// Metadata is what only an admin can put there.
type Metadata struct {
	Roles []string `json:"roles"`
}

// Origin says which request made an account. Nobody but us sees it.
type Origin struct {
	Challenge uuid.UUID `json:"challenge"`
}

// Address is one that a code was or can be sent to.
type Address struct {
	Value    string `json:"value"`
	Verified bool   `json:"verified"`
}

// Identity is a person's account.
type Identity struct {
	ID        uuid.UUID `json:"id"`
	State     string    `json:"state"`
	Traits    Traits    `json:"traits"`
	Metadata  *Metadata `json:"metadata_public"`
	Origin    *Origin   `json:"metadata_admin"`
	Addresses []Address `json:"verifiable_addresses"`
	CreatedAt time.Time `json:"created_at"`
}

// Roles returns what the metadata says, nil if nothing.
func (i Identity) Roles() []string {
	if i.Metadata == nil {
		return nil
	}
	return i.Metadata.Roles
}

// Verified tells whether the person has proved that the address is theirs.
func (i Identity) Verified() bool {
	for _, a := range i.Addresses {
		if a.Value == i.Traits.Email {
			return a.Verified
		}
	}
	return false
}

// EverVerified tells whether the person has proved any address to be theirs.
func (i Identity) EverVerified() bool {
	return slices.ContainsFunc(i.Addresses, func(a Address) bool { return a.Verified })
}

// Active tells whether the identity may be used.
func (i Identity) Active() bool { return i.State == "active" }

// NewIdentity is an account to make. The password comes hashed, so that it is not kept on the way.
type NewIdentity struct {
	Traits       Traits
	PasswordHash string
	Roles        []string
	Origin       Origin
}

// CreateIdentity makes an account whose address is not verified, or returns ErrTaken or ErrInvalid.
func (c *Client) CreateIdentity(ctx context.Context, n NewIdentity) (Identity, error) {
	body := map[string]any{
		"schema_id":       "default",
		"traits":          n.Traits,
		"metadata_public": Metadata{Roles: n.Roles},
		"metadata_admin":  n.Origin,
		"credentials":     map[string]any{"password": map[string]any{"config": map[string]any{"hashed_password": n.PasswordHash}}},
	}
	var got Identity
	status, err := c.do(ctx, call{method: http.MethodPost, url: c.admin + "/admin/identities", body: body, into: &got})
	switch status {
	case http.StatusConflict:
		return got, ErrTaken
	case http.StatusBadRequest:
		return got, ErrInvalid
	}
	return got, err
}

// GetIdentity returns an account.
func (c *Client) GetIdentity(ctx context.Context, id uuid.UUID) (Identity, error) {
	var got Identity
	_, err := c.do(ctx, call{method: http.MethodGet, url: c.identity(id), into: &got})
	return got, err
}

// FindIdentity returns the account with this username or address.
func (c *Client) FindIdentity(ctx context.Context, identifier string) (Identity, error) {
	var got []Identity
	u := c.admin + "/admin/identities?" + url.Values{"credentials_identifier": {identifier}}.Encode()
	if _, err := c.do(ctx, call{method: http.MethodGet, url: u, into: &got}); err != nil {
		return Identity{}, err
	}
	if len(got) != 1 {
		return Identity{}, ErrNotFound
	}
	return got[0], nil
}

type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// SetRoles replaces the roles of an account.
func (c *Client) SetRoles(ctx context.Context, id uuid.UUID, roles []string) error {
	_, err := c.patch(ctx, id, patch{"add", "/metadata_public", Metadata{Roles: roles}})
	return err
}

// SetEmail replaces the address of an account by one that is verified already, or returns ErrTaken.
func (c *Client) SetEmail(ctx context.Context, id uuid.UUID, email string) error {
	verified := map[string]any{"value": email, "via": "email", "verified": true, "status": "completed", "verified_at": time.Now().UTC()}
	_, err := c.patch(ctx, id, patch{"replace", "/traits/email", email}, patch{"add", "/verifiable_addresses", []any{verified}})
	return err
}

// SetName replaces what the person is called, and returns the account.
func (c *Client) SetName(ctx context.Context, id uuid.UUID, name string) (Identity, error) {
	return c.patch(ctx, id, patch{"replace", "/traits/name", name})
}

func (c *Client) patch(ctx context.Context, id uuid.UUID, patches ...patch) (Identity, error) {
	var got Identity
	status, err := c.do(ctx, call{method: http.MethodPatch, url: c.identity(id), body: patches, into: &got})
	if status == http.StatusConflict {
		return got, ErrTaken
	}
	return got, err
}

// DeleteIdentity deletes an account with its sessions. Deleting twice is no error.
func (c *Client) DeleteIdentity(ctx context.Context, id uuid.UUID) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, url: c.identity(id)})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (c *Client) identity(id uuid.UUID) string { return c.admin + "/admin/identities/" + id.String() }

// call is one request to Kratos.
type call struct {
	method, url string
	token       string // of a session
	agent       string // of a person
	body        any
	into        any // also filled from an answer that refuses
}

// do sends a request. It returns the status of an answer, and an error for each that is no 2xx.
func (c *Client) do(ctx context.Context, o call) (int, error) {
	var body io.Reader
	if o.body != nil {
		text, err := json.Marshal(o.body)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, o.method, o.url, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/json")
	if o.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if o.agent != "" {
		req.Header.Set("User-Agent", o.agent)
	}
	if o.token != "" {
		req.Header.Set("X-Session-Token", o.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("kratos: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("kratos: %w", err)
	}
	var unread error
	if o.into != nil {
		unread = json.Unmarshal(text, o.into)
	}
	switch {
	case resp.StatusCode < http.StatusMultipleChoices && unread != nil:
		return 0, fmt.Errorf("kratos: %s %s: %w", o.method, req.URL.Path, unread)
	case resp.StatusCode < http.StatusMultipleChoices:
		return resp.StatusCode, nil
	case resp.StatusCode == http.StatusNotFound:
		return resp.StatusCode, ErrNotFound
	case resp.StatusCode == http.StatusUnauthorized:
		return resp.StatusCode, ErrUnauthorized
	}
	return resp.StatusCode, fmt.Errorf("kratos: %s %s: %s", o.method, req.URL.Path, resp.Status)
}
