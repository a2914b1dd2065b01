package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/page"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/kratos"
)

// evenly is how long a log-in or a code that is wrong takes at least: longer than checking it,
// so that the time does not tell whether there was one to check.
const evenly = 400 * time.Millisecond

var (
	errCredentials = problem.New(http.StatusUnauthorized, "wrong-credentials", "Wrong credentials", "Username, address or password is wrong, or the address is not verified yet.")
	errNoSession   = problem.Conflict("no-session", "This request was not made with a session. An OAuth2 token is refreshed and revoked at /oauth2.")
)

func (s *service) LogIn(ctx context.Context, req api.LogInRequestObject) (api.LogInResponseObject, error) {
	token, session, err := s.password(ctx, req.Body.Identifier, req.Body.Password)
	if err != nil {
		return nil, err
	}
	return api.LogIn200JSONResponse{
		SessionToken: token, SessionID: session.ID, UserID: session.Identity.ID, ExpiresAt: session.ExpiresAt,
	}, nil
}

func (s *service) RefreshSession(ctx context.Context, _ api.RefreshSessionRequestObject) (api.RefreshSessionResponseObject, error) {
	id, err := currentSession(ctx)
	if err != nil {
		return nil, err
	}
	session, err := s.kratos.GetSession(ctx, id)
	if err != nil {
		return nil, unlessAway(err, errBadCredential)
	}
	if err := checkExtend(session.AuthenticatedAt, time.Now()); err != nil {
		return nil, err
	}
	if err := s.kratos.ExtendSession(ctx, id); err != nil {
		return nil, unlessAway(err, errBadCredential)
	}
	if session, err = s.kratos.GetSession(ctx, id); err != nil {
		return nil, unlessAway(err, errBadCredential)
	}
	return api.RefreshSession200JSONResponse(toSession(session, id)), s.revoked(ctx, id.String()) // its old expiry is cached
}

func (s *service) LogOut(ctx context.Context, _ api.LogOutRequestObject) (api.LogOutResponseObject, error) {
	id, err := currentSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.endSession(ctx, id); err != nil {
		return nil, err
	}
	return api.LogOut204Response{}, nil
}

