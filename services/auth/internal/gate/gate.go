// Package gate finds out whom a credential stands for: a session token, which Kratos knows,
// or an OAuth2 access token, which Hydra knows. It asks them once in a few seconds for each
// credential, and forgets at once what was revoked, on every instance.
package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/healthe/healthe/db/broadcast"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/services/auth/internal/hydra"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

const (
	// Fresh is how long an answer is used without asking again.
	Fresh = 5 * time.Second
	// Bound is how long it is used at most, while Kratos or Hydra are away.
	Bound = 25 * time.Second
	// again is how long to wait before asking someone who is away again.
	again = time.Second

	lookupTimeout = 2 * time.Second
	maxEntries    = 100_000
	maxToken      = 1024 // characters
	lookups       = 3    // of one request, when revocations cross them

	sessionPrefix = "ory_st_"
	accessPrefix  = "ory_at_"
)

var (
	// ErrRefused says that the credential is good for nothing.
	ErrRefused = errors.New("the credential is not valid")
	// ErrAway says that whoever knows the credential does not answer.
	ErrAway = errors.New("nobody answers who knows the credential")
)

// Signer states an identity; keys.Ring is one.
type Signer interface {
	Sign(i identity.Identity, now time.Time) (string, error)
}

// Passport is whom a credential stands for, ready to be sent on.
type Passport struct {
	Identity identity.Identity
	Header   []string // the value of X-Healthe-Identity

	made    time.Time
	until   time.Time     // the credential ends
	fresh   atomic.Int64  // Unix nanoseconds until which nobody is asked
	checked atomic.Uint64 // the number of the revocation up to which it is known to hold
}

// Gate answers for credentials. One serves all requests.
type Gate struct {
	kratos  *kratos.Client
	hydra   *hydra.Client
	signer  Signer
	roles   Roles
	cache   *otter.Cache[[32]byte, *Passport]
	flights singleflight.Group
	revoked *revocations
	told    *broadcast.Broadcast
	hears   func(now time.Time) bool // whether revocations arrive
}

// New returns a gate, one of several over the same pool that tell each other what is revoked. It caches nothing before
// Listen runs.
func New(k *kratos.Client, h *hydra.Client, signer Signer, roles Roles, pool *pgxpool.Pool) *Gate {
	g := &Gate{
		kratos: k, hydra: h, signer: signer, roles: roles, revoked: newRevocations(),
		cache: otter.Must(&otter.Options[[32]byte, *Passport]{
			MaximumSize:      maxEntries,
			ExpiryCalculator: otter.ExpiryWriting[[32]byte, *Passport](Bound),
		}),
	}
	g.told = broadcast.New(pool, "auth_revoked", g.Revoke, g.revoked.addAll)
	g.hears = g.told.Hearing
	return g
}

// Open returns whom token stands for, or ErrRefused or ErrAway.
func (g *Gate) Open(ctx context.Context, token string) (*Passport, error) {
	if len(token) > maxToken || !strings.HasPrefix(token, sessionPrefix) && !strings.HasPrefix(token, accessPrefix) {
		return nil, ErrRefused
	}
	key := sha256.Sum256([]byte(token))
	now := time.Now()
	known := g.known(key, now)
	if known != nil && now.UnixNano() < known.fresh.Load() {
		return known, nil
	}
	p, err := g.ask(ctx, key, token)
	switch {
	case errors.Is(err, ErrRefused):
		g.cache.Invalidate(key)
	case err != nil && known != nil && g.holds(known):
		known.fresh.Store(now.Add(again).UnixNano())
		return known, nil
	}
	return p, err
}

// OpenSession is Open for what a cookie holds. An application's token is none: with it in a cookie the application
// could log in to others, and allow itself more, as its user.
func (g *Gate) OpenSession(ctx context.Context, token string) (*Passport, error) {
	if !strings.HasPrefix(token, sessionPrefix) {
		return nil, ErrRefused
	}
	return g.Open(ctx, token)
}

// known returns what is cached and still holds.
func (g *Gate) known(key [32]byte, now time.Time) *Passport {
	if !g.hears(now) {
		return nil
	}
	p, ok := g.cache.GetIfPresent(key)
	if !ok || now.Sub(p.made) >= Bound || !now.Before(p.until) || !g.holds(p) {
		return nil
	}
	return p
}

