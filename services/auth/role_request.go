package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/etag"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	"github.com/healthe/healthe/kit/postgres"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const review = "roles:review"

var (
	errRequested = problem.Conflict("role-requested", "You have this role, or asked for it already.")
	errViewAll   = problem.Forbidden("Only who reviews roles sees everybody's requests.")
)

func (s *service) CreateRoleRequest(ctx context.Context, req api.CreateRoleRequestRequestObject) (api.CreateRoleRequestResponseObject, error) {
	var row store.RoleRequest
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		var err error
		row, err = store.New(tx).CreateRoleRequest(ctx, store.CreateRoleRequestParams{
			UserID: identity.Caller(ctx).UserID(), Role: store.ProfessionalRole(req.Body.Role), LicenceNumber: req.Body.LicenceNumber,
		})
		if err != nil {
			return err
		}
		return s.tell(ctx, tx, row, "role_requested")
	})
	if postgres.Constraint(err) == "role_requests_current_key" {
		return nil, errRequested.Because(err)
	}
	if err != nil {
		return nil, err
	}
	return api.CreateRoleRequest201JSONResponse{
		Body:    toRoleRequest(row),
		Headers: api.CreateRoleRequest201ResponseHeaders{ETag: new(etag.Of(row.Version)), Location: new("/auth/v1/role-requests/" + row.ID.String())},
	}, nil
}

