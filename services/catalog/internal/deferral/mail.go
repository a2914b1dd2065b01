package deferral

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/services/catalog/internal/store"
)

const (
	mailTries    = 1000 // more than a day
	longestDelay = 2 * time.Minute
)

// mailJob tells a user that there is something to see. What, the mail does not say.
type mailJob struct {
	Template    string    `json:"template"`
	To          uuid.UUID `json:"to"`
	OperationID uuid.UUID `json:"operation_id"`
}

func (mailJob) Kind() string                 { return "mail" }
func (mailJob) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: mailTries} }

// letter returns the mail about how an operation ended, nil if the user knows already.
func letter(row store.Operation) *mailJob {
	mail := &mailJob{To: row.UserID, OperationID: row.ID}
	switch {
	case row.State == store.OperationStateFailed:
		mail.Template = "operation_failed"
	case row.State == store.OperationStateSucceeded && row.EndedAt.Sub(row.CreatedAt) > slow:
		mail.Template = "operation_succeeded"
	default:
		return nil
	}
	return mail
}

type mailer struct {
	river.WorkerDefaults[mailJob]
	deferral *Deferral
}

func (w *mailer) NextRetry(job *river.Job[mailJob]) time.Time {
	return time.Now().Add(min(time.Second<<min(job.Attempt, 10), longestDelay))
}

func (w *mailer) Work(ctx context.Context, job *river.Job[mailJob]) error {
	mail := job.Args
	key := mail.Template + ":" + mail.OperationID.String()
	resp, err := w.deferral.cfg.Mailing.SendMessageWithResponse(ctx, &mailing.SendMessageParams{IdempotencyKey: &key}, mailing.NewMessage{
		Template: &mail.Template, Recipients: []mailing.NewRecipient{{UserID: &mail.To}},
		Data: &map[string]string{"url": w.deferral.cfg.PublicURL + "/catalog/v1/operations/" + mail.OperationID.String()},
	})
	switch {
	case err != nil:
		return fmt.Errorf("send mail: %w", err)
	case resp.StatusCode() == http.StatusAccepted:
		return nil
	case resp.StatusCode() == http.StatusBadRequest || resp.StatusCode() == http.StatusUnprocessableEntity:
		return river.JobCancel(fmt.Errorf("mailing refused %s: %s", mail.Template, resp.Status()))
	}
	return fmt.Errorf("send mail: mailing answered %s", resp.Status())
}
