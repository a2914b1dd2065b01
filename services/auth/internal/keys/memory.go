package keys

import (
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/healthe/healthe/kit/identity"
)

// Memory is how long auth can tell that it made an identity, which itself ends within a minute.
const Memory = 24 * time.Hour

const leeway = 5 * time.Second // between the clocks of two instances

var (
	// ErrForged says that auth never made this identity of a user who asked, or so long ago that it cannot tell.
	ErrForged = errors.New("no identity that was made here")
	// ErrTooOld says that auth made it longer ago than Memory.
	ErrTooOld = errors.New("the identity is too old")
)

// Recall returns an identity that was made here, also when it has ended; none that an exchange made.
func (r *Ring) Recall(token string, now time.Time) (identity.Identity, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 {
		return identity.Identity{}, errors.Join(ErrForged, err)
	}
	var c struct {
		jwt.Claims
		Scope    string   `json:"scope"`
		Roles    []string `json:"roles"`
		ClientID string   `json:"client_id"`
		Act      any      `json:"act"`
	}
	if err := parsed.Claims(r.public(parsed.Headers[0].KeyID), &c); err != nil {
		return identity.Identity{}, errors.Join(ErrForged, err)
	}
	if c.Issuer != identity.Issuer || !c.Audience.Contains(identity.Audience) || c.Subject == "" || c.IssuedAt == nil || c.Expiry == nil {
		return identity.Identity{}, ErrForged
	}
	if c.Act != nil { // an exchange made it: each would prolong the last, without end
		return identity.Identity{}, ErrForged
	}
	i := identity.Identity{Subject: c.Subject, Scopes: strings.Fields(c.Scope), Roles: c.Roles, ClientID: c.ClientID, Expires: c.Expiry.Time()}
	switch age := now.Sub(c.IssuedAt.Time()); {
	case age > Memory:
		return i, ErrTooOld
	case age < -leeway:
		return i, ErrForged
	}
	return i, nil
}

// public returns the key with this id, nil if there is none.
func (r *Ring) public(kid string) any {
	for _, k := range *r.keys.Load() {
		if k.id.String() == kid {
			return k.public
		}
	}
	return nil
}
