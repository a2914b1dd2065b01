package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/services/auth/internal/kratos"
)

// aDayLater lets the sign-ups so far be a day old, and does what is due then.
func (b *bench) aDayLater(t *testing.T) {
	t.Helper()
	tag, err := b.db.Exec(t.Context(), `UPDATE signups SET created_at = now() - interval '1 day 1 second'`)
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected())
	svc := b.service(t)
	require.NoError(t, svc.workUnverified(t.Context(), nil))
}

func (b *bench) has(t *testing.T, identifier string) bool {
	t.Helper()
	_, err := b.kratos.FindIdentity(t.Context(), identifier)
	if !errors.Is(err, kratos.ErrNotFound) {
		require.NoError(t, err)
	}
	return err == nil
}

// service is what works b's jobs, without the queue.
func (b *bench) service(t *testing.T) *service {
	t.Helper()
	return &service{cfg: b.cfg, db: b.db, store: storeOf(b), box: boxOf(t), kratos: b.kratos}
}

func TestUnverifiedAccountsAreDeletedAfterADay(t *testing.T) { // AUTH-8
	t.Parallel()

	b := newBench(t)
	verified := b.newUser(t)
	recovered := user{}
	recovered.username, recovered.email = someone()
	b.signUp(t, recovered.username, recovered.email)
	b.mail.Await(t, recovered.email, "verification_code_valid", 1)
	id, code := b.recovery(t, recovered.email, 1)
	require.Equal(t, http.StatusNoContent, b.confirmRecovery(t, id, code).StatusCode())
	imported, importedEmail := someone()
	body, err := json.Marshal(map[string]any{"schema_id": "default", "traits": kratos.Traits{Username: imported, Email: importedEmail, Name: "Ada"}})
	require.NoError(t, err)
	resp, err := http.Post(b.cfg.KratosAdminURL+"/admin/identities", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	b.signUp(t, imported, "not-"+importedEmail) // who asks for the name has no part in the account

	username, email := someone()
	b.signUp(t, username, email)
	b.mail.Await(t, email, "verification_code_valid", 1)
	require.NoError(t, b.service(t).workUnverified(t.Context(), nil))
	require.True(t, b.has(t, username), "within the day")

	b.aDayLater(t)
	require.False(t, b.has(t, username))
	for _, stays := range []string{verified.username, recovered.username, imported} {
		require.True(t, b.has(t, stays))
	}
	again := b.signUp(t, username, email) // and name and address are free
	letter := b.mail.Await(t, email, "verification_code_valid", 2)
	require.Contains(t, letter.Data["verification_url"], again.ID.String())
}

func TestAUsernameStaysReservedForADay(t *testing.T) { // AUTH-8, AUTH-10
	t.Parallel()

	b := newBench(t)
	owner := b.newUser(t)
	for name, email := range map[string]string{"taken": owner.email, "free": "free" + owner.email} {
		username, own := someone()
		b.signUp(t, username, email)
		settled := func() bool {
			var open int
			require.NoError(t, b.db.QueryRow(t.Context(), `SELECT count(*) FROM challenges WHERE sealed IS NOT NULL`).Scan(&open))
			return open == 0
		}
		eventually(t, settled)
		b.signUp(t, username, own)
		eventually(t, settled)
		require.False(t, b.has(t, own), name)
		require.Empty(t, b.mail.To(own), name)
		var names int
		require.NoError(t, b.db.QueryRow(t.Context(), `SELECT count(*) FROM signups WHERE username = convert_to($1, 'UTF8') OR sealed = convert_to($1, 'UTF8')`, username).Scan(&names))
		require.Zero(t, names, "nothing is in clear")
		b.aDayLater(t)
		b.verify(t, b.signUp(t, username, own), own)
	}
	b.mail.Await(t, owner.email, "signup_attempt", 1)
}
