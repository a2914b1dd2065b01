package mailing

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/kit/config"
	api "github.com/healthe/healthe/openapi/mailing"
)

func bearer(secret config.Secret) api.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
		return nil
	}
}

// courier hands a mail over as Kratos does.
func (b *bench) courier(address, code string) *api.DeliverCourierMailResponse {
	b.t.Helper()
	resp, err := b.DeliverCourierMailWithResponse(b.t.Context(), api.CourierMail{
		Recipient: address, TemplateType: api.VerificationCodeValid,
		TemplateData: map[string]any{
			"to": address, "verification_code": code, "verification_url": "http://localhost:8080/verification?flow=1",
			"identity": map[string]any{"traits": map[string]any{"email": address}}, "request_url": "http://localhost:8080/", "expires_in_minutes": 15,
		},
	}, bearer(courierSecret))
	require.NoError(b.t, err)
	return resp
}

func TestDeliverCourierMail(t *testing.T) {
	t.Parallel()

	t.Run("sends a code", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		accepted := b.courier("ada@example.org", "123456").JSON202
		require.NotNil(t, accepted)
		require.Equal(t, 1, b.count("SELECT count(*) FROM messages WHERE expires_at BETWEEN now() + interval '14 minutes' AND now() + interval '15 minutes'"))
		require.Equal(t, urgentPriority, b.count("SELECT priority FROM river_job WHERE kind = 'deliver'"))
		b.work().await(accepted.ID, api.Sent)
		parts := b.smtp.received()[0].parts(t)
		require.Contains(t, parts["text/plain"], "123456")
		require.Contains(t, parts["text/plain"], "http://localhost:8080/verification?flow=1")
		require.Contains(t, parts["text/html"], "123456")
		require.Zero(t, b.count("SELECT count(*) FROM messages WHERE data IS NOT NULL"), "a code is not kept")
	})

	t.Run("says nothing telling to an address without an account", func(t *testing.T) {
		t.Parallel()

		b := newBench(t).work()
		resp, err := b.DeliverCourierMailWithResponse(t.Context(), api.CourierMail{
			Recipient: "ada@example.org", TemplateType: api.RecoveryCodeInvalid, TemplateData: map[string]any{"to": "ada@example.org"},
		}, bearer(courierSecret))
		require.NoError(t, err)
		b.await(resp.JSON202.ID, api.Sent)
		require.Equal(t, "Someone asked for a code for this address", b.smtp.received()[0].header(t, "Subject"))
	})

	t.Run("takes a mail that is handed over again for the same", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		first, again, other := b.courier("ada@example.org", "123456"), b.courier("ada@example.org", "123456"), b.courier("ada@example.org", "654321")
		require.Equal(t, first.JSON202.ID, again.JSON202.ID)
		require.NotEqual(t, first.JSON202.ID, other.JSON202.ID)
		b.exec("UPDATE messages SET created_at = created_at - interval '11 minutes'")
		require.NotEqual(t, first.JSON202.ID, b.courier("ada@example.org", "123456").JSON202.ID)
	})

	t.Run("does not send a code that is no longer good", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		accepted := b.courier("ada@example.org", "123456").JSON202
		b.exec("UPDATE messages SET expires_at = now()")
		require.Equal(t, api.Expired, *b.work().await(accepted.ID, api.Failed).Recipients[0].Failure)
		require.Empty(t, b.smtp.received())
	})

	t.Run("knows Kratos by the secret alone", func(t *testing.T) { // MAIL-1
		t.Parallel()

		b := newBench(t)
		mail := api.CourierMail{Recipient: "ada@example.org", TemplateType: api.RecoveryCodeInvalid, TemplateData: map[string]any{}}
		for _, editor := range []api.RequestEditorFn{
			bearer("wrong"), bearer(""), bearer(courierSecret + "x"), b.as("auth", "mail:send"),
			func(_ context.Context, r *http.Request) error {
				r.Header.Set("Authorization", courierSecret.Reveal())
				return nil
			},
		} {
			resp, err := b.DeliverCourierMailWithResponse(t.Context(), mail, editor)
			require.NoError(t, err)
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode())
			require.NotEmpty(t, resp.HTTPResponse.Header.Get("WWW-Authenticate"))
		}
	})

	t.Run("refuses what is no mail", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for _, body := range []string{
			`{"recipient": "ada@example.org\r\nBcc: b@example.org", "template_type": "recovery_code_invalid", "template_data": {}}`,
			`{"recipient": "ada@example.org", "template_type": "recovery_code_valid", "template_data": {}}`,
			`{"recipient": "ada@example.org", "template_type": "nonsense", "template_data": {}}`,
			`{"recipient": "ada@example.org", "template_type": "recovery_code_valid", "template_data": {"recovery_code": 5}}`,
			`{}`, `not JSON`,
		} {
			resp, err := b.DeliverCourierMailWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(body), bearer(courierSecret))
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode(), body)
		}
	})
}

func TestAuthenticateCourierRefusesEverythingWithoutASecret(t *testing.T) {
	t.Parallel()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer ")
	_, err = authenticateCourier("")(r)
	require.Error(t, err)
}

func TestLifetime(t *testing.T) {
	t.Parallel()

	require.Equal(t, 15*time.Minute, lifetime(map[string]any{"expires_in_minutes": float64(15)}))
	for _, odd := range []any{nil, "soon", float64(-1), true} {
		require.Equal(t, codeLifetime, lifetime(map[string]any{"expires_in_minutes": odd}))
	}
}
