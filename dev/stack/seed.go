package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// client is an OAuth2 client with which one service calls others.
type client struct{ id, scope string }

var clients = []client{
	{"auth", "mail:send"},
	{"appointment", "mail:send"},
	{"forum", "mail:send"},
	{"mailing", "contacts:read"},
	{"catalog", "identities:exchange mail:send"},
}

// account is somebody as whom a developer tries the platform.
type account struct {
	username, name string
	roles          []string // beside patient, which everyone is
}

var accounts = []account{
	{"patient", "Pat Ient", nil},
	{"doctor", "Doc Tor", []string{"doctor"}},
	{"moderator", "Mod Erator", []string{"moderator"}},
	{"admin", "Ad Min", []string{"admin"}},
}

// Account is a demo account with its password.
type Account struct{ Username, Email, Password string }

// Accounts lists the demo accounts.
func (s *Stack) Accounts() []Account {
	var all []Account
	for _, a := range accounts {
		all = append(all, Account{a.username, a.email(), s.Secrets[upper(a.username)+"_PASSWORD"]})
	}
	return all
}

func (a account) email() string { return a.username + "@example.com" }

// Seed makes the OAuth2 clients and the demo accounts that are missing.
func (s *Stack) Seed(ctx context.Context) error {
	for _, c := range clients {
		if err := s.seedClient(ctx, c); err != nil {
			return fmt.Errorf("client %s: %w", c.id, err)
		}
	}
	for _, a := range accounts {
		if err := s.seedAccount(ctx, a); err != nil {
			return fmt.Errorf("account %s: %w", a.username, err)
		}
	}
	return nil
}

func (s *Stack) seedClient(ctx context.Context, c client) error {
	admin := s.local("HYDRA_ADMIN_PORT") + "/admin/clients"
	body := map[string]any{
		"client_id": c.id, "client_secret": s.Secrets[upper(c.id)+"_CLIENT_SECRET"], "client_name": "Healthe " + c.id,
		"grant_types": []string{"client_credentials"}, "scope": c.scope, "token_endpoint_auth_method": "client_secret_basic",
	}
	var have struct {
		Scope string `json:"scope"`
	}
	err := exchange(ctx, http.MethodGet, admin+"/"+c.id, nil, &have)
	if failed, ok := errors.AsType[statusError](err); ok && failed.Status == http.StatusNotFound {
		return exchange(ctx, http.MethodPost, admin, body, nil)
	}
	if err != nil || have.Scope == c.scope {
		return err
	}
	return exchange(ctx, http.MethodPut, admin+"/"+c.id, body, nil)
}

func (s *Stack) seedAccount(ctx context.Context, a account) error {
	admin := s.local("KRATOS_ADMIN_PORT") + "/admin/identities"
	var have []struct{}
	if err := exchange(ctx, http.MethodGet, admin+"?credentials_identifier="+url.QueryEscape(a.email()), nil, &have); err != nil || len(have) > 0 {
		return err
	}
	return exchange(ctx, http.MethodPost, admin, map[string]any{
		"schema_id":            "default",
		"traits":               map[string]string{"username": a.username, "email": a.email(), "name": a.name},
		"metadata_public":      map[string]any{"roles": append([]string{"patient"}, a.roles...)},
		"credentials":          map[string]any{"password": map[string]any{"config": map[string]string{"password": s.Secrets[upper(a.username)+"_PASSWORD"]}}},
		"verifiable_addresses": []map[string]any{{"value": a.email(), "verified": true, "via": "email", "status": "completed"}},
	}, nil)
}
