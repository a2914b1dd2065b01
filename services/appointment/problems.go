package appointment

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/postgres"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// What the constraints of the database protect.
var (
	errSlotTaken      = problem.Conflict("slot-taken", "Someone else has this slot.")
	errPatientBusy    = problem.Conflict("patient-busy", "The patient has another appointment, hold or offer at this time.")
	errOwnAppointment = problem.Conflict("own-appointment", "A doctor cannot be their own patient.")
	errProfileExists  = problem.Conflict("profile-exists", "You have this profile already; change it instead.")
	errNameTaken      = problem.Conflict("name-taken", "There is another of this name.")
	errInUse          = problem.Conflict("in-use", "Something else refers to this, so it cannot be deleted.")
	errAlreadyWaiting = problem.Conflict("already-waiting", "You are waiting for this already.")
)

var byConstraint = map[string]*problem.Problem{
	"appointments_doctor_excl":         errSlotTaken,
	"appointments_patient_excl":        errPatientBusy,
	"appointments_self_check":          errOwnAppointment,
	"patients_pkey":                    errProfileExists,
	"clinics_name_key":                 errNameTaken,
	"specialities_name_key":            errNameTaken,
	"appointment_types_name_key":       errNameTaken,
	"doctors_clinic_fkey":              errInUse,
	"doctors_speciality_fkey":          errInUse,
	"appointments_clinic_fkey":         errInUse,
	"appointments_type_fkey":           errInUse,
	"waitlist_entries_speciality_fkey": errInUse,
	"waitlist_entries_type_fkey":       errInUse,
	"waitlist_entries_open_key":        errAlreadyWaiting,
	"waitlist_entries_patient_fkey":    errNoProfile,
	"waitlist_entries_doctor_fkey":     errNoDoctor,
}

// explain names the rule that err broke, if the database found one broken.
func explain(err error) error {
	if _, ok := errors.AsType[*problem.Problem](err); ok {
		return err // someone who knew more has
	}
	if p, ok := byConstraint[postgres.Constraint(err)]; ok {
		return p.Because(err)
	}
	return err
}

// missing is what an update that touched no row means: either there is none, or it is not the version that the caller read.
func missing(err error, exists error, thing string) error {
	switch {
	case !errors.Is(err, pgx.ErrNoRows):
		return explain(err)
	case exists == nil:
		return problem.PreconditionFailed()
	case errors.Is(exists, pgx.ErrNoRows):
		return problem.NotFound(thing)
	}
	return exists
}

// found turns the absence of a row into 404.
func found(err error, thing string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.NotFound(thing)
	}
	return err
}

// atOnce runs f in a transaction; see postgres.DB.AtOnce.
func (s *service) atOnce(ctx context.Context, f func(tx pgx.Tx, q *store.Queries) error) error {
	return explain(s.db.AtOnce(ctx, func(tx pgx.Tx) error { return f(tx, s.store.WithTx(tx)) }))
}
