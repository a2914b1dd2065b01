package auth

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
)

func TestSignUp(t *testing.T) {
	t.Parallel()

	t.Run("makes an account that logs in by name and address once it is verified", func(t *testing.T) { // AUTH-1, AUTH-8
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		c := b.signUp(t, username, email)
		letter := b.mail.Await(t, email, "verification_code_valid", 1)
		require.Equal(t, b.cfg.PublicURL+"/verification?id="+c.ID.String()+"&code="+letter.Data["verification_code"], letter.Data["verification_url"])
		early := b.logIn(t, username, goodPassword)
		isProblem(t, errCredentials, early.Body, early.StatusCode())

		b.verify(t, c, email)
		require.NotNil(t, b.logIn(t, email, goodPassword).JSON200)
		me := b.me(t, b.session(t, user{username: username, email: email}))
		require.Equal(t, []string{"patient"}, me.Roles)
		require.Equal(t, username, me.Username)
		require.True(t, me.EmailVerified)
	})

	t.Run("takes no role from whoever signs up", func(t *testing.T) { // AUTH-1, X-16
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		body := `{"username": "` + username + `", "email": "` + email + `", "name": "Ada", "password": "` + goodPassword + `", "role": "doctor"}`
		resp, err := b.SignUpWithBodyWithResponse(t.Context(), "application/json", bytes.NewBufferString(body))
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode())
	})

	t.Run("points at every wrong field", func(t *testing.T) {
		t.Parallel()

		resp, err := newBench(t).SignUpWithResponse(t.Context(), api.NewAccount{Username: "-", Email: "x", Name: " ", Password: "short"})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode())
		require.ElementsMatch(t, []string{"/username", "/email", "/name", "/password"}, pointers(resp.ApplicationProblemJSON400))
	})

	t.Run("refuses addresses that no mail can go to", func(t *testing.T) { // AUTH-8
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		for _, wrong := range []string{"ada@example..org", "ada@example-.org", "ada@.example.org", "ada@example.org."} {
			resp, err := b.SignUpWithResponse(t.Context(), api.NewAccount{Username: username, Email: wrong, Name: "Ada", Password: goodPassword})
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode(), wrong)
			require.Equal(t, []string{"/email"}, pointers(resp.ApplicationProblemJSON400))
		}
		b.signUp(t, username, "ada.."+email) // Kratos refuses this one, and the job does not ask it for ever
		eventually(t, func() bool {
			var open int
			require.NoError(t, b.db.QueryRow(t.Context(), `SELECT count(*) FROM challenges WHERE sealed IS NOT NULL`).Scan(&open))
			return open == 0
		})
	})

	t.Run("refuses passwords that are easy to guess", func(t *testing.T) { // AUTH-8
		t.Parallel()

		username, email := someone()
		resp, err := newBench(t).SignUpWithResponse(t.Context(), api.NewAccount{Username: username, Email: email, Name: "Ada", Password: "Password2026!"})
		require.NoError(t, err)
		isProblem(t, weakPassword, resp.Body, resp.StatusCode())
		require.Equal(t, []string{"/password"}, pointers(resp.ApplicationProblemJSON400))
	})

	t.Run("is limited for one sender and one address", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		account := api.NewAccount{Username: username, Email: email, Name: "Ada", Password: goodPassword}
		for range codesPerPair.tries {
			b.signUp(t, username, email)
		}
		resp, err := b.SignUpWithResponse(t.Context(), account)
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode())
		require.NotEmpty(t, resp.HTTPResponse.Header.Get("Retry-After"))
		for i := range codesPerAddress.tries - codesPerPair.tries { // others have their share
			resp, err = b.SignUpWithResponse(t.Context(), account, sentFrom(int(i)))
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, resp.StatusCode())
		}
		resp, err = b.SignUpWithResponse(t.Context(), account, sentFrom(200))
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, resp.StatusCode())
	})
}

func TestSignUpWithTakenNameOrAddress(t *testing.T) { // AUTH-2, AUTH-8, AUTH-10
	t.Parallel()

	b := newBench(t)
	owner := b.newUser(t)
	otherName, otherEmail := someone()
	free := b.signUp(t, otherName, otherEmail)

	name, email := someone()
	for _, attempt := range []api.NewAccount{
		{Username: name, Email: owner.email, Name: "Mallory", Password: "mallorys-own-Password-7"},
		{Username: owner.username, Email: email, Name: "Mallory", Password: "mallorys-own-Password-7"},
	} {
		resp, err := b.SignUpWithResponse(t.Context(), attempt)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, resp.StatusCode()) // as for a free one
		require.NotEqual(t, free.ID, resp.JSON202.ID)
		early := b.logIn(t, attempt.Username, attempt.Password)
		isProblem(t, errCredentials, early.Body, early.StatusCode()) // as for a free one, which is not verified
		require.WithinDuration(t, time.Now().Add(codeLifetime), resp.JSON202.ExpiresAt, time.Minute)
		began := time.Now()
		confirm, err := b.ConfirmVerificationWithResponse(t.Context(), resp.JSON202.ID, api.Code{Code: "123456"})
		require.NoError(t, err)
		isProblem(t, errCode, confirm.Body, confirm.StatusCode())
		require.GreaterOrEqual(t, time.Since(began), evenly, "as if there was one to check")
	}

	b.mail.Await(t, owner.email, "signup_attempt", 1)
	before := b.me(t, owner)
	require.Equal(t, "Ada Lovelace", before.Name)
	require.NotNil(t, b.logIn(t, owner.username, goodPassword).JSON200)
	wrong := b.logIn(t, owner.email, "mallorys-own-Password-7")
	isProblem(t, errCredentials, wrong.Body, wrong.StatusCode())
	require.Empty(t, b.mail.To(email), "the name tells nothing either")
}

