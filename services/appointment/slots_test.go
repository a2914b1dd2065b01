package appointment

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	openapi "github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	api "github.com/healthe/healthe/openapi/appointment"
	"github.com/healthe/healthe/services/appointment/internal/store"
)

// slots returns every slot of a search, page by page.
func (b *bench) slots(p api.ListSlotsParams) []api.Slot {
	b.t.Helper()
	var all []api.Slot
	for {
		resp, err := b.ListSlotsWithResponse(b.t.Context(), &p)
		require.NoError(b.t, err)
		require.Equal(b.t, http.StatusOK, resp.StatusCode(), string(resp.Body))
		all = append(all, resp.JSON200.Items...)
		if p.Cursor = resp.JSON200.NextCursor; p.Cursor == nil {
			return all
		}
	}
}

func starts(slots []api.Slot, z *time.Location) []string {
	out := make([]string, len(slots))
	for i, s := range slots {
		out[i] = s.StartsAt.In(z).Format("Mon 15:04")
	}
	return out
}

func TestListSlots(t *testing.T) {
	t.Parallel()

	berlin := zone(t, "Europe/Berlin")

	t.Run("offers what is free of one doctor", func(t *testing.T) { // APP-9
		t.Parallel()

		b := newBench(t)
		doctor, patient := b.addDoctor(), b.addPatient()
		long := b.addType("Long visit", 60)
		tuesday := api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: long, From: date(2027, 3, 2), To: date(2027, 3, 2)}
		require.Equal(t, []string{"Tue 09:00", "Tue 10:00", "Tue 11:00", "Tue 13:00", "Tue 14:00", "Tue 15:00", "Tue 16:00"}, starts(b.slots(tuesday), berlin))
		b.mustBook(patient, doctor, slotAt(1, 9, 30))
		b.mustHold(patient, doctor, slotAt(1, 14, 0))
		_, err := b.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(1, 15, 59), EndsAt: slotAt(1, 16, 0)}, b.doctorOf(doctor))
		require.NoError(t, err)
		require.Equal(t, []string{"Tue 10:00", "Tue 11:00", "Tue 13:00", "Tue 16:00"}, starts(b.slots(tuesday), berlin))
		b.clock.set(noon.Add(usual.HoldFor + time.Second))
		require.Contains(t, starts(b.slots(tuesday), berlin), "Tue 14:00", "a hold that expired blocks nothing")
	})

	t.Run("keeps to lead time, horizon and the doctor's first day", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		doctor := b.addDoctor()
		today := api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 3, 1), To: date(2027, 3, 1)}
		require.Equal(t, "Mon 13:00", starts(b.slots(today), berlin)[0])
		b.clock.set(noon.Add(time.Minute))
		require.Equal(t, "Mon 13:30", starts(b.slots(today), berlin)[0])
		far := api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 8, 20), To: date(2027, 9, 10)}
		last := b.slots(far)
		require.Equal(t, "2027-08-27", last[len(last)-1].StartsAt.Format(time.DateOnly))
		later := b.noor()
		later.StartingDate = date(2027, 3, 4)
		_, err := b.UpdateDoctorWithResponse(t.Context(), nil, later, b.doctorOf(doctor))
		require.NoError(t, err)
		week := api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 3, 1), To: date(2027, 3, 5)}
		require.Equal(t, "Thu 09:00", starts(b.slots(week), berlin)[0])
	})

	t.Run("merges all doctors of a speciality in the order of time", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.addDoctor()
		b.addDoctor()
		inBerlin := b.clinic
		for _, z := range []string{"Pacific/Auckland", "America/Los_Angeles"} {
			b.clinic = b.addClinic(z)
			b.addDoctor()
		}
		b.clinic = inBerlin
		b.speciality, inBerlin = b.addSpeciality("Skin"), b.speciality
		b.addDoctor() // of something else
		all := b.slots(api.ListSlotsParams{SpecialityID: &inBerlin, AppointmentTypeID: b.kind, From: date(2027, 3, 2), To: date(2027, 3, 8), Limit: new(7)})
		require.Len(t, all, 4*5*14)
		for i := 1; i < len(all); i++ {
			a, c := all[i-1], all[i]
			require.True(t, a.StartsAt.Before(c.StartsAt) || a.StartsAt.Equal(c.StartsAt) && a.DoctorID.String() < c.DoctorID.String())
		}
	})

	t.Run("refuses what it cannot search", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		doctor := b.addDoctor()
		for want, p := range map[error]api.ListSlotsParams{
			errWhoseSlots: {AppointmentTypeID: b.kind, From: date(2027, 3, 1), To: date(2027, 3, 2)},
			errSlotDays:   {DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(2027, 3, 1), To: date(2027, 4, 1)},
			errSlotType:   {DoctorID: &doctor, AppointmentTypeID: uuid.New(), From: date(2027, 3, 1), To: date(2027, 3, 31)},
		} {
			resp, err := b.ListSlotsWithResponse(t.Context(), &p)
			require.NoError(t, err)
			require.Equal(t, problemFields(t, want), problemOf(t, resp.Body).Errors[0].Detail)
		}
		require.Empty(t, b.slots(api.ListSlotsParams{DoctorID: new(uuid.New()), AppointmentTypeID: b.kind, From: date(2027, 3, 1), To: date(2027, 3, 31)}))
		require.Empty(t, b.slots(api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: date(9999, 12, 1), To: date(9999, 12, 31)}))
	})
}

