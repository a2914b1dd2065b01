package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const machineSecret = "secret-of-a-machine"

// machine is an application of its own that has scopes by client credentials.
func (p *platform) machine(t *testing.T, scopes ...string) *caller {
	t.Helper()
	c, id := p.visitor(), unique("machine")
	c.at(p.local("HYDRA_ADMIN_PORT")).post(t, "/admin/clients", map[string]any{
		"client_id": id, "client_secret": machineSecret, "grant_types": []string{"client_credentials"}, "scope": strings.Join(scopes, " "),
	}).wants(t, http.StatusCreated)
	return c.bearing(c.fetchToken(t, url.Values{"grant_type": {"client_credentials"}, "scope": {strings.Join(scopes, " ")}}, basic(id, machineSecret)))
}

// application acts for a person with what it was granted, by authorization code and PKCE. The pages on the way are not the
// subject here: what a person would click, Hydra's administration says.
func (c *caller) application(t *testing.T, scopes ...string) *caller {
	t.Helper()
	browser, id := c.p.visitor(), unique("app")
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser.client.Jar = jar
	hydra := browser.at(c.p.local("HYDRA_ADMIN_PORT"))
	const back = "https://app.example/back"
	hydra.post(t, "/admin/clients", map[string]any{
		"client_id": id, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"}, "redirect_uris": []string{back},
		"scope": strings.Join(scopes, " "), "token_endpoint_auth_method": "none",
	}).wants(t, http.StatusCreated)

	verifier := unique("verifier") + unique("verifier") + unique("verifier")
	sum := sha256.Sum256([]byte(verifier))
	next := browser.get(t, "/oauth2/auth?"+url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {back}, "scope": {strings.Join(scopes, " ")}, "state": {unique("state")},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	next = browser.accept(t, hydra, next, "login", map[string]any{"subject": c.id})
	next = browser.accept(t, hydra, next, "consent", map[string]any{"grant_scope": scopes})
	code := target(t, next).Query().Get("code")
	require.NotEmpty(t, code, "%s", next)
	return browser.bearing(browser.fetchToken(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}, "client_id": {id}, "code_verifier": {verifier},
	}))
}

// accept says yes to what the last answer asks for, and follows to the next.
func (c *caller) accept(t *testing.T, hydra *caller, asked answer, kind string, body any) answer {
	t.Helper()
	challenge := target(t, asked).Query().Get(kind + "_challenge")
	require.NotEmpty(t, challenge, "%s %s", asked, asked.Header.Get("Location"))
	var on struct {
		RedirectTo string `json:"redirect_to"`
	}
	hydra.do(t, http.MethodPut, "/admin/oauth2/auth/requests/"+kind+"/accept?"+url.Values{kind + "_challenge": {challenge}}.Encode(), body).
		wants(t, http.StatusOK).decode(t, &on)
	return c.at("").get(t, on.RedirectTo)
}

func target(t *testing.T, a answer) *url.URL {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	return u
}

func (c *caller) fetchToken(t *testing.T, form url.Values, edits ...edit) string {
	t.Helper()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	edits = append(edits, header("Content-Type", "application/x-www-form-urlencoded"))
	c.post(t, "/oauth2/token", []byte(form.Encode()), edits...).wants(t, http.StatusOK).decode(t, &tokens)
	require.NotEmpty(t, tokens.AccessToken)
	return tokens.AccessToken
}

func basic(id, secret string) edit {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// AUTH-1, X-16: scopes decide, and a token has those that were granted and its person's roles allow.
func TestATokenDoesNoMoreThanItWasGranted(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.patient(t)

	t.Run("it does that", func(t *testing.T) {
		t.Parallel()
		app := ada.application(t, "appointments:read")
		app.get(t, appointments).wants(t, http.StatusOK)
		require.Equal(t, ada.id, app.get(t, "/appointment/v1/me/patient").wants(t, http.StatusOK).id(t))
	})

	t.Run("and nothing else, in no operation", func(t *testing.T) {
		t.Parallel()
		app := ada.application(t, "appointments:read")
		for _, o := range operations(t) {
			if o.secured && !o.internal && !o.allows("appointments:read") {
				app.do(t, o.method, o.url(), o.example()).refused(t, http.StatusForbidden)
			}
		}
	})

	t.Run("and not what was granted beyond the person's roles", func(t *testing.T) {
		t.Parallel()
		app := ada.application(t, "account:read", "schedule:read", "patients:read", "roles:review", "mail:read", "mail:send", "reference:write")
		var who struct{ Scopes []string }
		app.get(t, me).wants(t, http.StatusOK).decode(t, &who)
		require.Equal(t, []string{"account:read"}, who.Scopes)
		app.get(t, "/appointment/v1/schedule").refused(t, http.StatusForbidden)
		app.get(t, "/mailing/v1/messages").refused(t, http.StatusForbidden)
	})

	t.Run("nor with somebody else's identity, which only services may ask for", func(t *testing.T) {
		t.Parallel()
		app := ada.application(t, "account:read")
		app.get(t, "/auth/v1/users/"+p.person(t).id+"/contact").refused(t, http.StatusNotFound)
	})
}

// allows tells whether an operation can be called with these scopes alone.
func (o operation) allows(scopes ...string) bool {
	has := map[string]bool{}
	for _, s := range scopes {
		has[s] = true
	}
	for _, requirement := range *o.doc.Security {
		met := true
		for _, needed := range requirement {
			for _, s := range needed {
				met = met && has[s]
			}
		}
		if met {
			return true
		}
	}
	return false
}

// a machine is nobody's account. Whatever it was registered with, it has no scopes but those that the contract gives machines.
func TestAMachineWithEveryScopeBreaksNothing(t *testing.T) {
	t.Parallel()

	p := shared(t)
	forMachines := []string{"mail:send", "contacts:read", "identities:exchange"}
	forPeople := []string{
		"account:read", "account:write", "appointments:read", "appointments:write", "schedule:read", "schedule:write",
		"patients:read", "forum:read", "forum:write", "forum:moderate", "reference:write", "roles:review", "mail:read",
	}
	machine := p.machine(t, append(forPeople, forMachines...)...)
	for _, o := range operations(t) {
		if o.internal {
			continue
		}
		got := machine.do(t, o.method, o.url(), o.example())
		if o.secured && !o.allows(forMachines...) {
			got.refused(t, http.StatusForbidden)
		}
		if got.StatusCode >= http.StatusBadRequest {
			_, err := got.problem()
			require.NoError(t, err, "%s: %s", o.id, got)
		}
		if got.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s: %s", o.id, got)
		}
	}
}
