package appointment

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

func TestClinics(t *testing.T) { // APP-12: reference data has routes
	t.Parallel()

	t.Run("are made by admins and read by everyone", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		got, err := b.GetClinicWithResponse(t.Context(), b.clinic)
		require.NoError(t, err)
		require.Equal(t, "Europe/Berlin", got.JSON200.TimeZone)
		require.InDelta(t, 52.5225, got.JSON200.Coordinates.Latitude, 1e-9)
		resp, err := b.CreateClinicWithResponse(t.Context(), nil, newClinic("Mine", "Europe/Berlin"), b.doctorOf(uuid.New()))
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode())
	})

	t.Run("are listed by name, page by page", func(t *testing.T) {
		t.Parallel()

		b := bareBench(t)
		for range 5 {
			b.addClinic("Europe/Berlin")
		}
		var seen []string
		var cursor *string
		for range 3 {
			page, err := b.ListClinicsWithResponse(t.Context(), &api.ListClinicsParams{Limit: new(2), Cursor: cursor})
			require.NoError(t, err)
			for _, c := range page.JSON200.Items {
				seen = append(seen, c.Name)
			}
			cursor = page.JSON200.NextCursor
			require.Equal(t, cursor != nil, page.HTTPResponse.Header.Get("Link") != "")
		}
		require.Len(t, seen, 5)
		require.IsIncreasing(t, seen)
		require.Nil(t, cursor)
	})

	t.Run("refuse a cursor that no page gave", func(t *testing.T) {
		t.Parallel()

		b := bareBench(t)
		page, err := b.ListClinicsWithResponse(t.Context(), &api.ListClinicsParams{Cursor: new("x")})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, page.StatusCode())
	})

	t.Run("need a time zone that exists", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for _, zone := range []string{"Europe/Atlantis", "CET+1", "Local", "Etc/../passwd"} {
			resp, err := b.CreateClinicWithResponse(t.Context(), nil, newClinic("Nowhere", zone), b.admin())
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode(), zone)
			require.Equal(t, "/time_zone", problemOf(t, resp.Body).Errors[0].Pointer)
			update, err := b.UpdateClinicWithResponse(t.Context(), b.clinic, nil, newClinic("Nowhere", zone), b.admin())
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, update.StatusCode(), zone)
		}
	})

	t.Run("cannot be two of one name and address", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for want := range map[int]bool{http.StatusCreated: true} {
			resp, err := b.CreateClinicWithResponse(t.Context(), nil, newClinic("City", "Europe/Berlin"), b.admin())
			require.NoError(t, err)
			require.Equal(t, want, resp.StatusCode())
		}
		resp, err := b.CreateClinicWithResponse(t.Context(), nil, newClinic("City", "Europe/Berlin"), b.admin())
		require.NoError(t, err)
		refused(t, errNameTaken, resp.StatusCode(), resp.Body)
		update, err := b.UpdateClinicWithResponse(t.Context(), b.clinic, nil, newClinic("City", "Europe/Berlin"), b.admin())
		require.NoError(t, err)
		refused(t, errNameTaken, update.StatusCode(), update.Body)
	})

	t.Run("change only for who read them last", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		read, err := b.GetClinicWithResponse(t.Context(), b.clinic)
		require.NoError(t, err)
		tag := read.HTTPResponse.Header.Get("ETag")
		first, err := b.UpdateClinicWithResponse(t.Context(), b.clinic, &api.UpdateClinicParams{IfMatch: &tag}, newClinic("First", "Europe/Berlin"), b.admin())
		require.NoError(t, err)
		require.Equal(t, "First", first.JSON200.Name)
		second, err := b.UpdateClinicWithResponse(t.Context(), b.clinic, &api.UpdateClinicParams{IfMatch: &tag}, newClinic("Second", "Europe/Berlin"), b.admin())
		require.NoError(t, err)
		require.Equal(t, http.StatusPreconditionFailed, second.StatusCode())
		gone, err := b.DeleteClinicWithResponse(t.Context(), b.clinic, &api.DeleteClinicParams{IfMatch: &tag}, b.admin())
		require.NoError(t, err)
		require.Equal(t, http.StatusPreconditionFailed, gone.StatusCode())
		odd, err := b.DeleteClinicWithResponse(t.Context(), b.clinic, &api.DeleteClinicParams{IfMatch: new("v2")}, b.admin())
		require.NoError(t, err)
		require.Equal(t, http.StatusPreconditionFailed, odd.StatusCode())
	})

	t.Run("can be deleted while nobody works there", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.addDoctor()
		used, err := b.DeleteClinicWithResponse(t.Context(), b.clinic, nil, b.admin())
		require.NoError(t, err)
		refused(t, errInUse, used.StatusCode(), used.Body)
		free, err := b.DeleteClinicWithResponse(t.Context(), b.addClinic("UTC"), nil, b.admin())
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, free.StatusCode())
	})
}

