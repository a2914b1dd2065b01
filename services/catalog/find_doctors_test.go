package catalog

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

const search = "/catalog/v1/doctors?speciality_id=01990c5e-7a10-7cc3-8a51-2f6d3b1f0a02&appointment_type_id=01990c5e-7a10-7cc3-8a51-2f6d3b1f0a03"

// CAT-12: doctors with their next free slots are one call.
func TestFindDoctors(t *testing.T) {
	t.Parallel()

	t.Run("shows doctors in the order of the directory, each with slots", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "doctors" {
				says(http.StatusOK, `{"items": `+truth["doctors"]+`, "next_cursor": "n/2"}`)(w, r)
				return
			}
			tells(w, r)
		})
		var p api.DoctorPage
		place := "&latitude=52.5&longitude=13.4&radius_m=5000"
		got := b.part(search+place+"&from=2031-05-05&cursor=n1", &p)
		require.Equal(t, api.Live, p.State)
		require.Len(t, p.Items, 2)
		require.Equal(t, noorID, p.Items[0].Doctor.ID.String())
		require.Equal(t, 1240, *p.Items[0].Doctor.DistanceM)
		require.Len(t, *p.Items[0].Slots.Items, 1)
		require.Equal(t, otherID, p.Items[1].Doctor.ID.String())
		require.Equal(t, api.Live, p.Items[1].Slots.State)
		require.Empty(t, *p.Items[1].Slots.Items)
		require.Equal(t, "n/2", *p.NextCursor)
		require.Contains(t, got.Header.Get("Link"), "cursor=n%2F2")
		require.Contains(t, got.Header.Get("Link"), `rel="next"`)

		asked := b.query("doctors")
		for name, want := range map[string]string{
			"speciality_id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a02", "latitude": "52.5", "longitude": "13.4", "radius_m": "5000", "limit": "10", "cursor": "n1",
		} {
			require.Equal(t, want, asked.Get(name), name)
		}
		asked = b.query("slots of " + noorID)
		for name, want := range map[string]string{
			"appointment_type_id": "01990c5e-7a10-7cc3-8a51-2f6d3b1f0a03", "from": "2031-05-05", "to": "2031-06-04", "limit": "5",
		} {
			require.Equal(t, want, asked.Get(name), name)
		}
		require.Len(t, b.core.requests(), 3)
		for _, r := range b.core.requests() {
			require.NotContains(t, r.Header, "X-Healthe-Identity", "nobody asked")
		}
	})

	t.Run("asks as nobody, whoever asks", func(t *testing.T) { // so that what is kept for one serves all
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", tells)
		b.part(search, new(api.DoctorPage), "appointments:read")
		require.Len(t, b.core.requests(), 3)
		for _, r := range b.core.requests() {
			require.NotContains(t, r.Header, "X-Healthe-Identity")
		}
	})

	t.Run("starts today on each clinic's clock", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		zones := map[string]string{noorID: "Pacific/Kiritimati", otherID: "Etc/GMT+12"} // never on the same day
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "doctors" {
				says(http.StatusOK, `{"items": [`+strings.ReplaceAll(noor, "Europe/Berlin", zones[noorID])+`,`+
					strings.ReplaceAll(other, "Europe/Berlin", zones[otherID])+`]}`)(w, r)
				return
			}
			tells(w, r)
		})
		before := time.Now()
		b.part(search, new(api.DoctorPage))
		for id, name := range zones {
			zone, err := time.LoadLocation(name)
			require.NoError(t, err)
			days := []string{before.In(zone).Format(time.DateOnly), time.Now().In(zone).Format(time.DateOnly)}
			require.Contains(t, days, b.query("slots of "+id).Get("from"))
		}
	})

	t.Run("finds nobody", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", says(http.StatusOK, `{"items": []}`))
		var p api.DoctorPage
		got := b.part(search, &p)
		require.Equal(t, api.DoctorPage{State: api.Live, Items: []api.FoundDoctor{}}, p)
		require.Empty(t, got.Header.Get("Link"))
	})

	t.Run("is a problem without the directory", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		got := b.get(search)
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Equal(t, problem.Base+"unavailable", got.problem(t).Type)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	})

	t.Run("refuses what makes no sense, before anyone is asked", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		for wrong, pointer := range map[string]string{
			"&latitude=52.5": "/query/latitude", "&longitude=13.4": "/query/latitude", "&radius_m=100": "/query/latitude",
			"&latitude=91&longitude=13.4": "/query/latitude", "&from=9999-12-31": "/query/from", "&from=0001-01-01": "/query/from",
			"&limit=21": "/query/limit", "&limit=0": "/query/limit",
		} {
			got := b.get(search + wrong)
			require.Equal(t, http.StatusBadRequest, got.StatusCode, wrong)
			require.Equal(t, pointer, got.problem(t).Errors[0].Pointer, wrong)
		}
		require.Empty(t, b.core.requests())
	})

	t.Run("says in its own words what the service refuses", func(t *testing.T) {
		t.Parallel()

		for part, pointer := range map[string]string{"doctors": "/query/cursor", "slots of " + otherID: "/query/appointment_type_id"} {
			b := newBench(t)
			b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
				if partOf(r) == part {
					refuses(problem.Invalid(problem.Field{Pointer: pointer, Detail: "neighbour's words"}))(w, r)
					return
				}
				tells(w, r)
			})
			got := b.get(search + "&cursor=made-up")
			require.Equal(t, http.StatusBadRequest, got.StatusCode)
			require.Equal(t, pointer, got.problem(t).Errors[0].Pointer)
			require.NotContains(t, got.text, "neighbour's words")
		}
	})

	t.Run("takes any other refusal for a part that is missing", func(t *testing.T) {
		t.Parallel()

		b := newBench(t)
		b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
			if partOf(r) == "slots of "+noorID {
				refuses(problem.Invalid(problem.Field{Pointer: "/query/to", Detail: "x"}))(w, r)
				return
			}
			tells(w, r)
		})
		var p api.DoctorPage
		b.part(search, &p)
		require.Equal(t, api.SlotsPart{State: api.Unavailable}, p.Items[0].Slots)
		require.Equal(t, api.Live, p.Items[1].Slots.State)
	})
}

// CAT-9: one search takes no more than its share of the service.
func TestFindDoctorsAsksForSlotsWithinBounds(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	doctors := make([]string, 20)
	for i := range doctors {
		doctors[i] = strings.ReplaceAll(noor, noorID, uuid.NewString())
	}
	var running, most atomic.Int64
	full := make(chan struct{}) // all that may run at once do
	b.core.does("appointment", func(w http.ResponseWriter, r *http.Request) {
		if partOf(r) == "doctors" {
			says(http.StatusOK, `{"items": [`+strings.Join(doctors, ",")+`]}`)(w, r)
			return
		}
		n := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		if n == slotsAtOnce {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		says(http.StatusOK, `{"items": []}`)(w, r)
	})
	var p api.DoctorPage
	b.part(search+"&limit=20", &p)
	require.Len(t, p.Items, 20)
	for _, f := range p.Items {
		require.Equal(t, api.Live, f.Slots.State)
	}
	require.EqualValues(t, slotsAtOnce, most.Load(), fmt.Sprint(most.Load()))
}