func (s *service) ListSessions(ctx context.Context, req api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	after, err := page.Decode[uuid.UUID](req.Params.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := s.kratos.ListSessions(ctx, identity.Caller(ctx).UserID())
	if err != nil {
		return nil, problem.Unavailable("Sign-in").Because(err)
	}
	current, _ := currentSession(ctx)
	slices.SortFunc(all, func(a, b kratos.Session) int { return slices.Compare(a.ID[:], b.ID[:]) })
	limit := page.Limit(req.Params.Limit)
	items := []api.Session{}
	for _, session := range all {
		if slices.Compare(session.ID[:], after[:]) > 0 && len(items) <= int(limit) {
			items = append(items, toSession(session, current))
		}
	}
	items, next := page.Cut(items, limit, func(i api.Session) uuid.UUID { return i.ID })
	return api.ListSessions200JSONResponse{
		Body:    api.SessionPage{Items: items, NextCursor: next},
		Headers: api.ListSessions200ResponseHeaders{Link: page.Link(ctx, next)},
	}, nil
}

func (s *service) DeleteOtherSessions(ctx context.Context, _ api.DeleteOtherSessionsRequestObject) (api.DeleteOtherSessionsResponseObject, error) {
	current, _ := currentSession(ctx)
	if err := s.endSessions(ctx, identity.Caller(ctx).UserID(), current); err != nil {
		return nil, err
	}
	return api.DeleteOtherSessions204Response{}, nil
}

func (s *service) DeleteSession(ctx context.Context, req api.DeleteSessionRequestObject) (api.DeleteSessionResponseObject, error) {
	session, err := s.kratos.GetSession(ctx, req.ID)
	if err == nil && (!session.Active || session.Identity.ID != identity.Caller(ctx).UserID()) {
		err = kratos.ErrNotFound
	}
	if err != nil {
		return nil, unlessAway(err, problem.NotFound("Session"))
	}
	if err := s.endSession(ctx, req.ID); err != nil {
		return nil, err
	}
	return api.DeleteSession204Response{}, nil
}

// password starts a session for whoever knows the password. Wrong ones are counted for the
// identifier as it was typed, whether an account has it or not, and for the sender.
func (s *service) password(ctx context.Context, identifier, password string) (string, kratos.Session, error) {
	began := time.Now()
	identifier = fold(identifier)
	if err := s.take(ctx, guessesPerSender, sender(ctx)); err != nil {
		return "", kratos.Session{}, err
	}
	if err := s.take(ctx, guessesPerPair, identifier, sender(ctx)); err != nil {
		return "", kratos.Session{}, err
	}
	if err := s.take(ctx, guessesPerAccount, identifier); err != nil {
		return "", kratos.Session{}, err
	}
	token, session, err := s.kratos.Login(ctx, identifier, password, agent(ctx))
	switch {
	case errors.Is(err, kratos.ErrCredentials):
		waitUntil(ctx, began.Add(evenly))
		return "", session, errCredentials
	case err != nil: // nobody learned whether it is right
		err = errors.Join(problem.Unavailable("Sign-in").Because(err),
			s.giveBack(ctx, guessesPerPair, identifier, sender(ctx)), s.giveBack(ctx, guessesPerAccount, identifier))
	default:
		err = s.unlock(ctx, identifier)
	}
	return token, session, errors.Join(err, s.giveBack(ctx, guessesPerSender, sender(ctx)))
}

func waitUntil(ctx context.Context, t time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(t)):
	}
}

// endSession ends a session and tells every instance.
func (s *service) endSession(ctx context.Context, id uuid.UUID) error {
	if err := s.kratos.EndSession(ctx, id); err != nil {
		return problem.Unavailable("Sign-in").Because(err)
	}
	if _, err := s.jobs.Insert(ctx, loginsJob{identity.Caller(ctx).UserID()}, nil); err != nil {
		return err
	}
	return s.revoked(ctx, id.String())
}

// endSessions ends all sessions of a person but one.
func (s *service) endSessions(ctx context.Context, user, except uuid.UUID) error {
	for more := true; more; {
		all, err := s.kratos.ListSessions(ctx, user)
		if err != nil {
			return problem.Unavailable("Sign-in").Because(err)
		}
		more = len(all) == kratos.MaxSessions
		for _, session := range all {
			if session.ID == except {
				continue
			}
			if err := s.kratos.EndSession(ctx, session.ID); err != nil {
				return problem.Unavailable("Sign-in").Because(err)
			}
		}
	}
	if _, err := s.jobs.Insert(ctx, loginsJob{user}, nil); err != nil {
		return err
	}
	return s.revoked(ctx, user.String())
}

// revoked makes every instance forget what it knows of a subject or a session.
func (s *service) revoked(ctx context.Context, who string) error {
	return s.gate.Announce(ctx, who)
}

func currentSession(ctx context.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(identity.Caller(ctx).SessionID)
	if err != nil {
		return uuid.Nil, errNoSession
	}
	return id, nil
}

// unlessAway says p when Kratos answered that there is no such thing.
func unlessAway(err error, p *problem.Problem) error {
	if errors.Is(err, kratos.ErrNotFound) {
		return p.Because(err)
	}
	return problem.Unavailable("Sign-in").Because(err)
}

func toSession(s kratos.Session, current uuid.UUID) api.Session {
	out := api.Session{ID: s.ID, Current: s.ID == current, CreatedAt: s.AuthenticatedAt, ExpiresAt: s.ExpiresAt}
	if agent := s.UserAgent(); agent != "" {
		out.UserAgent = &agent
	}
	return out
}
