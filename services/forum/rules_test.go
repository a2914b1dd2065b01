package forum

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// noon is when these rules are asked.
var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAllowance(t *testing.T) {
	t.Parallel()

	t.Run("is small for who came less than three days ago", func(t *testing.T) {
		t.Parallel()

		for age, want := range map[time.Duration]allowance{
			-time.Second: newAllowances[writePost], 0: newAllowances[writePost], 72*time.Hour - 1: newAllowances[writePost],
			72 * time.Hour: allowances[writePost], 10_000 * time.Hour: allowances[writePost],
		} {
			require.Equal(t, want, usual.allowance(writePost, store.Author{CreatedAt: noon.Add(-age)}, noon), age)
		}
	})

	t.Run("is there for every kind, and never smaller for who is known", func(t *testing.T) {
		t.Parallel()

		for _, kind := range []writeKind{writeCommunity, writePost, writeComment, writeVote, writeFlag, writeEdit} {
			known, fresh := allowances[kind], newAllowances[kind]
			require.GreaterOrEqual(t, fresh.burst, 1.0, kind)
			require.Greater(t, known.burst, fresh.burst, kind)
			require.Less(t, known.refill, fresh.refill, kind)
			require.Positive(t, known.refill, kind)
		}
		require.Len(t, allowances, 6)
		require.Len(t, newAllowances, 6)
	})

	t.Run("says in how many seconds there is a token", func(t *testing.T) {
		t.Parallel()

		every20Minutes := allowance{3, 20 * time.Minute}
		for left, want := range map[float64]string{
			2: "", 0: "", -1e-12: "", // rounding
			-1: "1200", -0.5: "600", -0.001: "2", -1.0 / 1200: "1", -0.5 - 1e-6: "601", -1e-6: "1",
		} {
			err := every20Minutes.check(left)
			if want == "" {
				require.NoError(t, err, left)
				continue
			}
			answer := httptest.NewRecorder()
			problem.Write(answer, httptest.NewRequest(http.MethodPost, "/", nil), err)
			require.Equal(t, http.StatusTooManyRequests, answer.Code)
			require.Equal(t, want, answer.Header().Get("Retry-After"), left)
		}
	})
}

func TestCheckSuspension(t *testing.T) {
	t.Parallel()

	require.NoError(t, checkSuspension(store.Author{}, noon))
	require.NoError(t, checkSuspension(store.Author{SuspendedUntil: new(noon)}, noon), "until is not part of it")
	require.ErrorIs(t, checkSuspension(store.Author{SuspendedUntil: new(noon.Add(1))}, noon), errSuspended)
}

func TestCheckUntil(t *testing.T) {
	t.Parallel()

	for until, want := range map[time.Time]error{
		noon.Add(-time.Hour): errUntil, noon: errUntil, noon.Add(time.Microsecond): nil, noon.AddDate(0, 6, 0): nil,
		noon.AddDate(1, 0, 0): nil, noon.AddDate(1, 0, 0).Add(time.Microsecond): errUntil,
	} {
		err := checkUntil(until, noon)
		if want == nil {
			require.NoError(t, err, until)
		} else {
			require.ErrorIs(t, err, want, until)
		}
	}
}

func TestCheckFlag(t *testing.T) {
	t.Parallel()

	me, other := uuid.New(), uuid.New()
	require.NoError(t, checkFlag(content{authorID: &other, status: store.ContentStatusPublished}, me))
	require.ErrorIs(t, checkFlag(content{authorID: &me, status: store.ContentStatusPublished}, me), errOwnContent)
	require.ErrorIs(t, checkFlag(content{authorID: &other, status: store.ContentStatusHidden}, me), errGone)
	require.ErrorIs(t, checkFlag(content{status: store.ContentStatusDeleted}, me), errGone)
}
