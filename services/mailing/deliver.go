package mailing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

// sendTimeout bounds one try. A try that outlives it, or whose process died, is taken up by another instance soon after.
const sendTimeout = 20 * time.Second

// deliveryJob sends the mail to one recipient. It names the delivery alone: what is personal stays in tables that are tidied.
type deliveryJob struct {
	DeliveryID uuid.UUID `json:"delivery_id"`
}

func (deliveryJob) Kind() string { return "deliver" }

// deliverer works off the deliveries.
//
// It sends at least once. The mail server's 250 and our commit cannot be one step: when the process dies between the two,
// the mail goes out again. Nothing but that one commit lies between them, and both copies have the same Message-ID, by which
// mail programs and gateways recognise the second.
type deliverer struct {
	river.WorkerDefaults[deliveryJob]
	db       *postgres.DB
	store    *store.Queries
	letters  letters
	sender   *sender
	contacts contacts
	delay    func(tries int) time.Duration
	now      func() time.Time
}

func (d *deliverer) Timeout(*river.Job[deliveryJob]) time.Duration { return sendTimeout }

func (d *deliverer) NextRetry(job *river.Job[deliveryJob]) time.Time {
	return d.now().Add(d.delay(job.Attempt))
}

// failed ends a delivery for a reason that no further try changes.
type failed struct {
	why   store.DeliveryFailure
	cause error
}

func (f *failed) Error() string { return fmt.Sprintf("%s: %v", f.why, f.cause) }
func (f *failed) Unwrap() error { return f.cause }

func (d *deliverer) Work(ctx context.Context, job *river.Job[deliveryJob]) error {
	row, err := d.store.GetDelivery(ctx, job.Args.DeliveryID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && row.Delivery.Status != store.DeliveryStatusQueued {
		return nil // tidied away, or ended by the try before
	}
	if err != nil {
		return err
	}
	err = d.try(ctx, row)
	if _, snoozed := errors.AsType[*river.JobSnoozeError](err); snoozed {
		return err
	}
	end, ended := errors.AsType[*failed](err)
	switch {
	case err == nil:
		return d.end(ctx, job, nil)
	case ended:
		slog.WarnContext(ctx, "mail failed", "delivery", job.Args.DeliveryID, "why", end.why, "error", end.cause)
		return d.end(ctx, job, &end.why)
	case job.Attempt >= job.MaxAttempts:
		slog.ErrorContext(ctx, "mail given up", "delivery", job.Args.DeliveryID, "tries", job.Attempt, "error", err)
		return d.end(ctx, job, new(store.DeliveryFailureGaveUp))
	}
	slog.WarnContext(ctx, "mail not sent yet", "delivery", job.Args.DeliveryID, "tries", job.Attempt, "error", err)
	return err
}

// try sends the mail once, if it may be sent now.
func (d *deliverer) try(ctx context.Context, row store.GetDeliveryRow) error {
	if at := row.Message.ExpiresAt; at != nil && !d.now().Before(*at) {
		return &failed{store.DeliveryFailureExpired, errors.New("too late to be of use")}
	}
	to, err := d.recipient(ctx, row.Delivery)
	if err != nil {
		return err
	}
	e, err := d.write(ctx, row, to)
	if err != nil {
		return err
	}
	if err := d.claim(ctx, row, to.Address); err != nil {
		return err
	}
	err = d.sender.send(ctx, e)
	if errors.Is(err, errRefused) {
		return &failed{store.DeliveryFailureRefused, err}
	}
	return err
}

// recipient says where the mail goes, as late as can be: people change their address.
func (d *deliverer) recipient(ctx context.Context, row store.Delivery) (mail.Address, error) {
	if row.UserID == nil {
		return mail.Address{Address: *row.Address}, nil
	}
	to, err := d.contacts.of(ctx, *row.UserID)
	if err != nil {
		return to, err
	}
	if !validAddress(to.Address) {
		return to, &failed{store.DeliveryFailureUnknownRecipient, errors.New("not a mail address")}
	}
	return to, nil
}

// write puts the mail together.
func (d *deliverer) write(ctx context.Context, row store.GetDeliveryRow, to mail.Address) (envelope, error) {
	e := envelope{id: row.Delivery.ID, to: to, date: row.Message.CreatedAt}
	attachments, err := d.store.ListAttachments(ctx, row.Message.ID)
	if err != nil {
		return e, err
	}
	e.attachments = attachments
	if row.Message.Template == nil {
		e.content = content{Subject: *row.Message.Subject, Text: *row.Message.Body}
		return e, nil
	}
	data := map[string]string{}
	if err := json.Unmarshal(row.Message.Data, &data); err != nil {
		return e, err
	}
	data[recipientName] = oneLine(to.Name)
	e.content, err = d.letters.render(*row.Message.Template, data)
	return e, err
}

// claim counts the try, unless the address got too many mails lately: then the mail waits. Those who ask at the same time
// for the same address ask one after the other, so together they keep to the limit.
func (d *deliverer) claim(ctx context.Context, row store.GetDeliveryRow, address string) error {
	var wait time.Duration
	err := pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		q := d.store.WithTx(tx)
		now := d.now()
		if err := q.LockAddress(ctx, address); err != nil {
			return err
		}
		recent, err := q.CountAttempts(ctx, store.CountAttemptsParams{Address: address, Since: new(now.Add(-throttleWindow)), ID: row.Delivery.ID})
		if err != nil {
			return err
		}
		if wait = throttle(row.Message.Urgent, recent.Count, recent.FirstAt, now); wait > 0 {
			return nil
		}
		return q.SetDeliveryAttempted(ctx, store.SetDeliveryAttemptedParams{ID: row.Delivery.ID, Address: &address, Now: now})
	})
	if err == nil && wait > 0 {
		return river.JobSnooze(wait)
	}
	return err
}

// end writes down what became of the delivery, and completes the job with it.
func (d *deliverer) end(ctx context.Context, job *river.Job[deliveryJob], failure *store.DeliveryFailure) error {
	ctx = context.WithoutCancel(ctx) // the server has the mail, whatever the deadline says
	status := store.DeliveryStatusSent
	if failure != nil {
		status = store.DeliveryStatusFailed
	}
	return pgx.BeginFunc(ctx, d.db, func(tx pgx.Tx) error {
		q := d.store.WithTx(tx)
		message, err := q.LockMessageOfDelivery(ctx, job.Args.DeliveryID) // two last deliveries: one of them must see the other
		if err != nil {
			return err
		}
		ended := store.SetDeliveryEndedParams{ID: job.Args.DeliveryID, Status: status, Failure: failure, Now: d.now()}
		if _, err := q.SetDeliveryEnded(ctx, ended); err != nil {
			return err
		}
		if err := q.DeleteContents(ctx, message); err != nil {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}