// holds tells whether nothing was revoked that p depends on.
func (g *Gate) holds(p *Passport) bool {
	latest := g.revoked.latest.Load()
	since := p.checked.Load()
	if since == latest {
		return true
	}
	if g.revoked.void(since, p.Identity.Subject, p.Identity.SessionID) {
		return false
	}
	p.checked.CompareAndSwap(since, latest)
	return true
}

// ask looks the credential up, together with everyone else who asks for it since the last
// revocation. An answer that a revocation crossed is asked for again.
func (g *Gate) ask(ctx context.Context, key [32]byte, token string) (*Passport, error) {
	for range lookups {
		number := g.revoked.latest.Load()
		flight := string(key[:]) + string(binaryNumber(number))
		done := g.flights.DoChan(flight, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
			defer cancel()
			p, err := g.lookUp(ctx, token)
			if err != nil {
				return (*Passport)(nil), err
			}
			p.checked.Store(number)
			return p, nil
		})
		var result singleflight.Result
		select {
		case result = <-done:
		case <-ctx.Done():
			return nil, errors.Join(ErrAway, ctx.Err())
		}
		p, _ := result.Val.(*Passport)
		if result.Err != nil {
			return nil, result.Err
		}
		if g.holds(p) {
			if g.hears(time.Now()) {
				g.cache.Set(key, p)
			}
			return p, nil
		}
	}
	return nil, ErrAway
}

func binaryNumber(n uint64) []byte {
	return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)}
}

func (g *Gate) lookUp(ctx context.Context, token string) (*Passport, error) {
	look := g.session
	if strings.HasPrefix(token, accessPrefix) {
		look = g.accessToken
	}
	began := time.Now()
	who, until, err := look(ctx, token)
	if err != nil {
		if !errors.Is(err, ErrRefused) {
			err = errors.Join(ErrAway, err)
		}
		return nil, err
	}
	who.Expires = began.Add(identity.MaxLifetime).Truncate(time.Second)
	if until.Before(who.Expires) {
		who.Expires = until
	}
	if !who.Expires.After(began) {
		return nil, ErrRefused
	}
	signed, err := g.signer.Sign(who, began)
	if err != nil {
		return nil, errors.Join(ErrAway, err)
	}
	p := &Passport{Identity: who, Header: []string{signed}, made: began, until: until}
	p.fresh.Store(began.Add(Fresh).UnixNano())
	return p, nil
}

func (g *Gate) session(ctx context.Context, token string) (identity.Identity, time.Time, error) {
	s, err := g.kratos.Whoami(ctx, token)
	if errors.Is(err, kratos.ErrUnauthorized) || err == nil && (!s.Active || !s.Identity.Active()) {
		return identity.Identity{}, time.Time{}, ErrRefused
	}
	if err != nil {
		return identity.Identity{}, time.Time{}, err
	}
	roles := g.roles.Of(s.Identity)
	return identity.Identity{
		Subject: s.Identity.ID.String(), SessionID: s.ID.String(), Roles: roles, Scopes: g.roles.Scopes(roles),
	}, s.ExpiresAt, nil
}

func (g *Gate) accessToken(ctx context.Context, token string) (identity.Identity, time.Time, error) {
	t, err := g.hydra.Introspect(ctx, token)
	if err != nil {
		return identity.Identity{}, time.Time{}, err
	}
	if !t.Active {
		return identity.Identity{}, time.Time{}, ErrRefused
	}
	who := identity.Identity{Subject: t.Subject, ClientID: t.ClientID, Scopes: strings.Fields(t.Scope), Roles: []string{Machine}}
	until := time.Unix(t.ExpiresAt, 0)
	if t.OfClient() {
		who.Scopes = g.roles.Cut(who.Scopes, who.Roles)
		return who, until, nil
	}
	id, err := uuid.Parse(t.Subject)
	if err != nil {
		return who, until, ErrRefused
	}
	person, err := g.kratos.GetIdentity(ctx, id)
	if errors.Is(err, kratos.ErrNotFound) || err == nil && !person.Active() {
		return who, until, ErrRefused
	}
	if err != nil {
		return who, until, err
	}
	who.Roles = g.roles.Of(person)
	who.Scopes = g.roles.Cut(who.Scopes, who.Roles)
	return who, until, nil
}