func TestSpecialities(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	again, err := b.CreateSpecialityWithResponse(t.Context(), nil, api.NewSpeciality{Name: "CARDIOLOGY"}, b.admin())
	require.NoError(t, err)
	refused(t, errNameTaken, again.StatusCode(), again.Body)
	changed, err := b.UpdateSpecialityWithResponse(t.Context(), b.speciality, &api.UpdateSpecialityParams{IfMatch: new(`"v1"`)}, api.NewSpeciality{Name: "Heart", Description: "Heart and circulation"}, b.admin())
	require.NoError(t, err)
	require.Equal(t, `"v2"`, changed.HTTPResponse.Header.Get("ETag"))
	stale, err := b.UpdateSpecialityWithResponse(t.Context(), b.speciality, &api.UpdateSpecialityParams{IfMatch: new(`"v1"`)}, api.NewSpeciality{Name: "Heart"}, b.admin())
	require.NoError(t, err)
	require.Equal(t, http.StatusPreconditionFailed, stale.StatusCode())
	list, err := b.ListSpecialitiesWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "Heart", list.JSON200.Items[0].Name)
	b.addDoctor()
	used, err := b.DeleteSpecialityWithResponse(t.Context(), b.speciality, nil, b.admin())
	require.NoError(t, err)
	refused(t, errInUse, used.StatusCode(), used.Body)
	gone, err := b.DeleteSpecialityWithResponse(t.Context(), b.addSpeciality("Other"), nil, b.admin())
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
}

func TestAppointmentTypes(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	again, err := b.CreateAppointmentTypeWithResponse(t.Context(), nil, api.NewAppointmentType{Name: "first visit", DurationMin: 20}, b.admin())
	require.NoError(t, err)
	refused(t, errNameTaken, again.StatusCode(), again.Body)
	endless, err := b.CreateAppointmentTypeWithResponse(t.Context(), nil, api.NewAppointmentType{Name: "Endless", DurationMin: 481}, b.admin())
	require.NoError(t, err)
	require.Equal(t, "/duration_min", problemOf(t, endless.Body).Errors[0].Pointer)

	a := b.mustBook(b.addPatient(), b.addDoctor(), slotAt(2, 9, 0))
	changed, err := b.UpdateAppointmentTypeWithResponse(t.Context(), b.kind, nil, api.NewAppointmentType{Name: "Long visit", DurationMin: 60}, b.admin())
	require.NoError(t, err)
	require.EqualValues(t, 60, changed.JSON200.DurationMin)
	require.Equal(t, 1, b.count("SELECT count(*) FROM appointments WHERE id = $1 AND ends_at = starts_at + interval '30 min'", a.ID))
	used, err := b.DeleteAppointmentTypeWithResponse(t.Context(), b.kind, nil, b.admin())
	require.NoError(t, err)
	refused(t, errInUse, used.StatusCode(), used.Body)
	gone, err := b.DeleteAppointmentTypeWithResponse(t.Context(), b.addType("Other", 10), nil, b.admin())
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
	list, err := b.ListAppointmentTypesWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.JSON200.Items, 1)
	one, err := b.GetAppointmentTypeWithResponse(t.Context(), b.kind)
	require.NoError(t, err)
	require.Equal(t, "Long visit", one.JSON200.Name)
	speciality, err := b.GetSpecialityWithResponse(t.Context(), b.speciality)
	require.NoError(t, err)
	require.Equal(t, "Cardiology", speciality.JSON200.Name)
}
