package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// APP-1, X-5: what belongs to somebody else is as if it did not exist, to the last byte.
func TestNobodyReachesSomebodyElsesThings(t *testing.T) {
	t.Parallel()

	p := shared(t)
	c := p.newPractice(t)
	ada, eve, other := p.patient(t), p.patient(t), p.newPractice(t).doctor
	booked := ada.post(t, appointments, c.booking(0)).wants(t, http.StatusCreated).id(t)
	held := ada.post(t, "/appointment/v1/holds", c.booking(1)).wants(t, http.StatusCreated).id(t)
	day := c.slots[0][:len(time.DateOnly)]
	waiting := ada.post(t, "/appointment/v1/waitlist", map[string]any{
		"doctor_id": c.doctor.id, "appointment_type_id": c.visit, "from_date": day, "to_date": day,
	}).wants(t, http.StatusCreated).id(t)
	off := c.doctor.post(t, "/appointment/v1/me/doctor/time-off", map[string]any{
		"starts_at": "2031-07-01T00:00:00Z", "ends_at": "2031-07-15T00:00:00Z",
	}).wants(t, http.StatusCreated).id(t)
	asked := ada.post(t, "/auth/v1/role-requests", map[string]any{"role": "pharmacist", "licence_number": "DE-1234"}).wants(t, http.StatusCreated).id(t)
	var sessions struct{ Items []struct{ ID string } }
	ada.get(t, "/auth/v1/sessions").wants(t, http.StatusOK).decode(t, &sessions)

	move := map[string]any{"starts_at": c.slots[3]}
	for _, try := range []struct {
		who          *caller
		method, path string
		id           string
		body         any
	}{
		{eve, "GET", appointments + "/{}", booked, nil},
		{eve, "POST", appointments + "/{}/cancellation", booked, map[string]any{}},
		{eve, "POST", appointments + "/{}/rescheduling", booked, move},
		{eve, "GET", "/appointment/v1/holds/{}", held, nil},
		{eve, "DELETE", "/appointment/v1/holds/{}", held, nil},
		{eve, "POST", appointments, held, map[string]any{"hold_id": "{}"}},
		{eve, "GET", "/appointment/v1/waitlist/{}", waiting, nil},
		{eve, "DELETE", "/appointment/v1/waitlist/{}", waiting, nil},
		{eve, "POST", "/appointment/v1/waitlist/{}/acceptance", waiting, nil},
		{eve, "POST", "/appointment/v1/waitlist/{}/refusal", waiting, nil},
		{eve, "GET", "/auth/v1/role-requests/{}", asked, nil},
		{eve, "DELETE", "/auth/v1/sessions/{}", sessions.Items[0].ID, nil},
		{other, "GET", "/appointment/v1/patients/{}", ada.id, nil},
		{other, "GET", "/appointment/v1/schedule/{}", booked, nil},
		{other, "POST", "/appointment/v1/schedule/{}/cancellation", booked, map[string]any{}},
		{other, "POST", "/appointment/v1/schedule/{}/rescheduling", booked, move},
		{other, "POST", "/appointment/v1/schedule/{}/completion", booked, nil},
		{other, "POST", "/appointment/v1/schedule/{}/no-show", booked, nil},
		{other, "POST", "/appointment/v1/schedule", ada.id, map[string]any{"patient_id": "{}", "appointment_type_id": c.visit, "starts_at": c.slots[4]}},
		{other, "DELETE", "/appointment/v1/me/doctor/time-off/{}", off, nil},
	} {
		t.Run(try.method+" "+try.path, func(t *testing.T) {
			send := func(id string) answer {
				body := try.body
				if fields, ok := body.(map[string]any); ok {
					filled := map[string]any{}
					for name, value := range fields {
						if value == "{}" {
							value = id
						}
						filled[name] = value
					}
					body = filled
				}
				return try.who.do(t, try.method, strings.ReplaceAll(try.path, "{}", id), body)
			}
			foreign, missing := send(try.id), send(uuid.NewString())
			foreign.refused(t, http.StatusNotFound, http.StatusConflict)
			same(t, missing, foreign)
		})
	}

	t.Run("and lists hold the caller's own", func(t *testing.T) {
		for _, path := range []string{appointments, "/appointment/v1/waitlist", "/auth/v1/role-requests", "/appointment/v1/me/audit-records"} {
			got := eve.get(t, path).wants(t, http.StatusOK)
			require.JSONEq(t, `{"items": []}`, string(got.body), path)
		}
		require.JSONEq(t, `{"items": []}`, string(other.get(t, "/appointment/v1/schedule").wants(t, http.StatusOK).body))
		require.NotContains(t, string(other.get(t, appointments).body), booked)
	})

	t.Run("and the owner still has all of it", func(t *testing.T) {
		for _, path := range []string{
			appointments + "/" + booked, "/appointment/v1/holds/" + held, "/appointment/v1/waitlist/" + waiting, "/auth/v1/role-requests/" + asked, me,
		} {
			ada.get(t, path).wants(t, http.StatusOK)
		}
		c.doctor.get(t, "/appointment/v1/patients/"+ada.id).wants(t, http.StatusOK)
	})
}

