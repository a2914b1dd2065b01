package auth

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	api "github.com/healthe/healthe/openapi/auth"
)

func (b *bench) request(t *testing.T, u user, role api.ProfessionalRole) *api.CreateRoleRequestResponse {
	t.Helper()
	resp, err := b.CreateRoleRequestWithResponse(t.Context(), nil, api.NewRoleRequest{Role: role, LicenceNumber: "DE-12345"}, b.as(t, u))
	require.NoError(t, err)
	return resp
}

func TestRoleRequests(t *testing.T) { // AUTH-1, AUTH-12, X-16
	t.Parallel()

	b := newBench(t)
	admin, u := b.newAdmin(t), b.newUser(t)
	asked := b.request(t, u, api.Doctor)
	require.NotNil(t, asked.JSON201, string(asked.Body))
	b.mail.Await(t, u.id.String(), "role_requested", 1)
	require.NotContains(t, b.me(t, u).Roles, "doctor", "nothing is granted by asking")
	twice := b.request(t, u, api.Doctor)
	isProblem(t, errRequested, twice.Body, twice.StatusCode())

	own, err := b.ApproveRoleRequestWithResponse(t.Context(), asked.JSON201.ID, nil, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, own.StatusCode())
	stale, err := b.ApproveRoleRequestWithResponse(t.Context(), asked.JSON201.ID, &api.ApproveRoleRequestParams{IfMatch: new(`"v9"`)}, b.as(t, admin))
	require.NoError(t, err)
	require.Equal(t, http.StatusPreconditionFailed, stale.StatusCode())

	ok, err := b.ApproveRoleRequestWithResponse(t.Context(), asked.JSON201.ID,
		&api.ApproveRoleRequestParams{IfMatch: new(asked.HTTPResponse.Header.Get("ETag"))}, b.as(t, admin))
	require.NoError(t, err)
	require.NotNil(t, ok.JSON200, string(ok.Body))
	require.Equal(t, api.Approved, ok.JSON200.Status)
	b.mail.Await(t, u.id.String(), "role_approved", 1)
	eventually(t, func() bool { return slices.Contains(b.me(t, u).Roles, "doctor") }) // in the session that is open
	require.Contains(t, b.me(t, u).Scopes, "schedule:write")
	again, err := b.ApproveRoleRequestWithResponse(t.Context(), asked.JSON201.ID, nil, b.as(t, admin))
	require.NoError(t, err)
	isProblem(t, errDecided, again.Body, again.StatusCode())

	revoked, err := b.RevokeRoleWithResponse(t.Context(), u.id, api.Doctor, b.as(t, admin))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, revoked.StatusCode(), string(revoked.Body))
	b.mail.Await(t, u.id.String(), "role_revoked", 1)
	eventually(t, func() bool { return !slices.Contains(b.me(t, u).Roles, "doctor") })
	none, err := b.RevokeRoleWithResponse(t.Context(), u.id, api.Doctor, b.as(t, admin))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, none.StatusCode())
	require.NotNil(t, b.request(t, u, api.Doctor).JSON201, "they may ask again")
}

func TestRevokeRoleThatAnOperatorGranted(t *testing.T) { // AUTH-12
	t.Parallel()

	b := newBench(t)
	admin, u := b.newAdmin(t), b.newUser(t)
	require.NoError(t, b.kratos.SetRoles(t.Context(), u.id, []string{"patient", "pharmacist", "doctor"}))
	u = b.session(t, u)
	require.Contains(t, b.me(t, u).Roles, "doctor")
	revoke := func(id uuid.UUID, role api.ProfessionalRole) int {
		resp, err := b.RevokeRoleWithResponse(t.Context(), id, role, b.as(t, admin))
		require.NoError(t, err)
		return resp.StatusCode()
	}
	require.Equal(t, http.StatusNotFound, revoke(u.id, api.Moderator))
	require.Equal(t, http.StatusNotFound, revoke(uuid.New(), api.Doctor))
	require.Equal(t, http.StatusNoContent, revoke(u.id, api.Doctor))
	b.mail.Await(t, u.id.String(), "role_revoked", 1)
	eventually(t, func() bool { return !slices.Contains(b.me(t, u).Roles, "doctor") })
	require.Equal(t, []string{"patient", "pharmacist"}, b.me(t, u).Roles, "the others stay")
	require.Equal(t, http.StatusNotFound, revoke(u.id, api.Doctor))
	require.NotNil(t, b.request(t, u, api.Doctor).JSON201, "they may ask now")
}

