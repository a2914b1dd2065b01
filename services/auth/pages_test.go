package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/services/auth/internal/gate"
)

func TestPages(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	for _, path := range []string{"/login", "/registration", "/verification", "/recovery", "/logout", "/error?error=invalid_request"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()

			resp, body := newBrowser(t, b).get(b.cfg.PublicURL + path)
			require.Contains(t, body, `<html lang="en">`)
			require.Contains(t, body, "<h1>")
			require.NotContains(t, body, "<script")
			require.NotContains(t, body, "style=")
			require.Equal(t, strings.Count(body, "<label "), strings.Count(body, "<input id="), "each input has its label")
			policy := resp.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
				require.Contains(t, policy, part)
			}
			require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		})
	}
}

func TestPagesSignUpToDeletion(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	br := newBrowser(t, b)
	username, email := someone()
	at := func(path string) string { return b.cfg.PublicURL + path }
	resp, body := br.submit(at("/registration"), url.Values{"name": {"Ada"}, "username": {"-"}, "email": {email}, "password": {goodPassword}})
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Contains(t, body, `aria-invalid="true"`)
	require.Contains(t, body, `aria-describedby="username-error username-hint"`)
	require.Contains(t, body, `value="`+email+`"`, "what was typed stays")
	require.NotContains(t, body, goodPassword)

	_, body = br.submit(at("/registration"), url.Values{"name": {"Ada"}, "username": {username}, "email": {email}, "password": {goodPassword}})
	require.Contains(t, body, "Verify your address")
	link := b.mail.Await(t, email, "verification_code_valid", 1).Data["verification_url"]
	_, body = br.get(link)
	require.Contains(t, body, "Verify your address", "following the link changes nothing") // AUTH-7
	early := b.logIn(t, username, goodPassword)
	isProblem(t, errCredentials, early.Body, early.StatusCode())
	form := hiddenValues(body)
	form.Del("do")
	u, err := url.Parse(link)
	require.NoError(t, err)
	form.Set("code", u.Query().Get("code"))
	_, body = br.submit(at("/verification"), form)
	require.Contains(t, body, "Your address is verified.")

	resp, body = br.submit(at("/login"), url.Values{"identifier": {email}, "password": {"not-the-Password-1"}})
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.Contains(t, body, `role="alert"`)
	br.logIn(user{username: username})
	_, body = br.get(at("/settings"))
	require.Contains(t, body, "Firefox on Linux")

	_, body = br.submit(at("/settings"), url.Values{"do": {"name"}, "name": {" "}})
	require.Contains(t, body, "Enter your name.")
	_, body = br.submit(at("/settings"), url.Values{"do": {"name"}, "name": {"Ada & King"}})
	require.Contains(t, body, "Your name is changed.")
	require.Contains(t, body, "Ada &amp; King")
	_, body = br.submit(at("/settings"), url.Values{"do": {"password"}, "current_password": {goodPassword}, "new_password": {otherPassword}})
	require.Contains(t, body, "Your password is changed")
	_, body = br.submit(at("/settings"), url.Values{"do": {"delete"}, "password": {goodPassword}})
	require.Contains(t, body, "The current password is wrong.")
	_, body = br.submit(at("/settings"), url.Values{"do": {"delete"}, "password": {otherPassword}})
	require.Contains(t, body, "Your account is deleted.")
	_, body = br.get(at("/settings"))
	require.Contains(t, body, "Log in")
}

func TestPagesRecoverAndLogOut(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	br := newBrowser(t, b)
	u := b.newUser(t)
	_, body := br.submit(b.cfg.PublicURL+"/recovery", url.Values{"do": {"send"}, "email": {u.email}})
	require.Contains(t, body, "If an account has this address")
	form := hiddenValues(body)
	form.Del("do")
	form.Set("code", b.mail.Await(t, u.email, "recovery_code_valid", 1).Data["recovery_code"])
	form.Set("password", "password1234")
	_, body = br.submit(b.cfg.PublicURL+"/recovery", form)
	require.Contains(t, body, "everyone tries")
	form.Set("password", goodPassword+"-new")
	_, body = br.submit(b.cfg.PublicURL+"/recovery", form)
	require.Contains(t, body, "Your password is set.")

	_, body = br.submit(b.cfg.PublicURL+"/login", url.Values{"identifier": {u.username}, "password": {goodPassword + "-new"}})
	require.Contains(t, body, "Your account")
	page, err := url.Parse(b.cfg.PublicURL)
	require.NoError(t, err)
	token := br.Jar.Cookies(page)[0].Value
	_, body = br.submit(b.cfg.PublicURL+"/logout", url.Values{})
	require.Contains(t, body, "You are logged out.")
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(token)).StatusCode)
}

func TestPagesShareTheLock(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	for range guessesPerPair.tries {
		b.logIn(t, u.username, "not-the-Password-1")
	}
	resp, body := newBrowser(t, b).submit(b.cfg.PublicURL+"/login", url.Values{"identifier": {u.username}, "password": {goodPassword}})
	require.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
	require.Contains(t, body, "That were too many tries.")
}

func TestPagesTakeNoFormsFromElsewhere(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	for name, header := range map[string]http.Header{
		"by origin":         {"Origin": {"https://evil.example"}},
		"by fetch metadata": {"Sec-Fetch-Site": {"cross-site"}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/settings", strings.NewReader("do=sessions"))
		require.NoError(t, err)
		req.Header = header
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(&http.Cookie{Name: gate.Cookie, Value: u.token})
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode, name)
	}
}

func TestErrorPageSaysNothingThatOthersWrote(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	_, body := newBrowser(t, b).get(b.cfg.PublicURL + "/error?error=Call+us&error_description=Call+555-0100+now")
	require.NotContains(t, body, "555")
	require.NotContains(t, body, "Call us")
}

func TestPagesAnswerBadInputAsSuch(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	for _, c := range []struct {
		method, path, form string
		want               int
	}{
		{"GET", "/login?utm=a;b&c=%zz", "", http.StatusOK},
		{"POST", "/login", "identifier=%zz", http.StatusBadRequest},
		{"POST", "/login", "identifier=%00&password=x", http.StatusBadRequest},
		{"GET", "/login?login_challenge=unknown", "", http.StatusGone},
		{"GET", "/consent", "", http.StatusGone},
		{"POST", "/consent", "do=allow", http.StatusGone},
		{"GET", "/logout?logout_challenge=unknown", "", http.StatusGone},
		{"POST", "/verification", "id=..&code=123456", http.StatusNotFound},
		{"POST", "/settings", "do=session&id=..", http.StatusNotFound},
		{"POST", "/settings", "do=email&password=" + strings.Repeat("x", 17<<10), http.StatusRequestEntityTooLarge},
		{"GET", "/static/", "", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, b.url+c.path, strings.NewReader(c.form))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(c.path, "/settings") {
			req.AddCookie(&http.Cookie{Name: gate.Cookie, Value: u.token})
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.want, resp.StatusCode, c.method+" "+c.path)
	}
}

func TestPagesWithoutHydra(t *testing.T) {
	t.Parallel()

	b, _, hydra := newCuttable(t)
	hydra.Cut(true)
	resp, body := newBrowser(t, b).get(b.cfg.PublicURL + "/login?login_challenge=any")
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Contains(t, body, "We will be right back")
}