// changes are days on which clocks are set, forward and back.
var changes = map[string][]openapi.Date{
	"Europe/Berlin":       {date(2027, 3, 28), date(2027, 10, 31)},
	"America/New_York":    {date(2027, 3, 14), date(2027, 11, 7)},
	"Australia/Lord_Howe": {date(2027, 4, 4), date(2027, 10, 3)},  // by half an hour
	"America/Havana":      {date(2027, 3, 14), date(2027, 11, 7)}, // at midnight
	"Asia/Kathmandu":      {date(2027, 3, 28)},
}

// TestSlotsWhenClocksChange draws working hours over the nights of the change and holds the query against the clock itself. APP-13
func TestSlotsWhenClocksChange(t *testing.T) {
	t.Parallel()

	for name, days := range changes {
		for _, day := range days {
			t.Run(fmt.Sprint(name, " ", day), func(t *testing.T) {
				t.Parallel()

				b := newBench(t)
				z := zone(t, name)
				b.clinic = b.addClinic(name)
				doctor := b.addDoctor()
				b.clock.set(day.AddDate(0, 0, -10))
				rapid.Check(t, func(r *rapid.T) {
					length := rapid.IntRange(5, 120).Draw(r, "length")
					blocks := drawBlocks(r)
					b.clearDay(doctor, int16((int(day.Weekday())+6)%7+1), blocks)
					free, err := b.service.freeSlots(t.Context(), api.ListSlotsParams{DoctorID: &doctor, From: day, To: day}, int32(length), slot{}, 10_000)
					require.NoError(r, err)
					checkSlots(r, z, day.Time, blocks, time.Duration(length)*time.Minute, free)
				})
			})
		}
	}
}

// drawBlocks draws up to three blocks of work that do not touch.
func drawBlocks(r *rapid.T) []block {
	var blocks []block
	at := 0
	for range rapid.IntRange(1, 3).Draw(r, "blocks") {
		starts := rapid.IntRange(at, min(at+200, 1430)).Draw(r, "starts")
		ends := rapid.IntRange(starts+1, 1440).Draw(r, "ends")
		blocks = append(blocks, block{starts, ends})
		if at = ends + 1; at > 1430 {
			break
		}
	}
	return blocks
}

func (b *bench) clearDay(doctor uuid.UUID, weekday int16, blocks []block) {
	p := store.CreateWorkingHoursParams{DoctorID: doctor}
	for _, bl := range blocks {
		p.Weekdays, p.StartsMin, p.EndsMin = append(p.Weekdays, weekday), append(p.StartsMin, int32(bl.starts)), append(p.EndsMin, int32(bl.ends))
	}
	require.NoError(b.t, b.service.store.DeleteWorkingHours(b.t.Context(), doctor))
	require.NoError(b.t, b.service.store.CreateWorkingHours(b.t.Context(), p))
}

