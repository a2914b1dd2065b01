package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/dev/stack"
	"github.com/healthe/healthe/kit/identity"
)

// part is one of a composite's: which service it is from, where its data are, and what that service says of it.
type part struct{ name, service, data, truth string }

// reader asks for one composite in the name of one person.
type reader struct {
	who    *caller // straight at an instance of catalog: with auth down nobody comes that far through Traefik
	path   string
	parts  []part
	unseen bool // nobody has asked before, so that nothing can be known from before
}

// CAT-1, CAT-5, CAT-12: whichever core services are down, no composite takes what is not known for what is, or for nothing.
// auth goes last and appointment is not started without it: who starts without auth's keys knows nobody.
func TestNoCompositeLiesWhoeverIsDown(t *testing.T) {
	p := shared(t)
	s := p.newOutage(t)
	for _, down := range [][]string{
		{},
		{"appointment"},
		{"appointment", "mailing"},
		{"mailing"},
		{"mailing", "auth"},
		{"auth"},
		{"auth", "appointment"},
		{"auth", "appointment", "mailing"},
	} {
		began := time.Now()
		s.only(t, down)
		s.check(t)
		t.Logf("without %v: %.1f s", down, time.Since(began).Seconds())
	}
	s.only(t, nil)
	p.healthy(t)
	s.check(t)
	require.True(t, s.stale, "something was told that was known from before, or half of this test tests nothing")
}

// outage is a platform of which some services are down, and who looks at it meanwhile.
type outage struct {
	*platform
	signer    identity.Signer
	known     map[string]identity.Identity // by the id of a caller
	processes map[string][]string          // of each core service
	down      []string
	stale     bool // something was
	catalog   string
	ada       *caller // through Traefik
	seen      []reader
	unseen    [][]reader // those of one look each
}

func (p *platform) newOutage(t *testing.T) *outage {
	t.Helper()
	kid, key := p.authKey(t)
	signer, err := identity.NewSigner(kid, key)
	require.NoError(t, err)
	s := &outage{platform: p, signer: signer, known: map[string]identity.Identity{}, processes: map[string][]string{}, ada: p.patient(t)}
	for _, service := range []string{"appointment", "auth", "mailing"} {
		s.processes[service] = p.named(t, service)
	}
	s.catalog = p.instance(t, "catalog")
	c := p.newPractice(t)
	s.ada.post(t, appointments, c.booking(0)).wants(t, http.StatusCreated)
	day, err := time.Parse(time.DateOnly, c.slots[0][:len(time.DateOnly)])
	require.NoError(t, err)
	c.doctor.post(t, "/appointment/v1/me/doctor/time-off", map[string]any{"starts_at": day, "ends_at": day.AddDate(0, 0, 1)}).wants(t, http.StatusCreated)
	s.seen = []reader{s.overview(t, s.ada), s.day(t, c.doctor, day), s.search(t, c, day, 0)}
	for n := range 9 {
		newcomer := p.person(t, "doctor") // without any profile: all there is to know is that there is nothing
		readers := []reader{s.overview(t, newcomer), s.day(t, newcomer, day), s.search(t, c, day, n+1)}
		for i := range readers {
			readers[i].unseen = true
		}
		s.unseen = append(s.unseen, readers)
	}
	t.Cleanup(func() {
		s.only(t, nil)
		p.healthy(t)
	})
	return s
}

func (p *platform) instance(t *testing.T, service string) string {
	t.Helper()
	instances, err := p.Instances(t.Context(), service)
	require.NoError(t, err)
	require.NotEmpty(t, instances, service)
	return instances[0]
}

// as is who auth says that calls. The test knows it, and can say it too while auth is down.
func (s *outage) as(t *testing.T, c *caller) edit {
	t.Helper()
	if c.id == "" {
		return func(*http.Request) {}
	}
	now := time.Now()
	if _, known := s.known[c.id]; !known {
		verifier := identity.NewVerifier(s.InternalURL()+"/auth/v1/jwks.json", http.DefaultClient)
		who, err := verifier.Verify(t.Context(), c.rightful(t), now)
		require.NoError(t, err)
		s.known[c.id] = who
	}
	who := s.known[c.id]
	who.Expires = now.Add(identity.MaxLifetime)
	text, err := s.signer.Sign(who, now)
	require.NoError(t, err)
	return header(identity.Header, text)
}

// truth is what a service itself says, without catalog: the field of its answer, all of it if that has no name, or nothing.
func (s *outage) truth(t *testing.T, c *caller, service, path, field string) string {
	t.Helper()
	got := c.at(s.instance(t, service)).bearing("").get(t, path, s.as(t, c))
	if got.StatusCode == http.StatusNotFound {
		return map[string]string{"": "null", "days": "[]"}[field]
	}
	got.wants(t, http.StatusOK)
	if field == "" {
		return string(got.body)
	}
	var fields map[string]json.RawMessage
	got.decode(t, &fields)
	return string(fields[field])
}

func (s *outage) overview(t *testing.T, c *caller) reader {
	t.Helper()
	return reader{c.at(s.catalog).bearing(""), "/catalog/v1/me/overview", []part{
		{"account", "auth", "account", s.truth(t, c, "auth", me, "")},
		{"patient", "appointment", "profile", s.truth(t, c, "appointment", "/appointment/v1/me/patient", "")},
		{"appointments", "appointment", "items", s.truth(t, c, "appointment", appointments+"?when=coming&status=booked&limit=5", "items")},
	}, false}
}

