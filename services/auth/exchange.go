package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/keys"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

var errExchange = problem.New(http.StatusForbidden, "exchange-refused", "Exchange refused",
	"The identity is not one of ours, is too old, came from an exchange itself, or the user or the application may not act any more.")

func (s *service) ExchangeIdentity(ctx context.Context, req api.ExchangeIdentityRequestObject) (api.ExchangeIdentityResponseObject, error) {
	now := time.Now()
	who, outcome, err := s.recall(ctx, req.Body.SubjectToken, now)
	if err != nil {
		return nil, err
	}
	record := store.CreateIdentityExchangeParams{
		Actor: identity.Caller(ctx).Subject, OperationID: req.Body.OperationID, Operation: req.Body.Operation, Scopes: []string{}, Outcome: outcome,
	}
	if outcome != store.ExchangeOutcomeForged {
		record.UserID, record.Scopes = new(who.UserID()), append(record.Scopes, who.Scopes...)
	}
	if outcome != store.ExchangeOutcomeForged && who.ClientID != "" {
		record.ClientID = &who.ClientID
	}
	if err := s.store.CreateIdentityExchange(ctx, record); err != nil { // what is not on record is not given out
		return nil, err
	}
	if outcome != store.ExchangeOutcomeGranted {
		return nil, errExchange.Because(errors.New(string(outcome)))
	}
	who.Actor, who.Expires = record.Actor, now.Add(identity.MaxLifetime)
	signed, err := s.keys.Sign(who, now)
	if err != nil {
		return nil, err
	}
	return api.ExchangeIdentity200JSONResponse{
		Body: api.IdentityExchange{
			AccessToken: signed, IssuedTokenType: api.UrnIetfParamsOauthTokenTypeJwt, TokenType: api.NA,
			ExpiresIn: int(identity.MaxLifetime / time.Second),
		},
		Headers: api.ExchangeIdentity200ResponseHeaders{CacheControl: new("no-store")},
	}, nil
}

// recall returns whom an identity stood for, with what that person and that application may still do of what it said.
// The error says that nobody can tell at the moment.
func (s *service) recall(ctx context.Context, token string, now time.Time) (identity.Identity, store.ExchangeOutcome, error) {
	who, err := s.keys.Recall(token, now)
	user := who.UserID()
	switch {
	case errors.Is(err, keys.ErrTooOld) && user != uuid.Nil:
		return who, store.ExchangeOutcomeTooOld, nil
	case err != nil || user == uuid.Nil: // a machine does what it wants again by itself
		return who, store.ExchangeOutcomeForged, nil
	}
	person, err := s.kratos.GetIdentity(ctx, user)
	if errors.Is(err, kratos.ErrNotFound) || err == nil && !person.Active() {
		return who, store.ExchangeOutcomeInactive, nil
	}
	if err != nil {
		return who, "", problem.Unavailable("Sign-in").Because(err)
	}
	may := s.roles.Of(person)
	who.Roles = slices.DeleteFunc(who.Roles, func(role string) bool { return !slices.Contains(may, role) })
	who.Scopes = s.roles.Cut(who.Scopes, may)
	if who.ClientID == "" {
		return who, store.ExchangeOutcomeGranted, nil
	}
	return s.consented(ctx, who)
}

// consented cuts what an application wants to do to what the person still allows it.
func (s *service) consented(ctx context.Context, who identity.Identity) (identity.Identity, store.ExchangeOutcome, error) {
	grants, err := s.hydra.ListGrants(ctx, who.Subject)
	if err != nil {
		return who, "", problem.Unavailable("Sign-in").Because(err)
	}
	var allowed []string
	for _, g := range grants {
		if g.Request.Client.ID == who.ClientID {
			allowed = append(allowed, g.Scopes...)
		}
	}
	if len(allowed) == 0 {
		return who, store.ExchangeOutcomeConsentWithdrawn, nil
	}
	who.Scopes = slices.DeleteFunc(who.Scopes, func(scope string) bool { return !slices.Contains(allowed, scope) })
	return who, store.ExchangeOutcomeGranted, nil
}
