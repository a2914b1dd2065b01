package mailing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

// contacts asks auth where to write to a user.
type contacts struct {
	auth  auth.ClientWithResponsesInterface
	calls failsafe.Executor[*auth.GetContactResponse]
}

func newContacts(client auth.ClientWithResponsesInterface) contacts {
	down := func(resp *auth.GetContactResponse, err error) bool {
		return err != nil || resp.StatusCode() >= http.StatusInternalServerError
	}
	retry := retrypolicy.NewBuilder[*auth.GetContactResponse]().HandleIf(down).AbortOnErrors(circuitbreaker.ErrOpen, context.Canceled).
		WithMaxRetries(2).WithBackoff(50*time.Millisecond, 500*time.Millisecond).WithJitterFactor(0.3).ReturnLastFailure().Build()
	breaker := circuitbreaker.NewBuilder[*auth.GetContactResponse]().HandleIf(down).
		WithFailureRateThreshold(0.5, 10, 10*time.Second).WithDelay(5 * time.Second).WithSuccessThreshold(2).Build()
	return contacts{client, failsafe.With(retry, breaker, timeout.New[*auth.GetContactResponse](2*time.Second))}
}

// of returns the name and address of a user. That there is none, or none that was confirmed, is a failure for good: a health
// platform does not write to an address that may be someone else's.
func (c contacts) of(ctx context.Context, user uuid.UUID) (mail.Address, error) {
	resp, err := c.calls.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*auth.GetContactResponse]) (*auth.GetContactResponse, error) {
		return c.auth.GetContactWithResponse(exec.Context(), user)
	})
	switch {
	case err != nil:
		return mail.Address{}, fmt.Errorf("contact: %w", err)
	case resp.StatusCode() == http.StatusNotFound:
		return mail.Address{}, &failed{store.DeliveryFailureUnknownRecipient, errors.New("auth does not know the user")}
	case resp.JSON200 == nil:
		return mail.Address{}, fmt.Errorf("contact: auth answered %s", resp.Status())
	case !resp.JSON200.Verified:
		return mail.Address{}, &failed{store.DeliveryFailureUnverifiedRecipient, errors.New("the address is not confirmed")}
	}
	return mail.Address{Name: resp.JSON200.Name, Address: resp.JSON200.Email}, nil
}
