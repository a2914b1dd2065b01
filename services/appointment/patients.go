package appointment

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

var errBirthDate = problem.Invalid(problem.Field{Pointer: "/birth_date", Detail: "The birth date is in the future or more than 130 years ago."})

func (s *service) CreatePatient(ctx context.Context, req api.CreatePatientRequestObject) (api.CreatePatientResponseObject, error) {
	p := req.Body
	if err := checkBirthDate(p.BirthDate.Time, s.now()); err != nil {
		return nil, err
	}
	provider, number := insuranceToDB(p.Insurance)
	var row store.Patient
	err := s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		var err error
		row, err = q.CreatePatient(ctx, store.CreatePatientParams{
			ID: identity.Caller(ctx).UserID(), Name: p.Name, Phone: p.Phone, BirthDate: dateToDB(p.BirthDate), Gender: store.Gender(p.Gender),
			InsuranceProvider: provider, InsuranceNumber: number,
		})
		if err != nil {
			return err
		}
		return auditProfile(ctx, q, api.ProfileChanged, row.ID)
	})
	if err != nil {
		return nil, err
	}
	return api.CreatePatient201JSONResponse{CreatedPatientJSONResponse: api.CreatedPatientJSONResponse{
		Body:    patientToAPI(row),
		Headers: api.CreatedPatientResponseHeaders{ETag: new(etag.Of(row.Version)), Location: new("/appointment/v1/me/patient")},
	}}, nil
}

func (s *service) GetOwnPatient(ctx context.Context, _ api.GetOwnPatientRequestObject) (api.GetOwnPatientResponseObject, error) {
	row, err := s.store.GetPatient(ctx, identity.Caller(ctx).UserID())
	if err != nil {
		return nil, found(err, "Patient profile")
	}
	if err := auditProfile(ctx, s.store, api.ProfileRead, row.ID); err != nil {
		return nil, err
	}
	return api.GetOwnPatient200JSONResponse{OnePatientJSONResponse: onePatient(row)}, nil
}

func (s *service) UpdatePatient(ctx context.Context, req api.UpdatePatientRequestObject) (api.UpdatePatientResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	p, me := req.Body, identity.Caller(ctx).UserID()
	if err := checkBirthDate(p.BirthDate.Time, s.now()); err != nil {
		return nil, err
	}
	provider, number := insuranceToDB(p.Insurance)
	var row store.Patient
	err = s.atOnce(ctx, func(_ pgx.Tx, q *store.Queries) error {
		var err error
		row, err = q.UpdatePatient(ctx, store.UpdatePatientParams{
			ID: me, Name: p.Name, Phone: p.Phone, BirthDate: dateToDB(p.BirthDate), Gender: store.Gender(p.Gender),
			InsuranceProvider: provider, InsuranceNumber: number, IfVersion: version,
		})
		if err != nil {
			_, exists := q.GetPatient(ctx, me)
			return missing(err, exists, "Patient profile")
		}
		return auditProfile(ctx, q, api.ProfileChanged, me)
	})
	if err != nil {
		return nil, err
	}
	return api.UpdatePatient200JSONResponse{OnePatientJSONResponse: onePatient(row)}, nil
}

