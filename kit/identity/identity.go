// Package identity says who calls: a signed, short-lived statement that auth makes for each
// request and that every service verifies itself. Nothing trusts the network.
package identity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// Header carries the signed identity between Traefik and services.
	Header = "X-Healthe-Identity"
	// Issuer and Audience are the claims `iss` and `aud` of every identity.
	Issuer, Audience = "healthe", "healthe"
	// MaxLifetime bounds how far away an identity's `exp` may be.
	MaxLifetime = time.Minute
)

// Identity is who calls and what they may do. The zero Identity is nobody.
type Identity struct {
	Subject   string // Kratos' identity of a person, or the client of a service
	Scopes    []string
	Roles     []string
	ClientID  string    // the OAuth2 client that acts, if one does
	Actor     string    // the service that acts for an absent user, by a token exchange
	SessionID string    // the session, if there is one
	Expires   time.Time // when this statement ends, not the session
}

// Has tells whether the identity was granted scope.
func (i Identity) Has(scope string) bool { return slices.Contains(i.Scopes, scope) }

// UserID returns the person's identifier, and the zero UUID for a service or nobody.
func (i Identity) UserID() uuid.UUID {
	id, err := uuid.Parse(i.Subject)
	if err != nil {
		return uuid.Nil
	}
	return id
}

type contextKey struct{}

// NewContext returns a context of a request that i sent.
func NewContext(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, i)
}

// Caller returns who sent the request that ctx serves; nobody outside of one and on
// operations that are open to everyone.
func Caller(ctx context.Context) Identity {
	i, _ := ctx.Value(contextKey{}).(Identity)
	return i
}
