// Package mail is how a service hands mails to the mailing service, from a job: once for each key, later rather than never.
package mail

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/openapi/mailing"
)

// Tries is how often a job may try: with the delays of Delay, for most of a day.
const Tries = 1000

const longestDelay = 2 * time.Minute

// Delay is how long to wait after a try, counted from 1. It grows to a bound: when mailing is back, no mail waits long.
func Delay(try int) time.Duration {
	return min(time.Second<<min(try, 10), longestDelay)
}

// Post hands mails to the mailing service.
type Post struct {
	mailing mailing.ClientWithResponsesInterface
	calls   failsafe.Executor[*mailing.SendMessageResponse]
}

// New returns the way to the mailing service through client.
func New(client mailing.ClientWithResponsesInterface) Post {
	down := func(resp *mailing.SendMessageResponse, err error) bool {
		return err != nil || resp.StatusCode() >= http.StatusInternalServerError
	}
	retry := retrypolicy.NewBuilder[*mailing.SendMessageResponse]().HandleIf(down).AbortOnErrors(circuitbreaker.ErrOpen, context.Canceled).
		WithMaxRetries(2).WithBackoff(50*time.Millisecond, 500*time.Millisecond).WithJitterFactor(0.3).ReturnLastFailure().Build()
	breaker := circuitbreaker.NewBuilder[*mailing.SendMessageResponse]().HandleIf(down).
		WithFailureRateThreshold(0.5, 10, 10*time.Second).WithDelay(5 * time.Second).WithSuccessThreshold(2).Build()
	return Post{client, failsafe.With(retry, breaker, timeout.New[*mailing.SendMessageResponse](5*time.Second))}
}

// Send has the mailing service take a mail, once for each key however often it is called. An error is worth another try,
// unless the mail itself was refused.
func (p Post) Send(ctx context.Context, key string, m mailing.NewMessage) error {
	resp, err := p.calls.WithContext(ctx).GetWithExecution(func(exec failsafe.Execution[*mailing.SendMessageResponse]) (*mailing.SendMessageResponse, error) {
		return p.mailing.SendMessageWithResponse(exec.Context(), &mailing.SendMessageParams{IdempotencyKey: &key}, m)
	})
	switch {
	case err != nil:
		return fmt.Errorf("send mail: %w", err)
	case resp.StatusCode() == http.StatusAccepted:
		return nil
	case resp.StatusCode() == http.StatusBadRequest || resp.StatusCode() == http.StatusUnprocessableEntity:
		return river.JobCancel(fmt.Errorf("mailing refused the mail: %s", reason(resp.Body)))
	}
	return fmt.Errorf("send mail: mailing answered %s", resp.Status())
}

// reason keeps of a problem what is fit for a log.
func reason(body []byte) string {
	var p struct {
		Type   string `json:"type"`
		Errors []struct {
			Pointer string `json:"pointer"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &p) // what cannot be read says nothing
	return fmt.Sprintf("%s %v", p.Type, p.Errors)
}
