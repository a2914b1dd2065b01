package mailing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/mailing"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/mailing/internal/store"
)

const (
	urgentPriority = 1 // of River's jobs, 1 is worked off first
	usualPriority  = 2
)

func (s *service) SendMessage(ctx context.Context, req api.SendMessageRequestObject) (api.SendMessageResponseObject, error) {
	wrong := append(checkContent(*req.Body), checkRecipients(req.Body.Recipients)...)
	wrong = append(wrong, checkAttachments(req.Body.Attachments)...)
	var data map[string]string
	if req.Body.Template != nil {
		data = map[string]string{}
		if req.Body.Data != nil {
			data = *req.Body.Data
		}
		wrong = append(wrong, s.letters.check(*req.Body.Template, data)...)
	}
	if len(wrong) > 0 {
		return nil, problem.Invalid(wrong...)
	}
	m := store.CreateMessageParams{
		Sender: identity.Caller(ctx).Subject, Template: req.Body.Template, Subject: req.Body.Subject, Body: req.Body.Text,
	}
	if err := setData(&m, data); err != nil {
		return nil, err
	}
	var accepted api.Message
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		var err error
		accepted, err = s.accept(ctx, tx, m, *req.Body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.SendMessage202JSONResponse{
		Body:    accepted,
		Headers: api.SendMessage202ResponseHeaders{Location: new("/mailing/v1/messages/" + accepted.ID.String())},
	}, nil
}

func (s *service) ListMessages(ctx context.Context, req api.ListMessagesRequestObject) (api.ListMessagesResponseObject, error) {
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	caller, limit := identity.Caller(ctx), page.Limit(req.Params.Limit)
	rows, err := s.store.ListMessages(ctx, store.ListMessagesParams{
		Sender: caller.Subject, Everyones: caller.Has("mail:read"), Before: before, PageSize: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(m store.Message) uuid.UUID { return m.ID })
	items, err := s.withDeliveries(ctx, rows)
	if err != nil {
		return nil, err
	}
	return api.ListMessages200JSONResponse{
		Body:    api.MessagePage{Items: items, NextCursor: next},
		Headers: api.ListMessages200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) GetMessage(ctx context.Context, req api.GetMessageRequestObject) (api.GetMessageResponseObject, error) {
	caller := identity.Caller(ctx)
	row, err := s.store.GetMessage(ctx, store.GetMessageParams{ID: req.ID, Sender: caller.Subject, Everyones: caller.Has("mail:read")})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, problem.NotFound("Message")
	}
	if err != nil {
		return nil, err
	}
	items, err := s.withDeliveries(ctx, []store.Message{row})
	if err != nil {
		return nil, err
	}
	return api.GetMessage200JSONResponse(items[0]), nil
}

// accept stores a mail together with the jobs that send it: either all of it is there afterwards or nothing.
func (s *service) accept(ctx context.Context, tx pgx.Tx, m store.CreateMessageParams, body api.NewMessage) (api.Message, error) {
	q := s.store.WithTx(tx)
	row, err := q.CreateMessage(ctx, m)
	if err != nil {
		return api.Message{}, err
	}
	if body.Attachments != nil {
		for i, a := range *body.Attachments {
			err := q.CreateAttachment(ctx, store.CreateAttachmentParams{
				MessageID: row.ID, Position: int32(i), Name: a.Name, ContentType: string(a.ContentType), Content: a.Content,
			})
			if err != nil {
				return api.Message{}, err
			}
		}
	}
	deliveries := make([]store.Delivery, len(body.Recipients))
	jobs := make([]river.InsertManyParams, len(body.Recipients))
	for i, r := range body.Recipients {
		deliveries[i], err = q.CreateDelivery(ctx, store.CreateDeliveryParams{MessageID: row.ID, Position: int32(i), UserID: r.UserID, Address: r.Address})
		if err != nil {
			return api.Message{}, err
		}
		priority := usualPriority
		if m.Urgent {
			priority = urgentPriority
		}
		jobs[i] = river.InsertManyParams{
			Args:       deliveryJob{DeliveryID: deliveries[i].ID},
			InsertOpts: &river.InsertOpts{Priority: priority, MaxAttempts: maxTries},
		}
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, jobs); err != nil {
		return api.Message{}, fmt.Errorf("enqueue: %w", err)
	}
	return toAPI(row, deliveries), nil
}

// setData puts a template's data into m, as JSON for its column.
func setData(m *store.CreateMessageParams, data map[string]string) error {
	if data == nil {
		return nil
	}
	var err error
	m.Data, err = json.Marshal(data)
	return err
}

func (s *service) withDeliveries(ctx context.Context, rows []store.Message) ([]api.Message, error) {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	deliveries, err := s.store.ListDeliveries(ctx, ids)
	if err != nil {
		return nil, err
	}
	of := map[uuid.UUID][]store.Delivery{}
	for _, d := range deliveries {
		of[d.MessageID] = append(of[d.MessageID], d)
	}
	items := make([]api.Message, len(rows))
	for i, row := range rows {
		items[i] = toAPI(row, of[row.ID])
	}
	return items, nil
}

// toAPI never shows an address or what the mail says.
func toAPI(m store.Message, deliveries []store.Delivery) api.Message {
	recipients := make([]api.Delivery, len(deliveries))
	for i, d := range deliveries {
		recipients[i] = api.Delivery{UserID: d.UserID, Status: api.DeliveryStatus(d.Status), Tries: int(d.Tries)}
		if d.Status == store.DeliveryStatusSent {
			recipients[i].SentAt = new(d.EndedAt.UTC())
		}
		if d.Failure != nil {
			recipients[i].Failure = new(api.DeliveryFailure(*d.Failure))
		}
	}
	return api.Message{ID: m.ID, Template: m.Template, Status: statusOf(deliveries), CreatedAt: m.CreatedAt.UTC(), Recipients: recipients}
}