// What takes the same steps takes the same time: whether a name is free is asked after the answer.
func TestSignUpAsksNobody(t *testing.T) {
	t.Parallel()

	b, kratos, _ := newCuttable(t)
	owner := b.newUser(t)
	kratos.Cut(true)
	name, email := someone()
	b.signUp(t, owner.username, owner.email)
	challenge := b.signUp(t, name, email)
	kratos.Cut(false)
	b.verify(t, challenge, email) // nothing is lost while Kratos is away
}

func TestConfirmVerification(t *testing.T) {
	t.Parallel()

	t.Run("takes a code once", func(t *testing.T) { // AUTH-7
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		c := b.signUp(t, username, email)
		b.verify(t, c, email)
		code := b.mail.Await(t, email, "verification_code_valid", 1).Data["verification_code"]
		again, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: code})
		require.NoError(t, err)
		isProblem(t, errCode, again.Body, again.StatusCode())
	})

	t.Run("refuses the right code after too many wrong ones", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		username, email := someone()
		c := b.signUp(t, username, email)
		code := b.mail.Await(t, email, "verification_code_valid", 1).Data["verification_code"]
		for range 6 {
			_, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: "000000"})
			require.NoError(t, err)
		}
		late, err := b.ConfirmVerificationWithResponse(t.Context(), c.ID, api.Code{Code: code})
		require.NoError(t, err)
		isProblem(t, errCode, late.Body, late.StatusCode())
	})

	t.Run("does not know the challenge", func(t *testing.T) {
		t.Parallel()

		resp, err := newBench(t).ConfirmVerificationWithResponse(t.Context(), uuid.New(), api.Code{Code: "123456"})
		require.NoError(t, err)
		isProblem(t, errCode, resp.Body, resp.StatusCode())
	})
}

func TestCreateVerification(t *testing.T) { // AUTH-8
	t.Parallel()

	b := newBench(t)
	username, email := someone()
	b.signUp(t, username, email)
	b.mail.Await(t, email, "verification_code_valid", 1)
	resent, err := b.CreateVerificationWithResponse(t.Context(), api.Address{Email: email})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resent.StatusCode())
	code := b.mail.Await(t, email, "verification_code_valid", 2).Data["verification_code"]
	ok, err := b.ConfirmVerificationWithResponse(t.Context(), resent.JSON202.ID, api.Code{Code: code})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, ok.StatusCode())

	_, unknown := someone()
	same, err := b.CreateVerificationWithResponse(t.Context(), api.Address{Email: unknown})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, same.StatusCode())
	require.Empty(t, b.mail.To(unknown))
}

func TestConfirmRecovery(t *testing.T) { // AUTH-9
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	for range guessesPerPair.tries + 1 {
		b.logIn(t, u.email, "not the password")
	}
	require.Equal(t, http.StatusTooManyRequests, b.logIn(t, u.email, goodPassword).StatusCode())

	asked, err := b.CreateRecoveryWithResponse(t.Context(), api.Address{Email: u.email})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.StatusCode())
	letter := b.mail.Await(t, u.email, "recovery_code_valid", 1)
	require.Contains(t, letter.Data["recovery_url"], "/recovery?id="+asked.JSON202.ID.String())

	weak, err := b.ConfirmRecoveryWithResponse(t.Context(), asked.JSON202.ID, api.NewPassword{Code: letter.Data["recovery_code"], Password: "1234567890"})
	require.NoError(t, err)
	isProblem(t, weakPassword, weak.Body, weak.StatusCode())
	const fresh = "a-fresh-Start-for-2026"
	set, err := b.ConfirmRecoveryWithResponse(t.Context(), asked.JSON202.ID, api.NewPassword{Code: letter.Data["recovery_code"], Password: fresh})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, set.StatusCode(), string(set.Body))

	require.Equal(t, http.StatusUnauthorized, b.forwardAuth(t, bearer(u.token)).StatusCode, "every session ends")
	require.NotNil(t, b.logIn(t, u.email, fresh).JSON200, "the lock is lifted")
	old := b.logIn(t, u.username, goodPassword)
	isProblem(t, errCredentials, old.Body, old.StatusCode())
	again, err := b.ConfirmRecoveryWithResponse(t.Context(), asked.JSON202.ID, api.NewPassword{Code: letter.Data["recovery_code"], Password: fresh})
	require.NoError(t, err)
	isProblem(t, errCode, again.Body, again.StatusCode())
}

