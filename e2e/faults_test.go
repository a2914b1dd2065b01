package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// healthInterval is how long Traefik may send requests to an instance that is dead.
const healthInterval = 3 * time.Second

// reads is what a patient's app asks all day.
func reads(ctx context.Context, c *caller, n int) (answer, error) {
	return c.try(ctx, http.MethodGet, []string{appointments, "/appointment/v1/clinics"}[n%2], nil)
}

// DISC-2, DISC-4: an instance that dies takes no request with it for longer than the health interval.
func TestKillingAnInstanceIsNotNoticed(t *testing.T) {
	p := shared(t)
	callers := p.crowd(t, 4)
	l := startLoad(t, callers, 25*time.Millisecond, reads)
	l.calm(t, patience, time.Second)
	for _, name := range p.named(t, "appointment") {
		killed := time.Now()
		require.NoError(t, p.Kill(t.Context(), name))
		var failed []sent
		for _, s := range l.since(t, killed, healthInterval+3*time.Second) {
			if !s.bad() {
				continue
			}
			failed = append(failed, s)
			require.Less(t, s.at.Sub(killed), healthInterval, "%s", s)
		}
		clean(t, l.since(t, killed, 0))
		t.Logf("%s killed: %d GETs failed before the health interval was over", name, len(failed))
		p.healthy(t)
	}
}

// MAIL-2, X-11, X-12, APP-5: a booking and its mails are one; whoever is away, they come, and once.
func TestKillingMailingLosesAndDoublesNoMail(t *testing.T) {
	p := shared(t)
	c := p.newPractice(t)
	patients := p.crowd(t, 12)
	for i, patient := range patients {
		if i%4 == 1 {
			require.NoError(t, p.Kill(t.Context(), p.named(t, "mailing")[0]))
		}
		patient.post(t, appointments, c.booking(i)).wants(t, http.StatusCreated) // whatever is with the mail
		pause(t.Context(), 300*time.Millisecond)
	}
	p.healthy(t)
	began := time.Now()
	distinct := func(address string) int {
		ids := map[string]bool{}
		for _, m := range p.mails(t, address) {
			ids[m.MessageID] = true
		}
		return len(ids)
	}
	complete := func() (bool, string) {
		have := 0
		for _, patient := range patients {
			have += min(1, distinct(patient.email))
		}
		doctors := distinct(c.doctor.email)
		return have == len(patients) && doctors >= len(patients), fmt.Sprintf("%d of %d patients, %d for the doctor", have, len(patients), doctors)
	}
	eventually(t, "every mail there", 100*time.Second, complete)
	t.Logf("every mail was there %.1f s after mailing was", time.Since(began).Seconds())
	pause(t.Context(), 3*time.Second) // for one that is sent again
	for _, patient := range patients {
		require.Equal(t, 1, distinct(patient.email))
	}
	require.Equal(t, len(patients), distinct(c.doctor.email))
}

// the database goes away and comes back under load; callers are told to come back, and nothing has to be restarted.
func TestRestartingPostgresHealsByItself(t *testing.T) {
	p := shared(t)
	for how, restart := range map[string]func(context.Context, string) error{"restarted": p.Restart, "killed": p.Kill} {
		t.Run(how, func(t *testing.T) {
			callers := append(p.crowd(t, 4), p.patient(t).application(t, "appointments:read", "appointments:write"))
			practice, slot := p.newPractice(t), map[*caller]any{}
			for i, c := range callers {
				slot[c] = practice.booking(i)
			}
			l := startLoad(t, callers, 50*time.Millisecond, func(ctx context.Context, c *caller, n int) (answer, error) {
				switch n % 3 {
				case 0: // written together with its key; a new hold gives up the one before
					return c.try(ctx, http.MethodPost, "/appointment/v1/holds", slot[c], key(unique("key")))
				case 1: // takes no key
					return c.try(ctx, http.MethodPost, "/appointment/v1/me/calendar-feed", nil)
				}
				return reads(ctx, c, n)
			})
			l.calm(t, patience, time.Second)
			others, began := p.pids(t, "postgres"), time.Now()
			require.NoError(t, restart(t.Context(), "postgres"))
			l.calm(t, time.Minute, 2*time.Second)
			clean(t, l.since(t, began, 0))
			p.healthy(t)
			require.Equal(t, others, p.pids(t, "postgres"), "nothing else was restarted")
			p.patient(t).post(t, "/auth/v1/role-requests", map[string]any{"role": "doctor", "licence_number": "DE-1234"}).wants(t, http.StatusCreated)
		})
	}
}

