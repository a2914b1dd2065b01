package kratos

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// flow is the part of Kratos' self-service flows that auth looks at.
type flow struct {
	ID           uuid.UUID `json:"id"`
	State        string    `json:"state"`
	ContinueWith []struct {
		Action string `json:"action"`
		Token  string `json:"ory_session_token"`
		Flow   struct {
			ID uuid.UUID `json:"id"`
		} `json:"flow"`
	} `json:"continue_with"`
}

func (c *Client) start(ctx context.Context, kind, token string) (uuid.UUID, error) {
	var f flow
	_, err := c.do(ctx, call{method: http.MethodGet, url: c.public + "/self-service/" + kind + "/api", token: token, into: &f})
	return f.ID, err
}

func (c *Client) submit(kind string, id uuid.UUID) string {
	return c.public + "/self-service/" + kind + "?flow=" + id.String()
}

// Login checks a password and starts a session: its token, and what Whoami would say. agent is
// what the person uses, for their list of sessions. An account that is not verified (400) or
// disabled (401) is not told from a wrong password: it would tell whether a sign-up made one.
func (c *Client) Login(ctx context.Context, identifier, password, agent string) (string, Session, error) {
	id, err := c.start(ctx, "login", "")
	if err != nil {
		return "", Session{}, err
	}
	var got struct {
		flow
		Token   string  `json:"session_token"`
		Session Session `json:"session"`
	}
	body := map[string]string{"method": "password", "identifier": identifier, "password": password}
	status, err := c.do(ctx, call{method: http.MethodPost, url: c.submit("login", id), body: body, agent: agent, into: &got})
	if status == http.StatusBadRequest || status == http.StatusUnauthorized {
		return "", Session{}, ErrCredentials
	}
	return got.Token, got.Session, err
}

// Kind is what a code is for.
type Kind string

// The flows that mail a code.
const (
	Verification Kind = "verification"
	Recovery     Kind = "recovery"
)

// StartFlow opens a flow in which a code can be sent.
func (c *Client) StartFlow(ctx context.Context, k Kind) (uuid.UUID, error) {
	return c.start(ctx, string(k), "")
}

// SendCode mails a code of the flow to email, if an account has that address; the answer is the
// same if not. reference goes into the link of the mail.
func (c *Client) SendCode(ctx context.Context, k Kind, id uuid.UUID, email, reference string) error {
	body := map[string]any{"method": "code", "email": email, "transient_payload": map[string]string{"reference": reference}}
	_, err := c.do(ctx, call{method: http.MethodPost, url: c.submit(string(k), id), body: body})
	return err
}

// Verify marks the address that got the code as verified, or returns ErrCode.
func (c *Client) Verify(ctx context.Context, id uuid.UUID, code string) error {
	_, err := c.useCode(ctx, Verification, id, code)
	return err
}

// Recover sets a new password with a code, or returns ErrCode or ErrPassword. It returns the
// session that Kratos started for it.
func (c *Client) Recover(ctx context.Context, id uuid.UUID, code, password string) (Session, error) {
	f, err := c.useCode(ctx, Recovery, id, code)
	if err != nil {
		return Session{}, err
	}
	var token string
	for _, next := range f.ContinueWith {
		if next.Token != "" {
			token = next.Token
		}
	}
	session, err := c.Whoami(ctx, token)
	if err != nil {
		return session, err
	}
	return session, c.SetPassword(ctx, token, password)
}

func (c *Client) useCode(ctx context.Context, k Kind, id uuid.UUID, code string) (flow, error) {
	var f flow
	body := map[string]string{"method": "code", "code": code}
	status, err := c.do(ctx, call{method: http.MethodPost, url: c.submit(string(k), id), body: body, into: &f})
	switch {
	case err == nil && f.State == "passed_challenge":
		return f, nil
	case err == nil, status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return f, ErrCode
	}
	return f, err
}

// SetPassword changes the password of the person whose fresh session token is.
func (c *Client) SetPassword(ctx context.Context, token, password string) error {
	id, err := c.start(ctx, "settings", token)
	if err != nil {
		return err
	}
	body := map[string]string{"method": "password", "password": password}
	status, err := c.do(ctx, call{method: http.MethodPost, url: c.submit("settings", id), token: token, body: body})
	if status == http.StatusBadRequest {
		return ErrPassword
	}
	return err
}
