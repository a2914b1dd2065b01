package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/orytest"
)

const redirectURL = "http://127.0.0.1:1/callback" // nobody listens; the browser stops there

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

// newApp registers a third-party application, which has no secret and so needs PKCE.
func newApp(t *testing.T, scopes ...string) *oauth2.Config {
	t.Helper()
	id := newClient(t, map[string]any{
		"client_name": "Blood Pressure Diary", "redirect_uris": []string{redirectURL}, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "scope": strings.Join(scopes, " "), "token_endpoint_auth_method": "none",
	})
	public := orytest.Get().PublicURL
	return &oauth2.Config{
		ClientID: id, RedirectURL: redirectURL, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: public + "/oauth2/auth", TokenURL: public + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}
}

// browser keeps cookies, follows redirects and stops where an application would take over. It
// sees b's pages at the front that Hydra sends it to.
type browser struct {
	*http.Client
	t      *testing.T
	public string
}

func newBrowser(t *testing.T, b *bench) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	br := &browser{t: t, public: b.cfg.PublicURL}
	br.Client = &http.Client{
		Jar:       jar,
		Transport: frontTransport{front: b.cfg.PublicURL, pages: b.url},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), redirectURL) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return br
}

// frontTransport sends what is not Hydra's to one instance, as Traefik does.
type frontTransport struct{ front, pages string }

func (f frontTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.String(), f.front) && !strings.HasPrefix(r.URL.Path, "/oauth2/") {
		pages, _ := url.Parse(f.pages)
		host := r.URL.Host
		r = r.Clone(r.Context())
		r.URL.Host, r.Host = pages.Host, host
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (br *browser) get(address string) (*http.Response, string) {
	br.t.Helper()
	resp, err := br.Get(address)
	require.NoError(br.t, err)
	return br.read(resp)
}

// submit sends a form as a browser does: with its hidden values and where it comes from.
func (br *browser) submit(address string, values url.Values) (*http.Response, string) {
	br.t.Helper()
	req, err := http.NewRequestWithContext(br.t.Context(), http.MethodPost, address, strings.NewReader(values.Encode()))
	require.NoError(br.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", br.public)
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0")
	resp, err := br.Do(req)
	require.NoError(br.t, err)
	return br.read(resp)
}

func (br *browser) read(resp *http.Response) (*http.Response, string) {
	br.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(br.t, err)
	return resp, string(body)
}

func (br *browser) logIn(u user) {
	br.t.Helper()
	resp, body := br.submit(br.public+"/login", url.Values{"identifier": {u.username}, "password": {goodPassword}})
	require.Equal(br.t, http.StatusOK, resp.StatusCode)
	require.Contains(br.t, body, "Your account")
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

func hiddenValues(body string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		v.Set(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	return v
}

// authorize lets a person log in and allow scopes, and returns the application's tokens.
func authorize(t *testing.T, b *bench, app *oauth2.Config, u user, allow ...string) *oauth2.Token {
	t.Helper()
	br := newBrowser(t, b)
	verifier := oauth2.GenerateVerifier()
	resp, body := br.get(app.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(verifier)))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Contains(t, body, "to go on to Blood Pressure Diary")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "form-action 'self' http://127.0.0.1:1")

	form := hiddenValues(body)
	form.Set("identifier", u.username)
	form.Set("password", goodPassword)
	resp, body = br.submit(b.cfg.PublicURL+"/login", form)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Contains(t, body, "Allow Blood Pressure Diary?")
	form = hiddenValues(body)
	form.Set("do", "allow")
	form["scope"] = allow
	resp, body = br.submit(b.cfg.PublicURL+"/consent", form)
	require.Equal(t, http.StatusSeeOther, resp.StatusCode, body)
	back, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "a-state-of-the-tests", back.Query().Get("state"))
	token, err := app.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err, back.String())
	return token
}

