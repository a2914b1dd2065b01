package auth

import (
	"context"
	"maps"
	"slices"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
)

func (s *service) ListConsents(ctx context.Context, req api.ListConsentsRequestObject) (api.ListConsentsResponseObject, error) {
	after, err := page.Decode[string](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	grants, err := s.hydra.ListGrants(ctx, identity.Caller(ctx).Subject)
	if err != nil {
		return nil, problem.Unavailable("Sign-in").Because(err)
	}
	apps := map[string]api.Consent{} // an application may have asked several times
	for _, g := range grants {
		c, known := apps[g.Request.Client.ID]
		if !known {
			c = api.Consent{ClientID: g.Request.Client.ID, ClientName: g.Request.Client.Title(), GrantedAt: g.At}
		}
		c.Scopes = append(c.Scopes, g.Scopes...)
		slices.Sort(c.Scopes)
		c.Scopes = slices.Compact(c.Scopes)
		if g.At.After(c.GrantedAt) {
			c.GrantedAt = g.At
		}
		apps[c.ClientID] = c
	}
	limit := page.Limit(req.Params.Limit)
	items := []api.Consent{}
	for _, id := range slices.Sorted(maps.Keys(apps)) {
		if id > after && len(items) <= int(limit) {
			items = append(items, apps[id])
		}
	}
	items, next := page.Cut(items, limit, func(c api.Consent) string { return c.ClientID })
	return api.ListConsents200JSONResponse{
		Body:    api.ConsentPage{Items: items, NextCursor: next},
		Headers: api.ListConsents200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) WithdrawConsent(ctx context.Context, req api.WithdrawConsentRequestObject) (api.WithdrawConsentResponseObject, error) {
	who := identity.Caller(ctx)
	if err := s.hydra.Withdraw(ctx, who.Subject, req.ClientID); err != nil {
		return nil, problem.Unavailable("Sign-in").Because(err)
	}
	return api.WithdrawConsent204Response{}, s.revoked(ctx, who.Subject)
}
