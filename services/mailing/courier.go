package mailing

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

const (
	courierName   = "kratos"
	courierWindow = 10 * time.Minute // in which Kratos may hand over the same mail again
	codeLifetime  = time.Hour        // how long a code is worth sending where Kratos does not say
)

var errBadCourier = problem.Unauthenticated("This is not the secret that the courier and this service share.")

// courierLetters says which of our templates speaks for which of Kratos'.
var courierLetters = map[api.CourierMailTemplateType]string{
	api.VerificationCodeValid:   "verification_code",
	api.RecoveryCodeValid:       "recovery_code",
	api.VerificationCodeInvalid: "unknown_account",
	api.RecoveryCodeInvalid:     "unknown_account",
}

// courierKeys says which of Kratos' values our templates use, and what they call them.
var courierKeys = map[string]string{
	"verification_code": "code",
	"verification_url":  "url",
	"recovery_code":     "code",
	"recovery_url":      "url",
}

// authenticateCourier knows Kratos by the secret that both hold. How long the comparison takes tells nothing about it.
func authenticateCourier(secret config.Secret) func(*http.Request) (identity.Identity, error) {
	want := sha256.Sum256([]byte(secret.Reveal()))
	return func(r *http.Request) (identity.Identity, error) {
		sent, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return identity.Identity{}, nil
		}
		got := sha256.Sum256([]byte(sent))
		if secret == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return identity.Identity{}, errBadCourier
		}
		return identity.Identity{Subject: courierName}, nil
	}
}

func (s *service) DeliverCourierMail(ctx context.Context, req api.DeliverCourierMailRequestObject) (api.DeliverCourierMailResponseObject, error) {
	recipients := []api.NewRecipient{{Address: &req.Body.Recipient}}
	if wrong := checkRecipients(recipients); len(wrong) > 0 {
		return nil, problem.Invalid(problem.Field{Pointer: "/recipient", Detail: wrong[0].Detail})
	}
	name := courierLetters[req.Body.TemplateType]
	data := courierData(req.Body.TemplateData)
	if wrong := s.letters.check(name, data); len(wrong) > 0 {
		return nil, problem.Invalid(wrong...)
	}
	digest, err := courierDigest(*req.Body)
	if err != nil {
		return nil, err
	}
	now := s.now()
	m := store.CreateMessageParams{
		Sender: courierName, Template: &name, Urgent: true, Digest: digest,
		ExpiresAt: new(now.Add(lifetime(req.Body.TemplateData))),
	}
	if err := setData(&m, data); err != nil {
		return nil, err
	}
	accepted, err := s.acceptOnce(ctx, m, api.NewMessage{Recipients: recipients})
	if err != nil {
		return nil, err
	}
	return api.DeliverCourierMail202JSONResponse(accepted), nil
}

// acceptOnce accepts a mail of the courier, which has no idempotency keys: Kratos hands a mail over again when it missed our
// answer. The same mail within the window is that one.
func (s *service) acceptOnce(ctx context.Context, m store.CreateMessageParams, body api.NewMessage) (api.Message, error) {
	var accepted api.Message
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := s.store.WithTx(tx)
		if err := q.LockDigest(ctx, m.Digest); err != nil {
			return err
		}
		row, err := q.GetMessageByDigest(ctx, store.GetMessageByDigestParams{Digest: m.Digest, Since: s.now().Add(-courierWindow)})
		if errors.Is(err, pgx.ErrNoRows) {
			accepted, err = s.accept(ctx, tx, m, body)
			return err
		}
		if err != nil {
			return err
		}
		deliveries, err := q.ListDeliveries(ctx, []uuid.UUID{row.ID})
		accepted = toAPI(row, deliveries)
		return err
	})
	return accepted, err
}

// courierDigest is the same for the same mail. JSON objects are written with sorted keys.
func courierDigest(m api.CourierMail) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

func courierData(sent map[string]any) map[string]string {
	data := map[string]string{}
	for theirs, ours := range courierKeys {
		if value, ok := sent[theirs].(string); ok && value != "" {
			data[ours] = value
		}
	}
	return data
}

// lifetime says how long the code of a mail is good for.
func lifetime(sent map[string]any) time.Duration {
	minutes, err := time.ParseDuration(fmt.Sprintf("%vm", sent["expires_in_minutes"]))
	if err != nil || minutes <= 0 {
		return codeLifetime
	}
	return minutes
}
