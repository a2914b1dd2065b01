package auth

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/healthe/healthe/services/auth/internal/orytest"
)

// newClient registers an OAuth2 client with Hydra and returns its id.
func newClient(t *testing.T, client map[string]any) string {
	t.Helper()
	id := "c" + uuid.NewString()
	client["client_id"] = id
	body, err := json.Marshal(client)
	require.NoError(t, err)
	resp, err := http.Post(orytest.Get().HydraAdmin+"/admin/clients", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	return id
}

// machineToken returns an access token of a service that has scopes.
func machineToken(t *testing.T, scopes ...string) string {
	t.Helper()
	id := newClient(t, map[string]any{
		"client_secret": "secret-of-a-machine", "grant_types": []string{"client_credentials"}, "scope": strings.Join(scopes, " "),
	})
	source := clientcredentials.Config{ClientID: id, ClientSecret: "secret-of-a-machine", TokenURL: orytest.Get().HydraPublic + "/oauth2/token", Scopes: scopes}
	token, err := source.Token(t.Context())
	require.NoError(t, err)
	return token.AccessToken
}