func TestRefuseRoleRequest(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	admin, u := b.newAdmin(t), b.newUser(t)
	asked := b.request(t, u, api.Pharmacist).JSON201
	ok, err := b.RefuseRoleRequestWithResponse(t.Context(), asked.ID, nil, api.Refusal{Reason: "Not in the register."}, b.as(t, admin))
	require.NoError(t, err)
	require.NotNil(t, ok.JSON200, string(ok.Body))
	letter := b.mail.Await(t, u.id.String(), "role_refused", 1)
	require.Equal(t, "Not in the register.", letter.Data["reason"])
	read, err := b.GetRoleRequestWithResponse(t.Context(), asked.ID, b.as(t, u))
	require.NoError(t, err)
	require.Equal(t, api.Refused, read.JSON200.Status)
	require.NotNil(t, b.request(t, u, api.Pharmacist).JSON201)
}

func TestRoleRequestsAreReadByTheirOwnerAndReviewers(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	admin, u, stranger := b.newAdmin(t), b.newUser(t), b.newUser(t)
	mine := b.request(t, u, api.Doctor).JSON201
	b.request(t, u, api.Moderator)

	foreign, err := b.GetRoleRequestWithResponse(t.Context(), mine.ID, b.as(t, stranger))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, foreign.StatusCode())
	seen, err := b.GetRoleRequestWithResponse(t.Context(), mine.ID, b.as(t, admin))
	require.NoError(t, err)
	require.NotNil(t, seen.JSON200)

	list := func(u user, params api.ListRoleRequestsParams) *api.ListRoleRequestsResponse {
		resp, err := b.ListRoleRequestsWithResponse(t.Context(), &params, b.as(t, u))
		require.NoError(t, err)
		return resp
	}
	require.Empty(t, list(stranger, api.ListRoleRequestsParams{}).JSON200.Items)
	all := list(stranger, api.ListRoleRequestsParams{View: new(api.All)})
	isProblem(t, errViewAll, all.Body, all.StatusCode())
	first := list(admin, api.ListRoleRequestsParams{View: new(api.All), Status: new(api.Open), Limit: new(1)}).JSON200
	require.Len(t, first.Items, 1)
	second := list(admin, api.ListRoleRequestsParams{View: new(api.All), Status: new(api.Open), Limit: new(1), Cursor: first.NextCursor}).JSON200
	require.Equal(t, mine.ID, second.Items[0].ID, "newest first")
	require.Nil(t, second.NextCursor)
}

func TestCreateRoleRequestAtOnce(t *testing.T) {
	t.Parallel()

	b := newBench(t)
	u := b.newUser(t)
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wg.Go(func() { statuses[i] = b.request(t, u, api.Doctor).StatusCode() })
	}
	wg.Wait()
	slices.Sort(statuses)
	require.Equal(t, http.StatusCreated, statuses[0])
	require.Equal(t, http.StatusConflict, statuses[1], "one is open, whatever runs at once")

	other := b.newUser(t)
	key := &api.CreateRoleRequestParams{IdempotencyKey: new("the-same")}
	body := api.NewRoleRequest{Role: api.Doctor, LicenceNumber: "DE-12345"}
	one, err := b.CreateRoleRequestWithResponse(t.Context(), key, body, b.as(t, other))
	require.NoError(t, err)
	two, err := b.CreateRoleRequestWithResponse(t.Context(), key, body, b.as(t, other))
	require.NoError(t, err)
	require.Equal(t, one.JSON201, two.JSON201)
}