// X-5, AUTH-5: with those away who know the credentials, whom they knew a moment ago is believed for a bounded while and then
// told to come back. Nobody else gets in.
func TestWithoutKratosOrHydraNobodyNewGetsIn(t *testing.T) {
	p := shared(t)
	ada, unseen := p.patient(t), p.person(t)
	machine := p.machine(t, "mail:read", "mail:send")
	for _, away := range []struct {
		server         string
		known, healthy *caller
		path, other    string
	}{
		{"kratos", ada, machine, appointments, "/mailing/v1/messages"},
		{"hydra", machine, ada, "/mailing/v1/messages", appointments},
	} {
		t.Run("without "+away.server, func(t *testing.T) {
			instances, err := p.Instances(t.Context(), "auth")
			require.NoError(t, err)
			for _, base := range instances { // each has seen both
				away.known.at(base).get(t, "/auth/internal/verify").wants(t, http.StatusOK)
				away.healthy.at(base).get(t, "/auth/internal/verify").wants(t, http.StatusOK)
			}
			p.down(t, away.server)
			gone := time.Now()
			for time.Since(gone) < 15*time.Second {
				away.known.get(t, away.path).wants(t, http.StatusOK)
				away.healthy.get(t, away.other).wants(t, http.StatusOK)
				p.nobodyGetsIn(t, map[string]string{"kratos": "ory_st_", "hydra": "ory_at_"}[away.server])
				pause(t.Context(), 500*time.Millisecond)
			}
			eventually(t, "at their bound", 20*time.Second, func() (bool, string) {
				got := away.known.get(t, away.path)
				require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, got.StatusCode, "%s", got)
				return got.StatusCode == http.StatusServiceUnavailable && time.Since(gone) > 26*time.Second, got.String()
			})
			for range 20 {
				away.known.get(t, away.path).refused(t, http.StatusServiceUnavailable)
				away.healthy.get(t, away.other).wants(t, http.StatusOK)
				if away.server == "kratos" {
					unseen.get(t, appointments).refused(t, http.StatusServiceUnavailable)
				}
			}
			p.up(t, away.server)
			eventually(t, "believed again", patience, func() (bool, string) {
				got := away.known.get(t, away.path)
				return got.StatusCode == http.StatusOK, got.String()
			})
			unseen.get(t, appointments).wants(t, http.StatusOK)
		})
	}
}

// nobodyGetsIn tries what must not work whatever is away.
func (p *platform) nobodyGetsIn(t *testing.T, unknown string) {
	t.Helper()
	nobody := p.visitor()
	nobody.get(t, "/appointment/v1/clinics").wants(t, http.StatusOK)
	nobody.get(t, appointments).refused(t, http.StatusUnauthorized)
	nobody.bearing("x").get(t, appointments).refused(t, http.StatusUnauthorized)
	for _, path := range []string{appointments, "/appointment/v1/clinics"} {
		nobody.bearing(unknown+unique("made-up")).get(t, path).refused(t, http.StatusServiceUnavailable, http.StatusUnauthorized)
	}
}