func TestCreateRecoveryTellsNothing(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	_, unknown := someone()
	resp, err := b.CreateRecoveryWithResponse(t.Context(), api.Address{Email: unknown})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resp.StatusCode())
	require.Empty(t, b.mail.To(unknown))
	set, err := b.ConfirmRecoveryWithResponse(t.Context(), resp.JSON202.ID, api.NewPassword{Code: "123456", Password: goodPassword})
	require.NoError(t, err)
	isProblem(t, errCode, set.Body, set.StatusCode())
}

// recovery asks for a new password and returns the code, the nth (from 1) that the address gets.
func (b *bench) recovery(t *testing.T, email string, n int) (uuid.UUID, string) {
	t.Helper()
	asked, err := b.CreateRecoveryWithResponse(t.Context(), api.Address{Email: email})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.StatusCode())
	return asked.JSON202.ID, b.mail.Await(t, email, "recovery_code_valid", n).Data["recovery_code"]
}

func (b *bench) confirmRecovery(t *testing.T, id uuid.UUID, code string, edits ...api.RequestEditorFn) *api.ConfirmRecoveryResponse {
	t.Helper()
	resp, err := b.ConfirmRecoveryWithResponse(t.Context(), id, api.NewPassword{Code: code, Password: "a-fresh-Start-for-2026"}, edits...)
	require.NoError(t, err)
	return resp
}

// Whoever was in the mailbox, or in a session, keeps no way back in.
func TestCodesBecomeVoid(t *testing.T) { // AUTH-7, AUTH-9
	t.Parallel()

	b := newBench(t)
	for name, secure := range map[string]func(t *testing.T, u user){
		"by a recovery": func(t *testing.T, u user) {
			id, code := b.recovery(t, u.email, 2)
			done := b.confirmRecovery(t, id, code)
			require.Equal(t, http.StatusNoContent, done.StatusCode(), string(done.Body))
		},
		"by a change of the password": func(t *testing.T, u user) {
			done, err := b.ChangePasswordWithResponse(t.Context(), api.PasswordChange{CurrentPassword: goodPassword, NewPassword: otherPassword}, b.as(t, u))
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, done.StatusCode(), string(done.Body))
		},
		"by a change of the address": func(t *testing.T, u user) {
			_, next := someone()
			asked, err := b.ChangeEmailWithResponse(t.Context(), api.EmailChange{Email: next, Password: goodPassword}, b.as(t, u))
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, asked.StatusCode())
			code := b.mail.Await(t, next, "verification_code", 1).Data["code"]
			done, err := b.ConfirmEmailWithResponse(t.Context(), api.Code{Code: code}, b.as(t, u))
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, done.StatusCode(), string(done.Body))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			u := b.newUser(t)
			id, code := b.recovery(t, u.email, 1)
			secure(t, u)
			late := b.confirmRecovery(t, id, code)
			isProblem(t, errCode, late.Body, late.StatusCode())
		})
	}
}

func TestWrongCodesOfADay(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	for _, known := range []bool{true, false} {
		t.Run(map[bool]string{true: "with an account", false: "without one"}[known], func(t *testing.T) {
			t.Parallel()

			_, email := someone()
			if known {
				email = b.newUser(t).email
			}
			guess := func(who int, n int32) {
				asked, err := b.CreateRecoveryWithResponse(t.Context(), api.Address{Email: email}, sentFrom(who))
				require.NoError(t, err)
				require.NotNil(t, asked.JSON202, string(asked.Body))
				for range n {
					wrong := b.confirmRecovery(t, asked.JSON202.ID, "000000", sentFrom(who))
					isProblem(t, errCode, wrong.Body, wrong.StatusCode())
				}
				over := b.confirmRecovery(t, asked.JSON202.ID, "000000", sentFrom(who))
				require.Equal(t, http.StatusTooManyRequests, over.StatusCode())
				require.NotEmpty(t, over.HTTPResponse.Header.Get("Retry-After"))
			}
			guess(1, wrongCodesPerPair.tries)
			if known { // the owner's codes are not used up
				id, code := b.recovery(t, email, 2)
				ok := b.confirmRecovery(t, id, code)
				require.Equal(t, http.StatusNoContent, ok.StatusCode(), string(ok.Body))
			}
			guess(2, wrongCodesPerPair.tries)
			guess(3, wrongCodesPerAccount.tries-2*wrongCodesPerPair.tries)
			guess(4, 0)
		})
	}
}

// sentFrom makes a request come from the nth of 250 network addresses.
func sentFrom(n int) api.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Forwarded-For", "192.0.2."+strconv.Itoa(n+1))
		return nil
	}
}

func pointers(p *problem.Problem) []string {
	var all []string
	for _, f := range p.Errors {
		all = append(all, f.Pointer)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// me is what the API says of u to u.
func (b *bench) me(t *testing.T, u user) *api.Me {
	t.Helper()
	resp, err := b.GetMeWithResponse(t.Context(), b.as(t, u))
	require.NoError(t, err)
	require.NotNil(t, resp.JSON200, string(resp.Body))
	return resp.JSON200
}
