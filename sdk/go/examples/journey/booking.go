package journey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oapi-codegen/runtime/types"

	"github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/openapi/catalog"
	healthe "github.com/healthe/healthe/sdk/go"
)

// adaBooks searches by speciality, holds a slot and books it.
func (s *story) adaBooks() error {
	week := time.Now().UTC().AddDate(0, 0, 7) // far enough ahead to be cancelled again
	params := appointment.ListSlotsParams{
		SpecialityID: &s.practice.speciality.ID, AppointmentTypeID: s.practice.visit.ID,
		From: types.Date{Time: week}, To: types.Date{Time: week.AddDate(0, 0, 6)},
	}
	for slot, err := range healthe.All(func(cursor *string) ([]appointment.Slot, *string, error) {
		params.Cursor = cursor
		page, err := healthe.OK(s.ada.Appointment.ListSlotsWithResponse(s.ctx, &params))
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	}) {
		if err != nil {
			return failed("free slots", err)
		}
		s.slots = append(s.slots, slot)
	}
	if len(s.slots) < 2 {
		return errors.New("there are no free slots")
	}
	s.tell("ada", "searches free slots", "%d next week, the first on %s", len(s.slots), s.when(s.slots[0].StartsAt))

	hold, err := healthe.Created(s.ada.Appointment.CreateHoldWithResponse(s.ctx, nil, appointment.NewHold{
		DoctorID: s.slots[0].DoctorID, AppointmentTypeID: s.practice.visit.ID, StartsAt: s.slots[0].StartsAt,
	}))
	if err != nil {
		return failed("hold", err)
	}
	s.tell("ada", "holds it while she thinks", "until %s", s.when(hold.ExpiresAt))
	if s.booked, err = healthe.Created(s.ada.Appointment.BookAppointmentWithResponse(s.ctx, nil, appointment.NewAppointment{HoldID: &hold.ID})); err != nil {
		return failed("book", err)
	}
	s.tell("ada", "books it", "%s with %s", s.when(s.booked.StartsAt), s.booked.Doctor.Name)

	overview, err := healthe.OK(s.ada.Catalog.GetOverviewWithResponse(s.ctx))
	if err != nil {
		return failed("overview", err)
	}
	if overview.Appointments.State != catalog.Live || overview.Appointments.Items == nil || len(*overview.Appointments.Items) != 1 || (*overview.Appointments.Items)[0].ID != s.booked.ID {
		return fmt.Errorf("the overview does not show the appointment: it is %s", overview.Appointments.State)
	}
	s.tell("ada", "sees it in her overview", "account, profile and appointments in one call")
	return nil
}

func (s *story) adaReadsHerMail() error {
	if err := s.confirmed("Your appointment is booked", s.booked.StartsAt); err != nil {
		return err
	}
	if _, err := s.mail.find(s.ctx, s.doctor.email, "Your schedule"); err != nil {
		return err
	}
	s.tell("noor", "gets a notice", "that names no patient")
	return nil
}

// confirmed reads the mail about the appointment and the event that is attached.
func (s *story) confirmed(subject string, at time.Time) error {
	mail, err := s.mail.find(s.ctx, s.ada.email, subject)
	if err != nil {
		return err
	}
	event, err := s.mail.calendar(s.ctx, mail)
	if err != nil {
		return err
	}
	for _, part := range []string{"BEGIN:VEVENT", s.booked.ID.String(), "DTSTART:" + at.UTC().Format("20060102T150405Z")} {
		if !strings.Contains(event, part) {
			return fmt.Errorf("the .ics of the mail %q lacks %s", subject, part)
		}
	}
	s.tell("ada", fmt.Sprintf("gets the mail %q", mail.Subject), "with an .ics for %s", s.when(at))
	return nil
}