// X-8, ZUUL-6: what Traefik and catalog say when nobody, or nothing in time, answers behind them.
func TestAServiceThatIsAwayAnswersAsAProblem(t *testing.T) {
	p := shared(t)
	admin := p.person(t, "admin")
	comeBack := func(t *testing.T, got answer, statuses ...int) {
		t.Helper()
		got.refused(t, statuses...)
		require.NotEmpty(t, got.Header.Get("Retry-After"), "%s", got)
		require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"), "%s", got)
	}

	t.Run("a core service: 503 from catalog, and the others go on", func(t *testing.T) {
		admin.get(t, "/mailing/v1/messages").wants(t, http.StatusOK)
		mailing := p.named(t, "mailing")[0]
		p.down(t, mailing)
		for range 30 { // until after the circuit has opened
			comeBack(t, admin.get(t, "/mailing/v1/messages"), http.StatusServiceUnavailable)
		}
		admin.get(t, "/appointment/v1/clinics").wants(t, http.StatusOK)
		p.up(t, mailing)
		eventually(t, "back", patience, func() (bool, string) {
			got := admin.get(t, "/mailing/v1/messages")
			return got.StatusCode == http.StatusOK, got.String()
		})
	})

	t.Run("catalog: 503 from Traefik, not 404", func(t *testing.T) {
		catalog := p.named(t, "catalog")[0]
		p.down(t, catalog)
		comeBack(t, admin.get(t, "/appointment/v1/clinics"), http.StatusServiceUnavailable)
		comeBack(t, admin.get(t, "/catalog/v1/me/overview"), http.StatusServiceUnavailable)
		p.visitor().get(t, "/login").wants(t, http.StatusOK) // what does not need it
		p.up(t, catalog)
		eventually(t, "back", patience, func() (bool, string) {
			got := admin.get(t, "/appointment/v1/clinics")
			return got.StatusCode == http.StatusOK, got.String()
		})
	})

	t.Run("Hydra: 502 from Traefik", func(t *testing.T) {
		p.down(t, "hydra")
		comeBack(t, p.visitor().get(t, "/.well-known/openid-configuration"), http.StatusBadGateway)
		p.up(t, "hydra")
		p.visitor().get(t, "/.well-known/openid-configuration").wants(t, http.StatusOK)
	})

	t.Run("an instance that hangs: 504 in time, then 503, then all is well", func(t *testing.T) {
		frozen := p.pids(t)
		for _, name := range p.named(t, "appointment") {
			require.NoError(t, syscall.Kill(frozen[name], syscall.SIGSTOP))
			t.Cleanup(func() { _ = syscall.Kill(frozen[name], syscall.SIGCONT) })
		}
		var statuses []int
		for range 8 {
			got := admin.get(t, appointments)
			comeBack(t, got, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
			require.Less(t, got.took, 12*time.Second)
			statuses = append(statuses, got.StatusCode)
		}
		require.Contains(t, statuses, http.StatusGatewayTimeout)
		require.Equal(t, http.StatusServiceUnavailable, statuses[len(statuses)-1])
		for _, name := range p.named(t, "appointment") {
			require.NoError(t, syscall.Kill(frozen[name], syscall.SIGCONT))
		}
		eventually(t, "back", patience, func() (bool, string) {
			got := admin.get(t, appointments)
			return got.StatusCode == http.StatusOK, got.String()
		})
		p.healthy(t)
	})
}

// DISC-2: the registry is no single point of failure while it is away.
func TestTheRegistryMayBeAway(t *testing.T) {
	p := shared(t)
	callers := p.crowd(t, 2)
	l := startLoad(t, callers, 50*time.Millisecond, reads)
	l.calm(t, patience, time.Second)
	others, began := p.pids(t, "etcd"), time.Now()
	p.down(t, "etcd")
	pause(t.Context(), 8*time.Second) // longer than a registration lives
	p.up(t, "etcd")
	all := l.since(t, began, 3*time.Second)
	require.NotEmpty(t, all)
	require.False(t, slices.ContainsFunc(all, sent.bad), "%v", all)
	require.Equal(t, others, p.pids(t, "etcd"))
}
