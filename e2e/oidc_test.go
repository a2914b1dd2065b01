package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// window is a real browser in which no script runs, and which is used by keyboard alone.
type window struct {
	t   *testing.T
	ctx context.Context
}

func openWindow(t *testing.T) *window {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	noScripts := func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	}
	require.NoError(t, chromedp.Do(ctx, noScripts), "needs Chromium: apt-get install chromium")
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return &window{t, ctx}
}

// visit opens a page.
func (w *window) visit(address string) {
	w.t.Helper()
	require.NoError(w.t, chromedp.Do(w.ctx, chromedp.Navigate(address)))
}

// keys types; a tab goes to the next field and Enter sends the form.
func (w *window) keys(text ...string) {
	w.t.Helper()
	for _, s := range text {
		require.NoError(w.t, chromedp.Do(w.ctx, chromedp.KeyEvent(s)))
	}
}

// ask asks the browser itself, past the page, which may run nothing.
func (w *window) ask(question string) string {
	w.t.Helper()
	got, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](question))
	require.NoError(w.t, err)
	return got
}

// ready says what a page says, once it is whole and its first field takes the keys.
const ready = `document.readyState === "complete" && (!document.querySelector("[autofocus]") || document.activeElement.matches("[autofocus]"))
	? document.body.innerText : ""`

// shows waits until a page says text, and returns all that it says.
func (w *window) shows(text string) string {
	w.t.Helper()
	var body string
	eventually(w.t, "shown: "+text, patience, func() (bool, string) {
		var err error
		if body, err = chromedp.Run(w.ctx, chromedp.Evaluate[string](ready)); err != nil {
			return false, err.Error() // between two pages
		}
		return strings.Contains(body, text), body
	})
	return body
}

// tabTo goes to the element that a selector finds, as far as tabs lead there.
func (w *window) tabTo(selector string) {
	w.t.Helper()
	for range 40 {
		if w.ask(`String(document.activeElement.matches("`+selector+`"))`) == "true" {
			return
		}
		w.keys(kb.Tab)
	}
	require.FailNow(w.t, "no tab leads to "+selector)
}

// diary is a third-party application, with a place where its users come back to.
type diary struct {
	oauth2.Config
	provider *oidc.Provider
	back     chan url.Values
}

func newDiary(t *testing.T, p *platform, scopes ...string) *diary {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), p.PublicURL())
	require.NoError(t, err)
	d := &diary{provider: provider, back: make(chan url.Values, 1)}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/back" {
			d.back <- r.URL.Query()
			_, _ = w.Write([]byte("Welcome back to your diary"))
		}
	}))
	t.Cleanup(site.Close)
	id := unique("diary")
	d.Config = oauth2.Config{ClientID: id, Endpoint: provider.Endpoint(), RedirectURL: site.URL + "/back", Scopes: scopes}
	d.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	p.visitor().at(p.local("HYDRA_ADMIN_PORT")).post(t, "/admin/clients", map[string]any{
		"client_id": id, "client_name": "Blood Pressure Diary", "redirect_uris": []string{d.RedirectURL}, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "scope": strings.Join(scopes, " "), "token_endpoint_auth_method": "none",
	}).wants(t, http.StatusCreated)
	return d
}

