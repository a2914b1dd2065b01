package auth

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/auth/internal/seal"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const otherPassword = "eleven-Herons-sing-7"

func storeOf(b *bench) *store.Queries { return store.New(b.db) }

func boxOf(t *testing.T) seal.Box {
	t.Helper()
	box, err := seal.New(config.Secret("a-secret-of-the-tests"))
	require.NoError(t, err)
	return box
}

func listSessions(limit int, cursor *string) *api.ListSessionsParams {
	return &api.ListSessionsParams{Limit: &limit, Cursor: cursor}
}

func TestGetMe(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	nobody, err := b.GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, nobody.StatusCode())
	require.NotEmpty(t, nobody.HTTPResponse.Header.Get("WWW-Authenticate"))

	service, err := b.GetMeWithResponse(t.Context(), b.asService(t, "mail:send"))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, service.StatusCode())

	u := b.newUser(t)
	me := b.me(t, u)
	require.Equal(t, u.id, me.ID)
	require.Equal(t, u.session, me.SessionID.String())
	require.Contains(t, me.Scopes, "appointments:write")
	require.NotContains(t, me.Scopes, "roles:review")
}

func TestUpdateMe(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	nobody, err := b.UpdateMeWithResponse(t.Context(), api.MeChange{Name: "Ada King"})
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, nobody.StatusCode())
	service, err := b.UpdateMeWithResponse(t.Context(), api.MeChange{Name: "Ada King"}, b.asService(t, "mail:send"))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, service.StatusCode())

	u := b.newUser(t)
	before := b.me(t, u)
	bad, err := b.UpdateMeWithResponse(t.Context(), api.MeChange{Name: " "}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, bad.StatusCode())
	require.Equal(t, []string{"/name"}, pointers(bad.ApplicationProblemJSON400))
	ok, err := b.UpdateMeWithResponse(t.Context(), api.MeChange{Name: "Ada King"}, b.as(t, u))
	require.NoError(t, err)
	require.NotNil(t, ok.JSON200, string(ok.Body))
	before.Name = "Ada King"
	require.Equal(t, before, ok.JSON200, "nothing else changes")
	require.Equal(t, before, b.me(t, u))
	require.NotNil(t, b.logIn(t, u.email, goodPassword).JSON200)
}

func TestChangePassword(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	elsewhere := b.session(t, u)
	change := func(current, next string) *api.ChangePasswordResponse {
		resp, err := b.ChangePasswordWithResponse(t.Context(), api.PasswordChange{CurrentPassword: current, NewPassword: next}, b.as(t, u))
		require.NoError(t, err)
		return resp
	}
	wrong := change("not-the-Password-1", otherPassword)
	isProblem(t, errWrongPassword, wrong.Body, wrong.StatusCode())
	weak := change(goodPassword, u.username+"12")
	isProblem(t, weakPassword, weak.Body, weak.StatusCode())
	require.Equal(t, []string{"/new_password"}, pointers(weak.ApplicationProblemJSON400))

	ok := change(goodPassword, otherPassword)
	require.Equal(t, http.StatusNoContent, ok.StatusCode(), string(ok.Body))
	require.NotNil(t, b.logIn(t, u.username, otherPassword).JSON200)
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(elsewhere.token)).StatusCode)
	require.Equal(t, http.StatusOK, b.forwardAuth(t, bearer(u.token)).StatusCode, "the own session goes on")
}

func TestChangePasswordDropsAChangeOfAddress(t *testing.T) { // a stranger in the session may have asked for it
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	_, next := someone()
	asked, err := b.ChangeEmailWithResponse(t.Context(), api.EmailChange{Email: next, Password: goodPassword}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.StatusCode())
	code := b.mail.Await(t, next, "verification_code", 1).Data["code"]
	changed, err := b.ChangePasswordWithResponse(t.Context(), api.PasswordChange{CurrentPassword: goodPassword, NewPassword: otherPassword}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, changed.StatusCode(), string(changed.Body))
	late, err := b.ConfirmEmailWithResponse(t.Context(), api.Code{Code: code}, b.as(t, u))
	require.NoError(t, err)
	isProblem(t, errCode, late.Body, late.StatusCode())
}