// DeletePatient frees what the patient had. The slots go to the waitlist by jobs of their own, each under its doctor's lock.
func (s *service) DeletePatient(ctx context.Context, req api.DeletePatientRequestObject) (api.DeletePatientResponseObject, error) {
	version, err := etag.Version(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	me, now := identity.Caller(ctx).UserID(), s.now()
	err = s.atOnce(ctx, func(tx pgx.Tx, q *store.Queries) error {
		n, err := q.DeletePatient(ctx, store.DeletePatientParams{ID: me, IfVersion: version})
		if err := deleted(n, err); err != nil {
			_, exists := q.GetPatient(ctx, me)
			return missing(err, exists, "Patient profile")
		}
		if _, err := q.DeleteCalendarFeed(ctx, me); err != nil {
			return err
		}
		freed, err := q.DeleteUnbooked(ctx, store.DeleteUnbookedParams{PatientID: &me})
		if err != nil {
			return err
		}
		cancelled, err := q.CancelComing(ctx, store.CancelComingParams{CancelledBy: new(store.PartyPatient), Now: now, PatientID: &me})
		if err != nil {
			return err
		}
		var todo []river.InsertManyParams
		var details []store.AppointmentDetail
		for _, a := range cancelled {
			todo = append(todo, river.InsertManyParams{Args: noticeTo(a.DoctorID, a, eventCancelled)})
			details = append(details, store.AppointmentDetail{ID: a.ID, PatientID: a.PatientID})
		}
		if err := audit(ctx, q, api.AppointmentCancelled, details...); err != nil {
			return err
		}
		if err := auditProfile(ctx, q, api.ProfileDeleted, me); err != nil {
			return err
		}
		for _, a := range append(freed, cancelled...) {
			todo = append(todo, river.InsertManyParams{Args: offerSlotJob{DoctorID: a.DoctorID, TypeID: a.AppointmentTypeID, StartsAt: a.StartsAt, EndsAt: a.EndsAt}})
		}
		return s.enqueue(ctx, tx, todo)
	})
	if err != nil {
		return nil, err
	}
	return api.DeletePatient204Response{}, nil
}

func (s *service) GetPatient(ctx context.Context, req api.GetPatientRequestObject) (api.GetPatientResponseObject, error) {
	doctor := identity.Caller(ctx).UserID()
	row, err := s.store.GetPatientOfDoctor(ctx, store.GetPatientOfDoctorParams{ID: req.PatientID, DoctorID: doctor})
	if err != nil {
		return nil, found(err, "Patient")
	}
	if err := auditProfile(ctx, s.store, api.ProfileRead, row.ID); err != nil {
		return nil, err
	}
	return api.GetPatient200JSONResponse{OnePatientJSONResponse: onePatient(row)}, nil
}

func (s *service) ListAuditRecords(ctx context.Context, req api.ListAuditRecordsRequestObject) (api.ListAuditRecordsResponseObject, error) {
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	rows, err := s.store.ListAuditRecords(ctx, store.ListAuditRecordsParams{
		PatientID: identity.Caller(ctx).UserID(), BeforeID: orMax(before), MaxRows: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.ListAuditRecordsRow) uuid.UUID { return r.AuditRecord.ID })
	return api.ListAuditRecords200JSONResponse{
		Body:    api.AuditRecordPage{Items: each(rows, auditRecordToAPI), NextCursor: next},
		Headers: api.ListAuditRecords200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

// audit records that the caller did something with appointments. What patients do themselves leaves no record; what an
// application does in their name does.
func audit(ctx context.Context, q *store.Queries, action api.AuditAction, appointments ...store.AppointmentDetail) error {
	caller := identity.Caller(ctx)
	p := store.CreateAuditRecordsParams{ActorID: caller.UserID(), ClientID: optional(caller.ClientID), Action: string(action)}
	for _, a := range appointments {
		if a.PatientID == p.ActorID && p.ClientID == nil {
			continue
		}
		p.PatientIds = append(p.PatientIds, a.PatientID)
		p.AppointmentIds = append(p.AppointmentIds, a.ID)
	}
	if len(p.PatientIds) == 0 {
		return nil
	}
	return q.CreateAuditRecords(ctx, p)
}

// auditProfile does the same for a profile.
func auditProfile(ctx context.Context, q *store.Queries, action api.AuditAction, patient uuid.UUID) error {
	caller := identity.Caller(ctx)
	if caller.UserID() == patient && caller.ClientID == "" {
		return nil
	}
	return q.CreateAuditRecord(ctx, store.CreateAuditRecordParams{
		PatientID: patient, ActorID: caller.UserID(), ClientID: optional(caller.ClientID), Action: string(action),
	})
}

func checkBirthDate(born, now time.Time) error {
	if born.After(now.Add(furthestAhead)) || born.Before(now.AddDate(-130, 0, 0)) {
		return errBirthDate
	}
	return nil
}

func insuranceToDB(i *api.Insurance) (provider, number *string) {
	if i == nil {
		return nil, nil
	}
	return &i.Provider, &i.Number
}

func onePatient(p store.Patient) api.OnePatientJSONResponse {
	return api.OnePatientJSONResponse{Body: patientToAPI(p), Headers: api.OnePatientResponseHeaders{ETag: new(etag.Of(p.Version))}}
}

func patientToAPI(p store.Patient) api.Patient {
	out := api.Patient{ID: p.ID, Name: p.Name, Phone: p.Phone, BirthDate: dateToAPI(p.BirthDate), Gender: api.Gender(p.Gender)}
	if p.InsuranceProvider != nil && p.InsuranceNumber != nil {
		out.Insurance = &api.Insurance{Provider: *p.InsuranceProvider, Number: *p.InsuranceNumber}
	}
	return out
}

func auditRecordToAPI(r store.ListAuditRecordsRow) api.AuditRecord {
	a := r.AuditRecord
	return api.AuditRecord{
		ID: a.ID, ActorID: a.ActorID, ActorName: optional(r.ActorName), ClientID: a.ClientID, Action: api.AuditAction(a.Action),
		AppointmentID: a.AppointmentID, CreatedAt: utc(a.CreatedAt),
	}
}
