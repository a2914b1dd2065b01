package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/deferred"
)

// follow waits until every deferred write has ended, or the wait is too long.
func (l *load) follow(ctx context.Context, all []*write) error {
	limit, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		open := 0
		for _, w := range all {
			if w.operation == uuid.Nil || w.state != "" {
				continue
			}
			if w.look(limit); w.state == "" {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		if !pause(limit, time.Second) {
			say("      %d deferred writes have not ended within %s", open, settling)
			return ctx.Err()
		}
	}
}

// look finds out what became of a deferred write. Without an answer nothing is known yet.
func (w *write) look(ctx context.Context) {
	resp, err := w.who.catalog.GetOperationWithResponse(ctx, w.operation)
	switch {
	case err != nil, resp.StatusCode() >= http.StatusInternalServerError:
	case resp.JSON200 == nil:
		w.state, w.detail = "unknown to the catalog", resp.Status()
	case resp.JSON200.State != deferred.Pending:
		w.state = string(resp.JSON200.State)
		if p := resp.JSON200.Problem; p != nil {
			w.detail = p.Type
		}
	}
}

// truth asks the service itself, past the catalog and its cache, for all appointments between two slots, and for the profiles
// of those who registered.
func (p *platform) truth(ctx context.Context, s *scene, all []*write, from, to time.Time) (truth, error) {
	t := truth{profiles: map[uuid.UUID]bool{}}
	doctor, err := p.direct(s.doctor)
	if err != nil {
		return t, err
	}
	limit := 100
	for params := (&appointment.ListScheduleParams{From: &from, To: &to, Limit: &limit}); ; {
		page, err := doctor.ListScheduleWithResponse(ctx, params)
		if err != nil {
			return t, err
		}
		if page.JSON200 == nil {
			return t, fmt.Errorf("listSchedule: %s", page.Status())
		}
		for _, a := range page.JSON200.Items {
			t.entries = append(t.entries, entry{a.ID, a.Patient.ID, a.StartsAt, a.Status == appointment.Cancelled})
		}
		if params.Cursor = page.JSON200.NextCursor; params.Cursor == nil {
			break
		}
	}
	for _, w := range all {
		if w.kind != registration {
			continue
		}
		self, err := p.direct(w.who)
		if err != nil {
			return t, err
		}
		found, err := self.GetOwnPatientWithResponse(ctx)
		if err != nil {
			return t, err
		}
		switch {
		case found.JSON200 != nil:
			t.profiles[w.who.id] = true
		case found.StatusCode() != http.StatusNotFound:
			return t, fmt.Errorf("getOwnPatient: %s", found.Status())
		}
	}
	return t, nil
}

// direct is a client of the service at the internal entry point, with the identity that forward-auth gives.
func (p *platform) direct(who *person) (*appointment.ClientWithResponses, error) {
	as := func(ctx context.Context, r *http.Request) error {
		ask, err := http.NewRequestWithContext(ctx, http.MethodGet, p.InternalURL()+"/auth/internal/verify", http.NoBody)
		if err != nil {
			return err
		}
		ask.Header.Set("Authorization", "Bearer "+who.token)
		resp, err := client.Do(ask)
		if err := expect(http.StatusOK, resp, err); err != nil {
			return err
		}
		identity := resp.Header.Get("X-Healthe-Identity")
		if identity == "" {
			return errors.New("forward-auth gave no identity")
		}
		r.Header.Set("X-Healthe-Identity", identity)
		return nil
	}
	return appointment.NewClientWithResponses(p.InternalURL(), appointment.WithHTTPClient(client), appointment.WithRequestEditorFn(as))
}
