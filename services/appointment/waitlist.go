package appointment

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var (
	errNoOffer     = problem.Conflict("no-open-offer", "No slot is offered to you at the moment.")
	errOfferGone   = problem.Conflict("offer-expired", "The offer has expired.")
	errNotWaiting  = problem.Conflict("not-waiting", "You are not waiting any more.")
	errWaitForWhat = problem.Invalid(problem.Field{Pointer: "/doctor_id", Detail: "Give either doctor_id or speciality_id."})
	errWaitDays    = problem.Invalid(problem.Field{Pointer: "/to_date", Detail: "The last day is not before the first, not past and at most a year ahead."})
)

func (s *service) JoinWaitlist(ctx context.Context, req api.JoinWaitlistRequestObject) (api.JoinWaitlistResponseObject, error) {
	b, me := req.Body, identity.Caller(ctx).UserID()
	switch {
	case (b.DoctorID == nil) == (b.SpecialityID == nil):
		return nil, errWaitForWhat
	case b.DoctorID != nil && *b.DoctorID == me:
		return nil, errOwnAppointment
	}
	if err := checkWait(b.FromDate.Time, b.ToDate.Time, s.now()); err != nil {
		return nil, err
	}
	var row store.WaitlistEntry
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		if b.DoctorID != nil { // whose profile may be being deleted
			doctor, err := q.LockDoctor(ctx, *b.DoctorID)
			if errors.Is(err, pgx.ErrNoRows) || err == nil && doctor.DeletedAt != nil {
				return errNoDoctor
			}
			if err != nil {
				return err
			}
		}
		var err error
		row, err = q.CreateWaitlistEntry(ctx, store.CreateWaitlistEntryParams{
			PatientID: me, DoctorID: b.DoctorID, SpecialityID: b.SpecialityID, AppointmentTypeID: b.AppointmentTypeID,
			FromDate: dateToDB(b.FromDate), ToDate: dateToDB(b.ToDate),
		})
		switch postgres.Constraint(err) {
		case "waitlist_entries_speciality_fkey":
			return errNoSpeciality.Because(err)
		case "waitlist_entries_type_fkey":
			return errNoType.Because(err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.JoinWaitlist201JSONResponse{
		Body: entryToAPI(row, nil),
		Headers: api.JoinWaitlist201ResponseHeaders{
			ETag: new(etag.Of(row.Version)), Location: new("/appointment/v1/waitlist/" + row.ID.String()),
		},
	}, nil
}

func (s *service) ListWaitlistEntries(ctx context.Context, req api.ListWaitlistEntriesRequestObject) (api.ListWaitlistEntriesResponseObject, error) {
	p, limit := req.Params, page.Limit(req.Params.Limit)
	before, err := page.Decode[*uuid.UUID](p.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.ListWaitlistEntries(ctx, store.ListWaitlistEntriesParams{
		PatientID: identity.Caller(ctx).UserID(), BeforeID: orMax(before), Status: (*store.WaitlistStatus)(p.Status), MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.WaitlistEntry) uuid.UUID { return r.ID })
	offers, err := s.openOffers(ctx, rows...)
	if err != nil {
		return nil, err
	}
	return api.ListWaitlistEntries200JSONResponse{
		Body:    api.WaitlistEntryPage{Items: each(rows, func(r store.WaitlistEntry) api.WaitlistEntry { return entryToAPI(r, offers) }), NextCursor: next},
		Headers: api.ListWaitlistEntries200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) GetWaitlistEntry(ctx context.Context, req api.GetWaitlistEntryRequestObject) (api.GetWaitlistEntryResponseObject, error) {
	row, err := s.store.GetWaitlistEntry(ctx, store.GetWaitlistEntryParams{ID: req.EntryID, PatientID: identity.Caller(ctx).UserID()})
	if err != nil {
		return nil, found(err, "Waitlist entry")
	}
	offers, err := s.openOffers(ctx, row)
	if err != nil {
		return nil, err
	}
	return api.GetWaitlistEntry200JSONResponse{
		Body: entryToAPI(row, offers), Headers: api.GetWaitlistEntry200ResponseHeaders{ETag: new(etag.Of(row.Version))},
	}, nil
}

func (s *service) LeaveWaitlist(ctx context.Context, req api.LeaveWaitlistRequestObject) (api.LeaveWaitlistResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	me := identity.Caller(ctx).UserID()
	err = s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		entry, err := q.GetWaitlistEntry(ctx, store.GetWaitlistEntryParams{ID: req.EntryID, PatientID: me})
		if err != nil {
			return found(err, "Waitlist entry")
		}
		_, err = q.SetEntryStatus(ctx, store.SetEntryStatusParams{ID: entry.ID, Status: store.WaitlistStatusWithdrawn, IfVersion: version})
		if errors.Is(err, pgx.ErrNoRows) {
			if version != nil && *version != entry.Version {
				return problem.PreconditionFailed()
			}
			return errNotWaiting
		}
		if err != nil {
			return err
		}
		offer, err := q.GetOpenOffer(ctx, store.GetOpenOfferParams{EntryID: entry.ID, PatientID: me})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.giveUp(ctx, tx, offer.WaitlistOffer, store.OfferStatusDeclined)
	})
	if err != nil {
		return nil, err
	}
	return api.LeaveWaitlist204Response{}, nil
}

func (s *service) AcceptOffer(ctx context.Context, req api.AcceptOfferRequestObject) (api.AcceptOfferResponseObject, error) {
	me := identity.Caller(ctx).UserID()
	var booked store.AppointmentDetail
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		offer, err := lockOffer(ctx, q, req.EntryID, me)
		if err != nil {
			return err
		}
		_, err = q.SetAppointmentBooked(ctx, store.SetAppointmentBookedParams{ID: offer.AppointmentID, PatientID: me, Now: s.now()})
		if errors.Is(err, pgx.ErrNoRows) {
			return errOfferGone
		}
		if err != nil {
			return err
		}
		if _, err := q.SetOfferStatus(ctx, store.SetOfferStatusParams{ID: offer.ID, Status: store.OfferStatusAccepted}); err != nil {
			return err
		}
		if _, err := q.SetEntryStatus(ctx, store.SetEntryStatusParams{ID: req.EntryID, Status: store.WaitlistStatusAccepted}); err != nil {
			return err
		}
		if booked, err = q.GetAppointment(ctx, offer.AppointmentID); err != nil {
			return err
		}
		if err := audit(ctx, q, api.AppointmentBooked, booked); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, s.afterBooking(booked, store.PartyPatient))
	})
	if err != nil {
		return nil, err
	}
	return api.AcceptOffer201JSONResponse{CreatedAppointmentJSONResponse: createdAppointment(booked, store.PartyPatient)}, nil
}

