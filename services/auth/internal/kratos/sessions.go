package kratos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// MaxSessions is how many of one person's sessions ListSessions returns at most.
const MaxSessions = 250

// Session is one log-in of a person.
type Session struct {
	ID              uuid.UUID `json:"id"`
	Active          bool      `json:"active"`
	AuthenticatedAt time.Time `json:"authenticated_at"`
	ExpiresAt       time.Time `json:"expires_at"`
	Identity        Identity  `json:"identity"`
	Devices         []struct {
		UserAgent string `json:"user_agent"`
	} `json:"devices"`
}

// UserAgent returns what the person logged in with, "" if unknown.
func (s Session) UserAgent() string {
	if len(s.Devices) == 0 {
		return ""
	}
	return s.Devices[0].UserAgent
}

// Whoami returns the session of a token, or ErrUnauthorized. Kratos says that there is none also when it could not ask its
// database: only a no that it repeats when it is well is one.
func (c *Client) Whoami(ctx context.Context, token string) (Session, error) {
	got, err := c.whoami(ctx, token)
	if !errors.Is(err, ErrUnauthorized) {
		return got, err
	}
	if _, err := c.do(ctx, call{method: http.MethodGet, url: c.admin + "/admin/health/ready"}); err != nil {
		return got, err
	}
	return c.whoami(ctx, token)
}

func (c *Client) whoami(ctx context.Context, token string) (Session, error) {
	var got Session
	status, err := c.do(ctx, call{method: http.MethodGet, url: c.public + "/sessions/whoami", token: token, into: &got})
	if status == http.StatusForbidden { // a second factor would be needed
		return got, ErrUnauthorized
	}
	return got, err
}

// GetSession returns a session with its identity.
func (c *Client) GetSession(ctx context.Context, id uuid.UUID) (Session, error) {
	var got Session
	_, err := c.do(ctx, call{method: http.MethodGet, url: c.session(id) + "?expand=identity&expand=devices", into: &got})
	return got, err
}

// ListSessions returns a person's sessions that have not ended, MaxSessions of them if there are more.
func (c *Client) ListSessions(ctx context.Context, user uuid.UUID) ([]Session, error) {
	var got []Session
	u := c.identity(user) + "/sessions?" + url.Values{"active": {"true"}, "page_size": {strconv.Itoa(MaxSessions)}}.Encode()
	_, err := c.do(ctx, call{method: http.MethodGet, url: u, into: &got})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return got, err
}

// ExtendSession gives a session its full lifespan again.
func (c *Client) ExtendSession(ctx context.Context, id uuid.UUID) error {
	_, err := c.do(ctx, call{method: http.MethodPatch, url: c.session(id) + "/extend"})
	return err
}

// EndSession ends a session. Ending it twice is no error.
func (c *Client) EndSession(ctx context.Context, id uuid.UUID) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, url: c.session(id)})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (c *Client) session(id uuid.UUID) string { return c.admin + "/admin/sessions/" + id.String() }
