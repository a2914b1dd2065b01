package circuits

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/db/dbtest"
	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/catalog"
	"github.com/healthe/healthe/openapi/problem"
)

func (o operator) release(t *testing.T, service string) {
	t.Helper()
	got, err := o.ReleaseCircuitWithResponse(t.Context(), service)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
}

func (o operator) record(t *testing.T, params *api.ListCircuitOverridesParams) api.OverridePage {
	t.Helper()
	got, err := o.ListCircuitOverridesWithResponse(t.Context(), params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func TestForceCircuit(t *testing.T) {
	t.Parallel()

	t.Run("all instances follow, those that start later too", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "catalog")
		a, b := start(t, db, "a"), start(t, db, "b")
		one, two := a.operator(t), b.operator(t)
		got := one.force(t, "mailing", "open", "  Moving its database ")
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, api.OverrideStateOpen, got.JSON200.State)
		require.Equal(t, one.id, got.JSON200.By)
		require.Equal(t, "Moving its database", got.JSON200.Reason)
		require.True(t, a.sources["mailing"].forced("open"), "here, before the answer")
		require.Eventually(t, func() bool { return b.sources["mailing"].forced("open") }, soon, look)
		require.False(t, b.sources["appointment"].Report().Forced)
		require.Eventually(t, func() bool { return len(two.list(t).Overrides) == 1 }, soon, look)

		a.stop()
		again := start(t, db, "a")
		require.Eventually(t, func() bool { return again.sources["mailing"].forced("open") }, soon, look, "it survives a restart")

		two.release(t, "mailing")
		two.release(t, "mailing") // is no error
		require.False(t, b.sources["mailing"].Report().Forced)
		require.Eventually(t, func() bool { return !again.sources["mailing"].Report().Forced }, soon, look)
		require.Eventually(t, func() bool { return len(again.operator(t).list(t).Overrides) == 0 }, soon, look)
	})

	t.Run("follows what it was not told of", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "catalog")
		a := start(t, db, "a")
		require.Eventually(t, func() bool { return a.others.Hearing(a.report().ReportedAt) }, soon, look)
		_, err := db.Exec(t.Context(), "INSERT INTO circuit_overrides (service, state, reason, forced_by) VALUES ('mailing', 'closed', 'By hand', uuidv7())")
		require.NoError(t, err)
		require.Eventually(t, func() bool { return a.sources["mailing"].forced("closed") }, soon, look)
	})

	t.Run("everything stays on record", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "catalog")
		a := start(t, db, "a")
		one, two := a.operator(t), a.operator(t)
		first := one.force(t, "mailing", "open", "Moving its database").JSON200
		require.Equal(t, first, two.force(t, "mailing", "open", "Moving its database").JSON200, "said again, it is still the first one's")
		require.Equal(t, http.StatusOK, two.force(t, "mailing", "closed", "It is back").StatusCode())
		two.release(t, "mailing")
		require.Equal(t, http.StatusOK, two.force(t, "appointment", "open", "Another one").StatusCode())

		got := two.record(t, &api.ListCircuitOverridesParams{Limit: new(2)})
		require.Len(t, got.Items, 2)
		require.Equal(t, "appointment", got.Items[0].Service)
		require.Nil(t, got.Items[0].ReleasedBy)
		require.Equal(t, "It is back", got.Items[1].Reason)
		got = two.record(t, &api.ListCircuitOverridesParams{Limit: new(2), Cursor: got.NextCursor})
		require.Len(t, got.Items, 1)
		require.Nil(t, got.NextCursor)
		require.Equal(t, one.id, got.Items[0].By)
		require.Equal(t, two.id, *got.Items[0].ReleasedBy, "who forces anew ends what was")
		require.NotNil(t, got.Items[0].ReleasedAt)

		for _, sql := range []string{
			"DELETE FROM circuit_overrides", "UPDATE circuit_overrides SET reason = 'x'", "UPDATE circuit_overrides SET released_by = NULL, released_at = NULL",
			"UPDATE circuit_overrides SET forced_by = uuidv7(), released_by = uuidv7(), released_at = now()",
		} {
			_, err := db.Exec(t.Context(), sql)
			require.ErrorContains(t, err, "is a record", sql)
		}
	})

	t.Run("many at once leave one in force", func(t *testing.T) {
		t.Parallel()

		db := dbtest.New(t, "catalog")
		a, b := start(t, db, "a"), start(t, db, "b")
		var all sync.WaitGroup
		for i, o := range []operator{a.operator(t), b.operator(t), a.operator(t), b.operator(t)} {
			state := []api.NewOverrideState{api.NewOverrideStateOpen, api.NewOverrideStateClosed}[i%2]
			all.Go(func() {
				if got, err := o.ForceCircuitWithResponse(t.Context(), "mailing", api.NewOverride{State: state, Reason: "At once"}); err != nil || got.JSON200 == nil {
					t.Errorf("not forced: %v", err)
				}
			})
		}
		all.Wait()
		one := a.operator(t)
		require.Eventually(t, func() bool {
			forced := one.list(t).Overrides
			return len(forced) == 1 && a.sources["mailing"].forced(api.CircuitState(forced[0].State)) && b.sources["mailing"].forced(api.CircuitState(forced[0].State))
		}, soon, look)
	})

	t.Run("refuses", func(t *testing.T) {
		t.Parallel()

		a := start(t, dbtest.New(t, "catalog"), "a")
		one := a.operator(t)
		require.Equal(t, http.StatusNotFound, one.force(t, "nothing", "open", "A reason").StatusCode())
		require.Equal(t, http.StatusBadRequest, one.force(t, "mailing", "half_open", "A reason").StatusCode())
		require.Equal(t, http.StatusBadRequest, one.force(t, "mailing", "open", "").StatusCode())
		require.Equal(t, http.StatusBadRequest, one.force(t, "mailing", "open", "    ").StatusCode(), "a reason of nothing")
		require.Equal(t, http.StatusBadRequest, one.force(t, "mailing", "open", strings.Repeat("a", 301)).StatusCode())
		gone, err := one.ReleaseCircuitWithResponse(t.Context(), "nothing")
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode())
		cursor, err := one.ListCircuitOverridesWithResponse(t.Context(), &api.ListCircuitOverridesParams{Cursor: new("none of ours")})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, cursor.StatusCode())

		machine := identity.NewContext(t.Context(), identity.Identity{Subject: "a-service", Scopes: []string{"circuits:write"}})
		_, err = a.ReleaseCircuit(machine, api.ReleaseCircuitRequestObject{Service: "mailing"})
		require.ErrorIs(t, err, problem.Forbidden(""), "the record must name a person")
		require.Empty(t, one.record(t, nil).Items)
	})
}