func TestChangeEmail(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	_, next := someone()
	confirm := func(code string) *api.ConfirmEmailResponse {
		resp, err := b.ConfirmEmailWithResponse(t.Context(), api.Code{Code: code}, b.as(t, u))
		require.NoError(t, err)
		return resp
	}
	early := confirm("123456")
	isProblem(t, errCode, early.Body, early.StatusCode())
	wrong, err := b.ChangeEmailWithResponse(t.Context(), api.EmailChange{Email: next, Password: "not-the-Password-1"}, b.as(t, u))
	require.NoError(t, err)
	isProblem(t, errWrongPassword, wrong.Body, wrong.StatusCode())

	asked, err := b.ChangeEmailWithResponse(t.Context(), api.EmailChange{Email: next, Password: goodPassword}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.StatusCode())
	code := b.mail.Await(t, next, "verification_code", 1).Data["code"]
	b.mail.Await(t, u.id.String(), "email_change", 1)
	require.Equal(t, u.email, b.me(t, u).Email, "until it is confirmed")

	ok := confirm(code)
	require.Equal(t, http.StatusNoContent, ok.StatusCode(), string(ok.Body))
	me := b.me(t, u)
	require.Equal(t, next, me.Email)
	require.True(t, me.EmailVerified)
	require.NotNil(t, b.logIn(t, next, goodPassword).JSON200)
	old := b.logIn(t, u.email, goodPassword)
	isProblem(t, errCredentials, old.Body, old.StatusCode())
	again := confirm(code)
	isProblem(t, errCode, again.Body, again.StatusCode())
}

func TestChangeEmailToTakenAddress(t *testing.T) { // AUTH-8
	t.Parallel()

	b := newBench(t)
	u, owner := b.newUser(t), b.newUser(t)
	asked, err := b.ChangeEmailWithResponse(t.Context(), api.EmailChange{Email: owner.email, Password: goodPassword}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.StatusCode())
	b.mail.Await(t, owner.email, "signup_attempt", 1)
	for range emailTries + 1 {
		resp, err := b.ConfirmEmailWithResponse(t.Context(), api.Code{Code: "123456"}, b.as(t, u))
		require.NoError(t, err)
		isProblem(t, errCode, resp.Body, resp.StatusCode())
	}
	require.Equal(t, u.email, b.me(t, u).Email)
}

func TestDeleteAccount(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	wrong, err := b.DeleteAccountWithResponse(t.Context(), api.Password{Password: "not-the-Password-1"}, b.as(t, u))
	require.NoError(t, err)
	isProblem(t, errWrongPassword, wrong.Body, wrong.StatusCode())
	ok, err := b.DeleteAccountWithResponse(t.Context(), api.Password{Password: goodPassword}, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, ok.StatusCode(), string(ok.Body))
	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(u.token)).StatusCode)
	gone := b.logIn(t, u.username, goodPassword)
	isProblem(t, errCredentials, gone.Body, gone.StatusCode())
}

func TestGetContact(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	ok, err := b.GetContactWithResponse(t.Context(), u.id, b.asService(t, "contacts:read"))
	require.NoError(t, err)
	require.NotNil(t, ok.JSON200, string(ok.Body))
	require.Equal(t, api.Contact{Email: u.email, Name: "Ada Lovelace", Verified: true}, *ok.JSON200)
	self, err := b.GetContactWithResponse(t.Context(), u.id, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, self.StatusCode(), "no person has this scope")
	unknown, err := b.GetContactWithResponse(t.Context(), uuid.New(), b.asService(t, "contacts:read"))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, unknown.StatusCode())
}

func TestGetJWKS(t *testing.T) { // AUTH-11, X-1
	t.Parallel()

	resp, err := newBench(t).GetJWKSWithResponse(t.Context())
	require.NoError(t, err)
	require.Len(t, resp.JSON200.Keys, 1)
	require.Equal(t, "Ed25519", resp.JSON200.Keys[0].Crv)
	require.NotContains(t, string(resp.Body), `"d"`, "no private part")
}

func openURL(t *testing.T, url config.Secret) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, "auth")
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}
