package journey

import (
	"time"

	"github.com/oapi-codegen/runtime/types"

	"github.com/healthe/healthe/openapi/appointment"
	healthe "github.com/healthe/healthe/sdk/go"
)

// practice is where and how the doctor works.
type practice struct {
	clinic     *appointment.Clinic
	speciality *appointment.Speciality
	visit      *appointment.AppointmentType
	doctor     *appointment.Doctor
}

func (s *story) theClinicOpens() error {
	if err := s.referenceData(); err != nil {
		return err
	}
	s.tell("admin", "adds a clinic, a speciality and an appointment type", "%s (%s), %s, %d minutes",
		s.practice.clinic.Name, s.practice.clinic.TimeZone, s.practice.speciality.Name, s.practice.visit.DurationMin)

	doctor, err := healthe.Created(s.doctor.Appointment.CreateDoctorWithResponse(s.ctx, nil, appointment.NewDoctor{
		Name: "Dr. " + s.doctor.name, SpecialityID: s.practice.speciality.ID, ClinicID: s.practice.clinic.ID,
		Biography: "Twenty years of hearts.", Phone: "+493012345679", StartingDate: types.Date{Time: time.Now().UTC()},
	}))
	if err != nil {
		return failed("doctor's profile", err)
	}
	s.practice.doctor = doctor
	var days []appointment.WorkingDay
	for _, day := range []appointment.WorkingDayWeekday{appointment.Monday, appointment.Tuesday, appointment.Wednesday, appointment.Thursday, appointment.Friday} {
		days = append(days, appointment.WorkingDay{
			Weekday: day, StartsAt: "09:00", EndsAt: "17:00", Breaks: []appointment.Break{{StartsAt: "12:00", EndsAt: "13:00"}},
		})
	}
	if _, err := healthe.OK(s.doctor.Appointment.SetWorkingHoursWithResponse(s.ctx, nil, appointment.WorkingHours{Days: days})); err != nil {
		return failed("working hours", err)
	}
	s.tell("noor", "makes a profile and sets working hours", "Monday to Friday, 09:00 to 17:00 with a break")
	return nil
}

// referenceData makes what only an admin can, new in each run because names are unique.
func (s *story) referenceData() (err error) {
	desk := s.admin.Appointment
	s.practice.clinic, err = healthe.Created(desk.CreateClinicWithResponse(s.ctx, nil, appointment.NewClinic{
		Name: "City Clinic " + s.tag, Address: "Luisenstr. 1, 10117 Berlin", Phone: "+493012345678", TimeZone: "Europe/Berlin",
		Coordinates: appointment.Coordinates{Latitude: 52.5225, Longitude: 13.3792},
	}))
	if err != nil {
		return failed("clinic", err)
	}
	s.practice.speciality, err = healthe.Created(desk.CreateSpecialityWithResponse(s.ctx, nil, appointment.NewSpeciality{
		Name: "Cardiology " + s.tag, Description: "Heart and circulation",
	}))
	if err != nil {
		return failed("speciality", err)
	}
	s.practice.visit, err = healthe.Created(desk.CreateAppointmentTypeWithResponse(s.ctx, nil, appointment.NewAppointmentType{
		Name: "First visit " + s.tag, DurationMin: 30,
	}))
	return failed("appointment type", err)
}

// when writes a time as the clinic's clock shows it.
func (s *story) when(t time.Time) string {
	if zone, err := time.LoadLocation(s.practice.clinic.TimeZone); err == nil {
		t = t.In(zone)
	}
	return t.Format("Mon 2 Jan 15:04")
}