func (s *service) DeclineOffer(ctx context.Context, req api.DeclineOfferRequestObject) (api.DeclineOfferResponseObject, error) {
	me := identity.Caller(ctx).UserID()
	var row store.WaitlistEntry
	err := s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		offer, err := lockOffer(ctx, q, req.EntryID, me)
		if err != nil {
			return err
		}
		row, err = q.SetEntryStatus(ctx, store.SetEntryStatusParams{ID: req.EntryID, Status: store.WaitlistStatusWaiting})
		if err != nil {
			return found(err, "Waitlist entry") // gone with the profile
		}
		return s.giveUp(ctx, tx, offer, store.OfferStatusDeclined)
	})
	if err != nil {
		return nil, err
	}
	return api.DeclineOffer200JSONResponse{
		Body: entryToAPI(row, nil), Headers: api.DeclineOffer200ResponseHeaders{ETag: new(etag.Of(row.Version))},
	}, nil
}

// lockOffer returns the open offer of the patient's entry, with the doctor's calendar locked.
func lockOffer(ctx context.Context, q *store.Queries, entry, patient uuid.UUID) (store.WaitlistOffer, error) {
	if _, err := q.GetWaitlistEntry(ctx, store.GetWaitlistEntryParams{ID: entry, PatientID: patient}); err != nil {
		return store.WaitlistOffer{}, found(err, "Waitlist entry")
	}
	key := store.GetOpenOfferParams{EntryID: entry, PatientID: patient}
	offer, err := q.GetOpenOffer(ctx, key)
	if err == nil {
		_, err = q.LockDoctor(ctx, offer.WaitlistOffer.DoctorID)
	}
	if err == nil {
		offer, err = q.GetOpenOffer(ctx, key)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return store.WaitlistOffer{}, errNoOffer
	}
	return offer.WaitlistOffer, err
}

func (s *service) openOffers(ctx context.Context, entries ...store.WaitlistEntry) (map[uuid.UUID]store.WaitlistOffer, error) {
	ids := each(entries, func(e store.WaitlistEntry) uuid.UUID { return e.ID })
	rows, err := s.store.ListOpenOffers(ctx, ids)
	offers := make(map[uuid.UUID]store.WaitlistOffer, len(rows))
	for _, o := range rows {
		offers[o.EntryID] = o
	}
	return offers, err
}

func checkWait(from, to, now time.Time) error {
	if to.Before(from) || to.Before(now.Add(-allDay-furthestBehind)) || to.After(now.AddDate(1, 0, 0)) {
		return errWaitDays
	}
	return nil
}

func entryToAPI(e store.WaitlistEntry, offers map[uuid.UUID]store.WaitlistOffer) api.WaitlistEntry {
	out := api.WaitlistEntry{
		ID: e.ID, DoctorID: e.DoctorID, SpecialityID: e.SpecialityID, AppointmentTypeID: e.AppointmentTypeID,
		FromDate: dateToAPI(e.FromDate), ToDate: dateToAPI(e.ToDate), Status: api.WaitlistStatus(e.Status), CreatedAt: utc(e.CreatedAt),
	}
	if o, ok := offers[e.ID]; ok {
		out.Offer = &api.Offer{DoctorID: o.DoctorID, StartsAt: utc(o.StartsAt), EndsAt: utc(o.EndsAt), ExpiresAt: utc(o.ExpiresAt)}
	}
	return out
}