// AUTH-1, AUTH-12, X-16: nobody gives themselves a role.
func TestNobodyBecomesADoctorAlone(t *testing.T) {
	t.Parallel()

	p := shared(t)
	eve, admin := p.person(t), p.person(t, "admin")
	roles := func(c *caller) []string {
		var who struct{ Roles []string }
		c.get(t, me).wants(t, http.StatusOK).decode(t, &who)
		return who.Roles
	}

	t.Run("by signing up as one", func(t *testing.T) {
		for _, name := range []string{"role", "roles", "metadata_public", "scopes"} {
			got := p.visitor().post(t, "/auth/v1/signup", map[string]any{
				"username": unique("eve"), "email": unique("eve") + "@example.com", "name": "Eve", "password": password, name: []string{"doctor"},
			})
			require.Equal(t, "/"+name, got.refused(t, http.StatusBadRequest).Errors[0].Pointer)
		}
	})

	t.Run("by asking", func(t *testing.T) {
		asked := eve.post(t, "/auth/v1/role-requests", map[string]any{"role": "doctor", "licence_number": "DE-1234"}).wants(t, http.StatusCreated).id(t)
		require.Equal(t, []string{"patient"}, roles(eve))
		eve.post(t, "/auth/v1/role-requests/"+asked+"/approval", nil).refused(t, http.StatusForbidden)
		p.person(t, "doctor").post(t, "/auth/v1/role-requests/"+asked+"/approval", nil).refused(t, http.StatusForbidden)
		eve.post(t, "/auth/v1/role-requests", map[string]any{"role": "admin", "licence_number": "DE-1234"}).refused(t, http.StatusBadRequest)
		eve.get(t, "/auth/v1/role-requests?view=all").refused(t, http.StatusForbidden)
		require.Equal(t, []string{"patient"}, roles(eve))
	})

	t.Run("even as an admin", func(t *testing.T) {
		asked := admin.post(t, "/auth/v1/role-requests", map[string]any{"role": "doctor", "licence_number": "DE-1234"}).wants(t, http.StatusCreated).id(t)
		admin.post(t, "/auth/v1/role-requests/"+asked+"/approval", nil).refused(t, http.StatusForbidden)
		require.NotContains(t, roles(admin), "doctor")
	})

	t.Run("and does nothing of what doctors and admins do", func(t *testing.T) {
		for _, o := range operations(t) {
			if o.secured && !o.internal && !o.allows("account:read", "account:write", "appointments:read", "appointments:write", "forum:read", "forum:write") {
				eve.do(t, o.method, o.url(), o.example()).refused(t, http.StatusForbidden)
			}
		}
	})

	t.Run("but with an admin's word, at once and until it is taken back", func(t *testing.T) {
		fay := p.person(t)
		asked := fay.post(t, "/auth/v1/role-requests", map[string]any{"role": "doctor", "licence_number": "DE-1234"}).wants(t, http.StatusCreated).id(t)
		fay.get(t, "/appointment/v1/schedule").refused(t, http.StatusForbidden)
		admin.post(t, "/auth/v1/role-requests/"+asked+"/approval", nil).wants(t, http.StatusOK)
		eventually(t, "a doctor", patience, func() (bool, string) {
			got := fay.get(t, "/appointment/v1/schedule")
			return got.StatusCode != http.StatusForbidden, got.String()
		})
		admin.do(t, http.MethodDelete, "/auth/v1/users/"+fay.id+"/roles/doctor", nil).wants(t, http.StatusNoContent)
		eventually(t, "a patient again", patience, func() (bool, string) {
			got := fay.get(t, "/appointment/v1/schedule")
			return got.StatusCode == http.StatusForbidden, got.String()
		})
	})
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// AUTH-2, AUTH-7, AUTH-8, AUTH-10: an account is taken once, and whether it is, its owner alone is told.
func TestSigningUpWithWhatIsTakenChangesAndTellsNothing(t *testing.T) {
	t.Parallel()

	p := shared(t)
	username, address := unique("ada"), unique("ada")+"@example.com"
	signUp := func(username, address, password string) answer {
		return p.visitor().post(t, "/auth/v1/signup", map[string]any{"username": username, "email": address, "name": "Ada", "password": password})
	}
	login := func(identifier, password string) answer {
		return p.visitor().post(t, "/auth/v1/login", map[string]any{"identifier": identifier, "password": password})
	}
	free := signUp(username, address, password).wants(t, http.StatusAccepted)
	code := sixDigits.FindString(p.text(t, p.mailTo(t, address, 1)[0]))
	require.NotEmpty(t, code)
	login(username, password).refused(t, http.StatusUnauthorized) // not verified yet
	confirmation := "/auth/v1/verifications/" + free.id(t) + "/confirmation"
	p.visitor().post(t, confirmation, map[string]any{"code": "000000"}).refused(t, http.StatusBadRequest)
	p.visitor().post(t, confirmation, map[string]any{"code": code}).wants(t, http.StatusNoContent)
	p.visitor().post(t, confirmation, map[string]any{"code": code}).refused(t, http.StatusBadRequest)
	var before, after map[string]any
	ada := p.visitor()
	ada.username, ada.password = address, password
	ada.login(t)
	ada.get(t, me).wants(t, http.StatusOK).decode(t, &before)

	const hers = "eleven-Badgers-sing-77"
	stranger := unique("eve") + "@example.com"
	for _, taken := range []answer{
		signUp(username, stranger, hers), signUp(strings.ToUpper(username), stranger, hers),
		signUp(unique("eve"), address, hers), signUp(unique("eve"), strings.ToUpper(address), hers), signUp(username, address, hers),
	} {
		same(t, free, taken)
		p.visitor().post(t, "/auth/v1/verifications/"+taken.id(t)+"/confirmation", map[string]any{"code": code}).refused(t, http.StatusBadRequest)
	}
	p.mailTo(t, address, 2) // the owner is told
	for _, identifier := range []string{username, address, stranger} {
		require.Equal(t, "https://healthe.dev/problems/wrong-credentials", login(identifier, hers).refused(t, http.StatusUnauthorized).Type)
	}
	login(username, password).wants(t, http.StatusOK)
	ada.get(t, me).wants(t, http.StatusOK).decode(t, &after)
	require.Equal(t, before, after)
	same(t, login(unique("nobody"), hers), login(username, hers))
}

// AUTH-3, AUTH-4, AUTH-5: a session is its user's alone and ends when they say so.
func TestASessionIsBoundToItsUserAndEnds(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	first := *ada
	ada.login(t)
	second := *ada
	var session struct{ ID string }
	first.post(t, "/auth/v1/refresh", nil).wants(t, http.StatusOK).decode(t, &session)
	require.Equal(t, ada.id, first.get(t, me).wants(t, http.StatusOK).id(t))
	first.post(t, "/auth/v1/refresh?username=admin", nil).refused(t, http.StatusBadRequest)
	first.post(t, "/auth/v1/logout", nil).wants(t, http.StatusNoContent)
	eventually(t, "logged out on both instances", time.Second, func() (bool, string) { // whose notice may still be on its way
		return first.get(t, me).StatusCode+first.get(t, me).StatusCode == 2*http.StatusUnauthorized, "still believed"
	})
	for _, path := range []string{me, appointments, "/appointment/v1/clinics", "/catalog/v1/me/overview"} {
		first.get(t, path).refused(t, http.StatusUnauthorized)
	}
	first.post(t, "/auth/v1/refresh", nil).refused(t, http.StatusUnauthorized)
	second.get(t, me).wants(t, http.StatusOK)
	first.bearing("ory_st_"+strings.Repeat("a", 32)).get(t, "/appointment/v1/clinics").refused(t, http.StatusUnauthorized)
	first.bearing("ory_at_"+strings.Repeat("a", 32)).get(t, me).refused(t, http.StatusUnauthorized)
}

// AUTH-5: whichever instance of auth hears of it, the session is over on all of them at once, whatever they had cached.
func TestALogOutHoldsOnEveryInstance(t *testing.T) {
	t.Parallel()

	p := shared(t)
	instances, err := p.Instances(t.Context(), "auth")
	require.NoError(t, err)
	require.Len(t, instances, 2)
	for range 5 { // so that either is the one that is asked to log out
		ada := p.person(t)
		for _, base := range instances {
			require.NotEmpty(t, ada.at(base).get(t, "/auth/internal/verify").wants(t, http.StatusOK).Header.Get("X-Healthe-Identity"))
		}
		ada.post(t, "/auth/v1/logout", nil).wants(t, http.StatusNoContent)
		for _, base := range instances {
			ada.at(base).get(t, "/auth/internal/verify").wants(t, http.StatusUnauthorized)
		}
		ada.get(t, me).refused(t, http.StatusUnauthorized)
	}
}