func (s *story) adaMoves() error {
	later := s.slots[len(s.slots)-1]
	moved, err := healthe.OK(s.ada.Appointment.RescheduleAppointmentWithResponse(s.ctx, s.booked.ID, nil, appointment.Rescheduling{StartsAt: later.StartsAt}))
	if err != nil {
		return failed("reschedule", err)
	}
	if moved.ID != s.booked.ID || !moved.StartsAt.Equal(later.StartsAt) {
		return errors.New("the moved appointment is another one")
	}
	s.tell("ada", "moves it", "to %s; the identifier stays %s", s.when(moved.StartsAt), moved.ID)
	s.booked = moved
	return s.confirmed("Your appointment was changed", moved.StartsAt)
}

// beaWaits lets somebody wait for the very days of Ada's appointment.
func (s *story) beaWaits() (err error) {
	if s.bea, err = s.signUp("Bea Quinn", "bea"); err != nil {
		return err
	}
	if err := s.bea.fillIn(s.ctx, "+491707654321"); err != nil {
		return err
	}
	day := types.Date{Time: s.booked.StartsAt}
	s.waiting, err = healthe.Created(s.bea.Appointment.JoinWaitlistWithResponse(s.ctx, nil, appointment.NewWaitlistEntry{
		DoctorID: &s.practice.doctor.ID, AppointmentTypeID: s.practice.visit.ID, FromDate: day, ToDate: day,
	}))
	if err != nil {
		return failed("waitlist", err)
	}
	s.tell("bea", "waits for a time on that day", "her entry is %s", s.waiting.Status)
	return nil
}

func (s *story) adaCancels() error {
	cancelled, err := healthe.OK(s.ada.Appointment.CancelAppointmentWithResponse(s.ctx, s.booked.ID, nil, appointment.Cancellation{Reason: new("I am travelling")}))
	if err != nil {
		return failed("cancel", err)
	}
	s.tell("ada", "cancels", "the appointment is %s", cancelled.Status)
	mail, err := s.mail.find(s.ctx, s.ada.email, "Your appointment is cancelled")
	if err != nil {
		return err
	}
	s.tell("ada", fmt.Sprintf("gets the mail %q", mail.Subject), "")
	return nil
}

func (s *story) beaTakesTheSlot() error {
	entry, err := until(s.ctx, "an offer", func(ctx context.Context) (*appointment.WaitlistEntry, bool, error) {
		entry, err := healthe.OK(s.bea.Appointment.GetWaitlistEntryWithResponse(ctx, s.waiting.ID))
		return entry, err == nil && entry.Offer != nil, err
	})
	if err != nil {
		return err
	}
	if !entry.Offer.StartsAt.Equal(s.booked.StartsAt) {
		return errors.New("the waitlist offers another time than the one that became free")
	}
	mail, err := s.mail.find(s.ctx, s.bea.email, "A time has become free")
	if err != nil {
		return err
	}
	s.tell("bea", fmt.Sprintf("gets the mail %q", mail.Subject), "%s is held for her until %s", s.when(entry.Offer.StartsAt), s.when(entry.Offer.ExpiresAt))
	taken, err := healthe.Created(s.bea.Appointment.AcceptOfferWithResponse(s.ctx, entry.ID, nil))
	if err != nil {
		return failed("accept the offer", err)
	}
	s.tell("bea", "takes it", "%s with %s", s.when(taken.StartsAt), taken.Doctor.Name)
	return nil
}

func (s *story) theDoctorLooks() error {
	page, err := healthe.OK(s.doctor.Appointment.ListScheduleWithResponse(s.ctx, &appointment.ListScheduleParams{Status: new(appointment.Booked)}))
	if err != nil {
		return failed("schedule", err)
	}
	if len(page.Items) != 1 || page.Items[0].Patient.Name == nil || *page.Items[0].Patient.Name != s.bea.name {
		return fmt.Errorf("the schedule shows %d appointments instead of Bea's", len(page.Items))
	}
	s.tell("noor", "looks at the schedule", "%s, %s", s.when(page.Items[0].StartsAt), *page.Items[0].Patient.Name)
	return nil
}