// checkSlots: no two overlap, each is within the hours as the clock shows them, none is missing, and the rule that booking asks agrees.
func checkSlots(r *rapid.T, z *time.Location, date time.Time, blocks []block, length time.Duration, free []slot) {
	offered := map[int64]bool{}
	for i, s := range free {
		offered[s.StartsAt.Unix()] = true
		if i > 0 && s.StartsAt.Before(free[i-1].StartsAt.Add(length)) {
			r.Fatalf("%v overlaps the one before", s.StartsAt.In(z))
		}
		first, last := wall(s.StartsAt.In(z)), wall(s.StartsAt.Add(length-time.Second).In(z))
		within := false
		for _, b := range blocks {
			opens, closes := date.Add(time.Duration(b.starts)*time.Minute), date.Add(time.Duration(b.ends)*time.Minute)
			within = within || !first.Before(opens) && first.Before(closes) && !last.Before(opens) && last.Before(closes)
		}
		if !within {
			r.Fatalf("%v to %v is outside of the hours", first, last)
		}
	}
	if len(offered) != len(free) {
		r.Fatalf("a slot is offered twice")
	}
	want := 0
	d := day{zone: z, blocks: blocks}
	for at := date.Add(-15 * time.Hour); at.Before(date.Add(40 * time.Hour)); at = at.Add(time.Minute) { // each minute there is
		ok := wall(at.In(z)).Truncate(allDay).Equal(date) && checkSlot(d, at, length) == nil
		if ok {
			want++
		}
		if ok != offered[at.Unix()] {
			r.Fatalf("%v: booking says %t, the search says %t", at.In(z), ok, !ok)
		}
	}
	if want != len(free) {
		r.Fatalf("%d slots, not %d", len(free), want)
	}
	if expected, sure := plainCount(z, date, blocks, length); sure && expected != want {
		r.Fatalf("%d slots, not %d", want, expected)
	}
}

// plainCount counts the slots of a day on which the clock is not set, by arithmetic alone.
func plainCount(z *time.Location, date time.Time, blocks []block, length time.Duration) (int, bool) {
	start := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, z)
	if start.AddDate(0, 0, 1).Sub(start) != allDay {
		return 0, false
	}
	n := 0
	for _, b := range blocks {
		n += (b.ends - b.starts) / minutes(length)
	}
	return n, true
}

func TestSlotsOnBothNights(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		zone string
		day  openapi.Date
		want []string
	}{
		{"Europe/Berlin", date(2027, 3, 28), []string{"01:00", "01:30", "03:00", "03:30"}},
		{"Europe/Berlin", date(2027, 10, 31), []string{"01:00", "01:30", "02:00", "02:30", "03:00", "03:30"}},
		{"Australia/Lord_Howe", date(2027, 10, 3), []string{"01:00", "01:30", "02:30", "03:00", "03:30"}},
		{"Australia/Lord_Howe", date(2027, 4, 4), []string{"01:00", "01:30", "02:00", "02:30", "03:00", "03:30"}},
	} {
		t.Run(fmt.Sprint(c.zone, " ", c.day), func(t *testing.T) {
			t.Parallel()

			b := newBench(t)
			b.clinic = b.addClinic(c.zone)
			doctor := b.addDoctor()
			b.setHours(doctor, api.WorkingHours{Days: []api.WorkingDay{{Weekday: api.Sunday, StartsAt: "01:00", EndsAt: "04:00", Breaks: []api.Break{}}}})
			b.clock.set(c.day.AddDate(0, 0, -10))
			free := b.slots(api.ListSlotsParams{DoctorID: &doctor, AppointmentTypeID: b.kind, From: c.day, To: c.day})
			var got []string
			patient := b.addPatient()
			for _, s := range free {
				got = append(got, s.StartsAt.In(zone(t, c.zone)).Format("15:04"))
				b.mustBook(patient, doctor, s.StartsAt) // what is offered can be booked, each beside the other
			}
			require.Equal(t, c.want, got)
		})
	}
}