func TestAuthorizationCode(t *testing.T) { // AUTH-4, AUTH-5
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	scopes := []string{"openid", "offline_access", "profile", "email", "account:read", "appointments:read", "schedule:write"}
	app := newApp(t, scopes...)
	token := authorize(t, b, app, u, "offline_access", "profile", "email", "account:read", "schedule:write")

	holder := user{token: token.AccessToken}
	me := b.me(t, holder)
	require.Equal(t, u.id, me.ID)
	require.Equal(t, app.ClientID, *me.ClientID)
	require.Equal(t, []string{"account:read"}, me.Scopes, "what was allowed, cut down to the user's roles")
	refused, err := b.ListRoleRequestsWithResponse(t.Context(), nil, b.as(t, holder))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, refused.StatusCode())
	write, err := b.CreateRoleRequestWithResponse(t.Context(), nil, api.NewRoleRequest{Role: api.Doctor, LicenceNumber: "DE-12345"}, b.as(t, holder))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, write.StatusCode(), "a scope that was not granted")
	out, err := b.LogOutWithResponse(t.Context(), b.as(t, holder))
	require.NoError(t, err)
	isProblem(t, errNoSession, out.Body, out.StatusCode())

	list, err := b.ListConsentsWithResponse(t.Context(), nil, b.as(t, u))
	require.NoError(t, err)
	require.Len(t, list.JSON200.Items, 1)
	require.Equal(t, "Blood Pressure Diary", list.JSON200.Items[0].ClientName)
	require.True(t, slices.Contains(list.JSON200.Items[0].Scopes, "account:read"))
	require.False(t, slices.Contains(list.JSON200.Items[0].Scopes, "appointments:read"), "it was unticked")

	withdrawn, err := b.WithdrawConsentWithResponse(t.Context(), app.ClientID, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, withdrawn.StatusCode(), string(withdrawn.Body))
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(token.AccessToken)).StatusCode, "at once")
	_, err = refresh(t.Context(), app, token.RefreshToken)
	require.Error(t, err)
	none, err := b.ListConsentsWithResponse(t.Context(), nil, b.as(t, u))
	require.NoError(t, err)
	require.Empty(t, none.JSON200.Items)
}

func refresh(ctx context.Context, app *oauth2.Config, token string) (*oauth2.Token, error) {
	return app.TokenSource(ctx, &oauth2.Token{RefreshToken: token}).Token()
}

func TestRefreshTokensRotate(t *testing.T) { // AUTH-3, AUTH-4
	t.Parallel()

	b := newBench(t)
	app := newApp(t, "openid", "offline_access", "account:read")
	first := authorize(t, b, app, b.newUser(t), "offline_access", "account:read")
	second, err := refresh(t.Context(), app, first.RefreshToken)
	require.NoError(t, err)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(second.AccessToken)).StatusCode)

	_, err = refresh(t.Context(), app, first.RefreshToken)
	require.Error(t, err, "used twice: someone stole it")
	_, err = refresh(t.Context(), app, second.RefreshToken)
	require.Error(t, err, "so the whole family ends")
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(first.RefreshToken)).StatusCode, "a refresh token opens nothing")
}

func TestPublicApplicationsNeedPKCE(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	br := newBrowser(t, b)
	br.logIn(b.newUser(t))
	_, body := br.get(newApp(t, "openid").AuthCodeURL("a-state-of-the-tests"))
	form := hiddenValues(body)
	form.Set("do", "allow")
	resp, _ := br.submit(b.cfg.PublicURL+"/consent", form)
	back, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "invalid_request", back.Query().Get("error"))
	require.Empty(t, back.Query().Get("code"))
}

func TestConsentCanBeDeclined(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	app := newApp(t, "openid", "account:read")
	br := newBrowser(t, b)
	br.logIn(u)
	resp, body := br.get(app.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, body, "Allow Blood Pressure Diary?", "who is logged in is not asked again")
	form := hiddenValues(body)
	form.Set("do", "deny")
	resp, _ = br.submit(b.cfg.PublicURL+"/consent", form)
	back, err := resp.Location()
	require.NoError(t, err)
	require.Equal(t, "access_denied", back.Query().Get("error"))
}

func TestLogInIsAskedForOnceTheSessionIsOver(t *testing.T) { // AUTH-5
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	app := newApp(t, "openid")
	br := newBrowser(t, b)
	br.logIn(u)
	_, body := br.get(app.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	form := hiddenValues(body)
	form.Set("do", "allow")
	br.submit(b.cfg.PublicURL+"/consent", form)
	resp, err := br.Get(app.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusSeeOther, resp.StatusCode, "nothing is asked twice")

	all, err := b.kratos.ListSessions(t.Context(), u.id)
	require.NoError(t, err)
	for _, s := range all { // beside our API, so that nobody tells Hydra
		require.NoError(t, b.kratos.EndSession(t.Context(), s.ID))
	}
	eventually(t, func() bool { // once the cache has forgotten
		_, body := br.get(app.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		return strings.Contains(body, "to go on to Blood Pressure Diary")
	})
}

func TestTokenOfApplicationIsNoSession(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	app := newApp(t, "openid", "appointments:read")
	token := authorize(t, b, app, b.newUser(t), "appointments:read").AccessToken
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(token)).StatusCode)
	cookie := &http.Cookie{Name: gate.Cookie, Value: token, Path: "/"}
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, http.Header{"Cookie": {cookie.String()}, "X-Forwarded-Method": {"GET"}}).StatusCode)

	br := newBrowser(t, b)
	page, err := url.Parse(b.cfg.PublicURL)
	require.NoError(t, err)
	br.Jar.SetCookies(page, []*http.Cookie{cookie})
	other := newApp(t, "openid", "offline_access", "email")
	_, body := br.get(other.AuthCodeURL("a-state-of-the-tests", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	require.Contains(t, body, "to go on to Blood Pressure Diary", "the person has to log in themselves")
}