func (s *outage) day(t *testing.T, c *caller, day time.Time) reader {
	t.Helper()
	span := fmt.Sprintf("?from=%s&to=%s", day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339))
	of := func(path, field string) string { return s.truth(t, c, "appointment", "/appointment/v1/"+path, field) }
	return reader{c.at(s.catalog).bearing(""), "/catalog/v1/me/day?date=" + day.Format(time.DateOnly), []part{
		{"doctor", "appointment", "profile", of("me/doctor", "")},
		{"working_hours", "appointment", "days", of("me/doctor/working-hours", "days")},
		{"appointments", "appointment", "items", of("schedule"+span, "items")},
		{"time_off", "appointment", "items", of("me/doctor/time-off", "items")},
	}, false}
}

// search is from another place for each n, and in nobody's name.
func (s *outage) search(t *testing.T, c *practice, from time.Time, n int) reader {
	t.Helper()
	nobody := s.visitor().at(s.catalog)
	query := fmt.Sprintf("?speciality_id=%s&latitude=52.%02d&longitude=13.4", c.speciality, n)
	slots := fmt.Sprintf("?doctor_id=%s&appointment_type_id=%s&from=%s&to=%s&limit=5", c.doctor.id, c.visit,
		from.Format(time.DateOnly), from.AddDate(0, 0, 30).Format(time.DateOnly))
	return reader{nobody, fmt.Sprintf("/catalog/v1/doctors%s&appointment_type_id=%s&from=%s", query, c.visit, from.Format(time.DateOnly)), []part{
		{"doctors", "appointment", "items", s.truth(t, nobody, "appointment", "/appointment/v1/doctors"+query, "items")},
		{"slots", "appointment", "items", s.truth(t, nobody, "appointment", "/appointment/v1/slots"+slots, "items")},
	}, false}
}

// only has these services down, and no other.
func (s *outage) only(t *testing.T, down []string) {
	t.Helper()
	var todo sync.WaitGroup
	for service, names := range s.processes {
		for _, name := range names {
			if stop := slices.Contains(down, service); stop != slices.Contains(s.down, service) {
				todo.Go(func() { s.turn(t, name, !stop) })
			}
		}
	}
	todo.Wait()
	s.down = down
}

// turn starts or stops a process. process-compose needs a moment to see that one has ended.
func (s *outage) turn(t *testing.T, name string, on bool) {
	change := s.StopProcess
	if on {
		change = s.StartProcess
	}
	ctx := context.WithoutCancel(t.Context()) // also while cleaning up
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); pause(ctx, tick) {
		processes, err := s.Processes(ctx)
		if err != nil {
			continue
		}
		runs := slices.ContainsFunc(processes, func(p stack.Process) bool { return p.Name == name && p.Running })
		if runs == on {
			return
		}
		_ = change(ctx, name)
	}
	t.Errorf("%s is not as it should be, which is running: %t", name, on)
}

// check asks for everything until those who are up are believed again, and a few times more. Nothing said meanwhile is a lie.
func (s *outage) check(t *testing.T) {
	t.Helper()
	readers := append(s.unseen[0], slices.Repeat(s.seen, 5)...)
	s.unseen = s.unseen[1:]
	for _, r := range readers {
		eventually(t, "all that can be told", patience, func() (bool, string) {
			got := r.who.get(t, r.path, s.as(t, r.who))
			return s.believe(t, r, got), got.String()
		})
	}
	if got := s.ada.get(t, s.seen[0].path); slices.Contains(s.down, "auth") {
		got.refused(t, http.StatusServiceUnavailable)
	} else {
		s.believe(t, s.seen[0], got)
	}
}

// believe compares an answer with the truth, and tells whether all that can be told is live.
func (s *outage) believe(t *testing.T, r reader, got answer) bool {
	t.Helper()
	if got.StatusCode == http.StatusServiceUnavailable && r.who.id == "" { // a search without the directory
		got.refused(t, http.StatusServiceUnavailable)
		return slices.Contains(s.down, "appointment")
	}
	said, complete := r.said(t, got.wants(t, http.StatusOK)), true
	for _, p := range r.parts {
		down, data := slices.Contains(s.down, p.service), string(said[p.name][p.data])
		var state string
		require.NoError(t, json.Unmarshal(said[p.name]["state"], &state), "%s", got)
		if state == "unavailable" {
			require.Empty(t, data, "%s of %s", p.name, got)
		} else {
			require.False(t, down && r.unseen && p.name != "slots", "nobody can know %s of %s", p.name, got)
			require.JSONEq(t, p.truth, cmp.Or(data, "null"), "%s of %s", p.name, got)
		}
		require.Equal(t, state == "stale", said[p.name]["age_s"] != nil, "%s of %s", p.name, got)
		s.stale = s.stale || state == "stale"
		complete = complete && (down || state == "live")
	}
	return complete
}

// said takes an answer apart. Of a search, the list is a part of its own, and the slots of its one doctor.
func (r reader) said(t *testing.T, got answer) map[string]map[string]json.RawMessage {
	t.Helper()
	said := map[string]map[string]json.RawMessage{}
	if r.who.id != "" {
		var fields map[string]json.RawMessage
		got.decode(t, &fields)
		for _, p := range r.parts {
			var one map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(fields[p.name], &one), "%s", got)
			said[p.name] = one
		}
		return said
	}
	var page map[string]json.RawMessage
	var found struct{ Items []map[string]json.RawMessage }
	got.decode(t, &page)
	got.decode(t, &found)
	require.Len(t, found.Items, 1, "%s", got)
	var slots map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(found.Items[0]["slots"], &slots), "%s", got)
	page["items"] = slices.Concat([]byte("["), found.Items[0]["doctor"], []byte("]"))
	return map[string]map[string]json.RawMessage{"doctors": page, "slots": slots}
}
