package appointment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/services/appointment/internal/store"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func TestCheckSlot(t *testing.T) {
	t.Parallel()

	berlin, howe := zone(t, "Europe/Berlin"), zone(t, "Australia/Lord_Howe")
	office := []block{{540, 720}, {765, 1020}} // 9 to 12, 12:45 to 17
	night := []block{{0, 360}}
	for name, c := range map[string]struct {
		day     day
		starts  time.Time
		minutes int
		want    error
	}{
		"starts with the day":                       {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC), 30, nil},
		"starts again after the break":              {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 12, 45, 0, 0, berlin), 30, nil},
		"ends with the day":                         {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 16, 30, 0, 0, berlin), 15, nil},
		"is off the grid":                           {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 9, 10, 0, 0, berlin), 30, errNotOffered},
		"runs into the break":                       {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 11, 0, 0, 0, berlin), 120, errNotOffered},
		"is in the break":                           {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 12, 0, 0, 0, berlin), 30, errNotOffered},
		"is in time off":                            {day{zone: berlin, blocks: office, off: true}, time.Date(2027, 3, 1, 9, 0, 0, 0, berlin), 30, errNotOffered},
		"is before the doctor's first day":          {day{zone: berlin, blocks: office, firstDate: time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC)}, time.Date(2027, 3, 1, 9, 0, 0, 0, berlin), 30, errNotOffered},
		"is on the doctor's first day":              {day{zone: berlin, blocks: office, firstDate: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)}, time.Date(2027, 3, 1, 9, 0, 0, 0, berlin), 30, nil},
		"starts between two minutes":                {day{zone: berlin, blocks: office}, time.Date(2027, 3, 1, 9, 0, 0, 1, berlin), 30, errNotOffered},
		"ends at midnight":                          {day{zone: berlin, blocks: []block{{1380, 1440}}}, time.Date(2027, 3, 1, 23, 30, 0, 0, berlin), 30, nil},
		"ends when the clock is set forward":        {day{zone: berlin, blocks: night}, time.Date(2027, 3, 28, 0, 45, 0, 0, time.UTC), 15, nil},
		"would last into the hour that is skipped":  {day{zone: berlin, blocks: night}, time.Date(2027, 3, 28, 0, 20, 0, 0, time.UTC), 80, errNotOffered},
		"begins after the hour that is skipped":     {day{zone: berlin, blocks: night}, time.Date(2027, 3, 28, 1, 0, 0, 0, time.UTC), 30, nil},
		"is in the repeated hour the first time":    {day{zone: berlin, blocks: night}, time.Date(2027, 10, 31, 0, 0, 0, 0, time.UTC), 30, errNotOffered},
		"is in the repeated hour the second time":   {day{zone: berlin, blocks: night}, time.Date(2027, 10, 31, 1, 0, 0, 0, time.UTC), 30, nil},
		"lasts into the repeated hour":              {day{zone: berlin, blocks: night}, time.Date(2027, 10, 30, 22, 0, 0, 0, time.UTC), 180, nil},
		"straddles half an hour that is skipped":    {day{zone: howe, blocks: night}, time.Date(2027, 10, 2, 15, 15, 0, 0, time.UTC), 35, errNotOffered},
		"is in half an hour that repeats, at first": {day{zone: howe, blocks: night}, time.Date(2027, 4, 3, 14, 30, 0, 0, time.UTC), 30, errNotOffered},
		"is in half an hour that repeats, again":    {day{zone: howe, blocks: night}, time.Date(2027, 4, 3, 15, 0, 0, 0, time.UTC), 30, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, c.want, checkSlot(c.day, c.starts, time.Duration(c.minutes)*time.Minute))
		})
	}
}

func TestCheckLead(t *testing.T) {
	t.Parallel()

	for after, want := range map[time.Duration]error{
		-time.Hour: errTooSoon, 59 * time.Minute: errTooSoon, time.Hour: nil, 180 * allDay: nil, 180*allDay + 1: errTooFarAhead,
	} { // APP-3: no past dates
		require.Equal(t, want, usual.checkLead(noon.Add(after), noon), after)
	}
}

func TestCheckChange(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		status store.AppointmentStatus
		ahead  time.Duration
		by     store.Party
		want   error
	}{
		{store.AppointmentStatusBooked, allDay, store.PartyPatient, nil},
		{store.AppointmentStatusBooked, allDay - 1, store.PartyPatient, errTooLate},
		{store.AppointmentStatusBooked, 0, store.PartyDoctor, nil},
		{store.AppointmentStatusBooked, -1, store.PartyDoctor, errTooLate},
		{store.AppointmentStatusCancelled, 2 * allDay, store.PartyPatient, errNotBooked},
		{store.AppointmentStatusCompleted, 2 * allDay, store.PartyDoctor, errNotBooked},
	} {
		a := store.AppointmentDetail{Status: c.status, StartsAt: noon.Add(c.ahead)}
		require.Equal(t, c.want, usual.checkChange(a, c.by, noon), c)
	}
}

func TestCheckOutcome(t *testing.T) {
	t.Parallel()

	booked := store.AppointmentDetail{Status: store.AppointmentStatusBooked, StartsAt: noon}
	require.NoError(t, checkOutcome(booked, noon))
	require.Equal(t, errNotStarted, checkOutcome(booked, noon.Add(-1)))
	booked.Status = store.AppointmentStatusNoShow
	require.Equal(t, errNotBooked, checkOutcome(booked, noon))
}

func TestOfferEnds(t *testing.T) {
	t.Parallel()

	ends, ok := usual.offerEnds(noon.Add(allDay), noon)
	require.True(t, ok)
	require.Equal(t, noon.Add(2*time.Hour), ends)
	ends, ok = usual.offerEnds(noon.Add(90*time.Minute), noon)
	require.True(t, ok)
	require.Equal(t, noon.Add(30*time.Minute), ends, "not later than it can be booked")
	_, ok = usual.offerEnds(noon.Add(65*time.Minute), noon)
	require.False(t, ok, "no time to answer")
	_, ok = usual.offerEnds(noon.Add(200*allDay), noon)
	require.False(t, ok)
}

func TestCheckOverride(t *testing.T) {
	t.Parallel()

	require.NoError(t, usual.checkOverride(noon.Add(3*time.Minute), noon))
	require.Equal(t, errTooSoon, usual.checkOverride(noon.Add(-time.Minute), noon))
	require.Equal(t, errTooFarAhead, usual.checkOverride(noon.Add(181*allDay), noon))
	require.Equal(t, errOddOverride, usual.checkOverride(noon.Add(time.Second), noon))
}