func (s *service) ListRoleRequests(ctx context.Context, req api.ListRoleRequestsRequestObject) (api.ListRoleRequestsResponseObject, error) {
	who := identity.Caller(ctx)
	before, err := page.Decode[*uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(req.Params.Limit)
	query := store.ListRoleRequestsParams{UserID: new(who.UserID()), Status: (*store.RoleRequestStatus)(req.Params.Status), Before: before, RowLimit: limit + 1}
	if v := req.Params.View; v != nil && *v == api.All {
		if !who.Has(review) {
			return nil, errViewAll
		}
		query.UserID = nil
	}
	rows, err := s.store.ListRoleRequests(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, next := page.Cut(rows, limit, func(r store.RoleRequest) uuid.UUID { return r.ID })
	items := make([]api.RoleRequest, len(rows))
	for i, row := range rows {
		items[i] = toRoleRequest(row)
	}
	return api.ListRoleRequests200JSONResponse{
		Body:    api.RoleRequestPage{Items: items, NextCursor: next},
		Headers: api.ListRoleRequests200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) GetRoleRequest(ctx context.Context, req api.GetRoleRequestRequestObject) (api.GetRoleRequestResponseObject, error) {
	who := identity.Caller(ctx)
	row, err := s.store.GetRoleRequest(ctx, req.ID)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && row.UserID != who.UserID() && !who.Has(review) {
		return nil, problem.NotFound("Role request")
	}
	if err != nil {
		return nil, err
	}
	return api.GetRoleRequest200JSONResponse{
		Body: toRoleRequest(row), Headers: api.GetRoleRequest200ResponseHeaders{ETag: new(etag.Of(row.Version))},
	}, nil
}

func (s *service) ApproveRoleRequest(ctx context.Context, req api.ApproveRoleRequestRequestObject) (api.ApproveRoleRequestResponseObject, error) {
	row, err := s.decide(ctx, req.ID, req.Params.IfMatch, store.SetRoleRequestStatusParams{Status: store.RoleRequestStatusApproved})
	if err != nil {
		return nil, err
	}
	return api.ApproveRoleRequest200JSONResponse{
		Body: toRoleRequest(row), Headers: api.ApproveRoleRequest200ResponseHeaders{ETag: new(etag.Of(row.Version))},
	}, nil
}

func (s *service) RefuseRoleRequest(ctx context.Context, req api.RefuseRoleRequestRequestObject) (api.RefuseRoleRequestResponseObject, error) {
	row, err := s.decide(ctx, req.ID, req.Params.IfMatch, store.SetRoleRequestStatusParams{Status: store.RoleRequestStatusRefused, Reason: &req.Body.Reason})
	if err != nil {
		return nil, err
	}
	return api.RefuseRoleRequest200JSONResponse{
		Body: toRoleRequest(row), Headers: api.RefuseRoleRequest200ResponseHeaders{ETag: new(etag.Of(row.Version))},
	}, nil
}

func (s *service) RevokeRole(ctx context.Context, req api.RevokeRoleRequestObject) (api.RevokeRoleResponseObject, error) {
	role, reviewer := store.ProfessionalRole(req.Role), new(identity.Caller(ctx).UserID())
	revoked, err := s.revokeRole(ctx, req.ID, role, func(q *store.Queries) (int64, error) {
		return q.RevokeRole(ctx, store.RevokeRoleParams{DecidedBy: reviewer, UserID: req.ID, Role: role})
	})
	if err != nil || revoked {
		return api.RevokeRole204Response{}, err
	}
	// Nobody was granted it here; an operator may have, in Kratos.
	person, err := s.kratos.GetIdentity(ctx, req.ID)
	if err == nil && !slices.Contains(person.Roles(), string(role)) {
		err = kratos.ErrNotFound
	}
	if err != nil {
		return nil, unlessAway(err, problem.NotFound("Role of this user"))
	}
	_, err = s.revokeRole(ctx, req.ID, role, func(q *store.Queries) (int64, error) {
		return q.CreateRevokedRole(ctx, store.CreateRevokedRoleParams{DecidedBy: reviewer, UserID: req.ID, Role: role})
	})
	return api.RevokeRole204Response{}, err
}

// revokeRole writes down that a role is revoked, with the jobs that make it true and tell the user. It tells whether
// there was anything to write.
func (s *service) revokeRole(ctx context.Context, user uuid.UUID, role store.ProfessionalRole, write func(*store.Queries) (int64, error)) (bool, error) {
	var n int64
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		var err error
		if n, err = write(store.New(tx)); err != nil || n == 0 {
			return err
		}
		return s.tell(ctx, tx, store.RoleRequest{UserID: user, Role: role}, "role_revoked")
	})
	return n > 0, err
}

// decide moves an open request on, with the jobs that make it true and tell the user.
func (s *service) decide(ctx context.Context, id uuid.UUID, ifMatch *string, to store.SetRoleRequestStatusParams) (store.RoleRequest, error) {
	who := identity.Caller(ctx)
	version, err := etag.Version(ifMatch)
	if err != nil {
		return store.RoleRequest{}, err
	}
	var row store.RoleRequest
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := store.New(tx)
		row, err = q.LockRoleRequest(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return problem.NotFound("Role request")
		}
		if err != nil {
			return err
		}
		if err := checkDecide(row, who.Subject, version); err != nil {
			return err
		}
		to.ID, to.DecidedBy = id, new(who.UserID())
		if row, err = q.SetRoleRequestStatus(ctx, to); err != nil {
			return err
		}
		return s.tell(ctx, tx, row, "role_"+string(to.Status))
	})
	return row, err
}

// tell enqueues the mail about a request, and the job that makes Kratos' roles follow.
func (s *service) tell(ctx context.Context, tx pgx.Tx, r store.RoleRequest, template string) error {
	letter := mailJob{Template: template, UserID: &r.UserID, Data: map[string]string{"role": string(r.Role), "url": s.cfg.PublicURL + "/settings"}}
	if r.Reason != nil {
		letter.Data["reason"] = *r.Reason
	}
	if _, err := s.jobs.InsertTx(ctx, tx, letter, nil); err != nil {
		return err
	}
	if template == "role_requested" || template == "role_refused" {
		return nil
	}
	_, err := s.jobs.InsertTx(ctx, tx, rolesJob{r.UserID}, nil)
	return err
}

func toRoleRequest(r store.RoleRequest) api.RoleRequest {
	return api.RoleRequest{
		ID: r.ID, UserID: r.UserID, Role: api.ProfessionalRole(r.Role), LicenceNumber: r.LicenceNumber,
		Status: api.RoleRequestStatus(r.Status), Reason: r.Reason, CreatedAt: r.CreatedAt, DecidedAt: r.DecidedAt,
	}
}
