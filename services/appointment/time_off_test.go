package appointment

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/appointment"
)

func TestTimeOff(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	doctor, patient := b.addDoctor(), b.addPatient()
	off, err := b.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(2, 0, 0), EndsAt: slotAt(3, 0, 0), Reason: new("Training")}, b.doctorOf(doctor))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, off.StatusCode(), string(off.Body))
	resp := b.book(patient, doctor, slotAt(2, 9, 0))
	refused(t, errNotOffered, resp.StatusCode(), resp.Body)
	list, err := b.ListTimeOffWithResponse(t.Context(), nil, b.doctorOf(doctor))
	require.NoError(t, err)
	require.Equal(t, "Training", list.JSON200.Items[0].Reason)
	theirs, err := b.DeleteTimeOffWithResponse(t.Context(), off.JSON201.ID, b.doctorOf(b.addDoctor()))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, theirs.StatusCode())
	gone, err := b.DeleteTimeOffWithResponse(t.Context(), off.JSON201.ID, b.doctorOf(doctor))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
	b.mustBook(patient, doctor, slotAt(2, 9, 0))

	for want, days := range map[error][2]int{errTimeOffOrder: {3, 2}, errTimeOffPast: {-3, -2}, errTimeOffLong: {3, 3000}} {
		resp, err := b.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(days[0], 0, 0), EndsAt: slotAt(days[1], 0, 0)}, b.doctorOf(doctor))
		require.NoError(t, err)
		refused(t, want, resp.StatusCode(), resp.Body)
		require.Equal(t, problemFields(t, want), problemOf(t, resp.Body).Errors[0].Detail)
	}
	nobody, err := b.CreateTimeOffWithResponse(t.Context(), nil, api.NewTimeOff{StartsAt: slotAt(2, 0, 0), EndsAt: slotAt(3, 0, 0)}, b.doctorOf(uuid.New()))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, nobody.StatusCode())
}
