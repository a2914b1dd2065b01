package auth

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/auth"
)

func TestSignUp(t *testing.T) {
	t.Parallel()

	t.Run("makes an account that logs in by name and address once verified", func(t *testing.T) { // AUTH-8, AUTH-1
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		c := b.signUp(t, username, email)
		letter := b.mail.Await(t, email, "verification_code_valid", 1)
		require.Equal(t, b.cfg.PublicURL+"/verification?id="+c.ID.String()+"&code="+letter.Data["verification_code"], letter.Data["verification_url"])
		early := b.logIn(t, username, goodPassword)
		isProblem(t, errUnverified, early.Body, early.StatusCode())

		b.verify(t, c, email)
		require.NotNil(t, b.logIn(t, email, goodPassword).JSON200)
		u := b.session(t, user{username: username, email: email})
		me, err := b.GetMeWithResponse(t.Context(), b.as(t, u))
		require.NoError(t, err)
		require.NotNil(t, me.JSON200, string(me.Body))
		require.Equal(t, []string{"patient"}, me.JSON200.Roles)
		require.Equal(t, username, me.JSON200.Username)
		require.True(t, me.JSON200.EmailVerified)
	})
}

func TestCodesWorkOnce(t *testing.T) { // AUTH-7
	t.Parallel()

	b := newBench(t)
	username, email := someone()
	c := b.signUp(t, username, email)
	letter := b.mail.Await(t, email, "verification_code_valid", 1)
	wrong, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: "000000"})
	require.NoError(t, err)
	isProblem(t, errCode, wrong.Body, wrong.StatusCode())
	b.verify(t, c, email)
	again, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: letter.Data["verification_code"]})
	require.NoError(t, err)
	isProblem(t, errCode, again.Body, again.StatusCode())
	require.Less(t, time.Until(c.ExpiresAt), codeLifetime+time.Minute)
	require.Equal(t, http.StatusOK, b.logIn(t, username, goodPassword).StatusCode())
}