// AUTH-4, AUTH-5: refresh tokens rotate, revoked tokens end.
func TestAThirdPartySignsAUserIn(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	d := newDiary(t, p, oidc.ScopeOpenID, oidc.ScopeOfflineAccess, "profile", "email", "account:read", "appointments:read")
	verifier, state, nonce := oauth2.GenerateVerifier(), unique("state"), unique("nonce")

	w := openWindow(t)
	w.visit(d.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)))
	w.shows("to go on to Blood Pressure Diary")
	w.keys(ada.username, kb.Tab, ada.password, kb.Enter)
	w.shows("Allow Blood Pressure Diary?")
	w.tabTo("#scope-appointments\\\\:read")
	w.keys(" ") // unticks it
	w.tabTo("button[value=allow]")
	w.keys(kb.Enter)
	w.shows("Welcome back to your diary")
	back := <-d.back
	require.Equal(t, state, back.Get("state"), back.Encode())

	token, err := d.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	raw, _ := token.Extra("id_token").(string)
	statement, err := d.provider.Verifier(&oidc.Config{ClientID: d.ClientID}).Verify(t.Context(), raw)
	require.NoError(t, err)
	require.Equal(t, ada.id, statement.Subject)
	require.Equal(t, nonce, statement.Nonce)
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Username string `json:"preferred_username"`
	}
	require.NoError(t, statement.Claims(&claims))
	require.Equal(t, ada.email, claims.Email)
	require.True(t, claims.Verified)
	require.Equal(t, ada.username, claims.Username)
	info, err := d.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	require.NoError(t, err)
	require.Equal(t, ada.id, info.Subject)

	app := ada.bearing(token.AccessToken)
	app.get(t, "/auth/v1/me").wants(t, http.StatusOK)
	app.get(t, appointments).refused(t, http.StatusForbidden) // it was unticked

	fresh, err := d.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	require.NoError(t, err)
	require.NotEqual(t, token.RefreshToken, fresh.RefreshToken)
	app = ada.bearing(fresh.AccessToken)
	app.get(t, "/auth/v1/me").wants(t, http.StatusOK)
	form := url.Values{"token": {fresh.RefreshToken}, "client_id": {d.ClientID}}
	p.visitor().post(t, "/oauth2/revoke", []byte(form.Encode()), header("Content-Type", "application/x-www-form-urlencoded")).wants(t, http.StatusOK)
	_, err = d.TokenSource(t.Context(), &oauth2.Token{RefreshToken: fresh.RefreshToken}).Token()
	require.Error(t, err)
	eventually(t, "the access token refused", patience, func() (bool, string) {
		got := app.get(t, "/auth/v1/me")
		return got.StatusCode == http.StatusUnauthorized, got.String()
	})

	w.visit(p.PublicURL() + "/oauth2/sessions/logout?" + url.Values{"id_token_hint": {raw}}.Encode())
	w.shows("Log out?")
	w.tabTo("button")
	w.keys(kb.Enter)
	w.shows("Username or e-mail address")
	w.visit(p.PublicURL() + "/settings")
	w.shows("Username or e-mail address")
}

// AUTH-7, AUTH-8, AUTH-9: the pages from sign-up to log-out, by keyboard and without scripts.
func TestThePagesWorkByKeyboard(t *testing.T) {
	t.Parallel()

	p := shared(t)
	w := openWindow(t)
	username := unique("key")
	email := username + "@example.com"
	w.visit(p.PublicURL() + "/registration")
	w.shows("Make an account")
	w.keys("Kay Board", kb.Tab, username, kb.Tab, email, kb.Tab, "password2026", kb.Enter)
	w.shows("This is one of the passwords that everyone tries.")
	require.Equal(t, "password", w.ask(`document.activeElement.id`), "the mistake has the focus")
	w.keys(password, kb.Enter)
	w.shows("Code from the mail")
	letter := p.text(t, p.mailTo(t, email, 1)[0])
	w.keys(sixDigits.FindString(letter), kb.Enter)
	w.shows("Your address is verified.")
	w.keys(username, kb.Tab, "not-the-password-1", kb.Enter)
	w.shows("Username, address or password is wrong, or the address is not verified yet.")
	w.keys(password, kb.Enter)
	w.shows("Your account")
	require.Contains(t, w.shows("Sessions"), "This one")

	const next = "eleven-Herons-sing-7"
	w.tabTo("#current")
	w.keys(password, kb.Tab, next, kb.Enter)
	w.shows("Your password is changed")
	w.tabTo("header a[href='/logout']")
	w.keys(kb.Enter)
	w.shows("Log out?")
	w.tabTo("button")
	w.keys(kb.Enter)
	w.shows("You are logged out.")
}

// Another site can make a browser send a form with the session cookie; nothing comes of it.
func TestAFormFromAnotherSiteChangesNothing(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	w := openWindow(t)
	w.visit(p.PublicURL() + "/login")
	w.shows("Log in")
	w.keys(ada.username, kb.Tab, ada.password, kb.Enter)
	w.shows("Your account")
	evil := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		_, _ = out.Write([]byte(`<h1>Win a prize</h1><form method="post" action="` + p.PublicURL() + `/settings"><input type="hidden" name="do" value="sessions"><button autofocus>Win</button></form>`))
	}))
	t.Cleanup(evil.Close)
	w.visit(evil.URL)
	w.shows("Win a prize")
	w.tabTo("button")
	w.keys(kb.Enter)
	body := w.shows("nothing was done")
	require.NotContains(t, body, "All other sessions are ended")
	ada.get(t, "/auth/v1/me").wants(t, http.StatusOK)
}
