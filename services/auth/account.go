package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/healthe/healthe/kit/identity"
	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const emailTries = 5

var errWrongPassword = problem.New(http.StatusForbidden, "wrong-password", "Wrong password", "The current password is wrong.")

func (s *service) GetMe(ctx context.Context, _ api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	person, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	return api.GetMe200JSONResponse(toMe(ctx, person)), nil
}

func (s *service) UpdateMe(ctx context.Context, req api.UpdateMeRequestObject) (api.UpdateMeResponseObject, error) {
	person, err := s.kratos.SetName(ctx, identity.Caller(ctx).UserID(), req.Body.Name)
	if err != nil {
		return nil, unlessAway(err, errBadCredential)
	}
	return api.UpdateMe200JSONResponse(toMe(ctx, person)), nil
}

func (s *service) ChangePassword(ctx context.Context, req api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	person, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	t := person.Traits
	if err := checkPassword(req.Body.NewPassword, "/new_password", t.Username, t.Email, t.Name); err != nil {
		return nil, err
	}
	token, fresh, err := s.confirmPassword(ctx, person, req.Body.CurrentPassword)
	if err != nil {
		return nil, err
	}
	if err := s.kratos.SetPassword(ctx, token, req.Body.NewPassword); err != nil {
		err = errors.Join(err, s.kratos.EndSession(ctx, fresh))
		if errors.Is(err, kratos.ErrPassword) {
			return nil, weakPassword.Because(err)
		}
		return nil, problem.Unavailable("Sign-in").Because(err)
	}
	current, _ := currentSession(ctx)
	if err := s.secure(ctx, person, current); err != nil { // ends the fresh one too
		return nil, err
	}
	return api.ChangePassword204Response{}, nil
}

func (s *service) ChangeEmail(ctx context.Context, req api.ChangeEmailRequestObject) (api.ChangeEmailResponseObject, error) {
	person, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkAgain(ctx, person, req.Body.Password); err != nil {
		return nil, err
	}
	email := fold(req.Body.Email)
	if err := s.takeCode(ctx, email); err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		row, err := store.New(tx).CreateEmailChange(ctx, store.CreateEmailChangeParams{UserID: person.ID, Email: email})
		if err != nil {
			return err
		}
		_, err = s.jobs.InsertTx(ctx, tx, emailChangeJob{UserID: person.ID, ChangeID: row.ID}, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.ChangeEmail202Response{}, nil
}

func (s *service) ConfirmEmail(ctx context.Context, req api.ConfirmEmailRequestObject) (api.ConfirmEmailResponseObject, error) {
	person, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	account := s.account(person.Traits.Email)
	if err := s.takeWrongCode(ctx, account); err != nil {
		return nil, err
	}
	change, err := s.store.TryEmailChange(ctx, store.TryEmailChangeParams{UserID: person.ID, MaxTries: emailTries})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errCode
	}
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(s.emailCode(change)), []byte(req.Body.Code)) != 1 {
		return nil, errCode
	}
	if err := s.giveBackWrongCode(ctx, account); err != nil {
		return nil, err
	}
	err = s.kratos.SetEmail(ctx, person.ID, change.Email)
	if errors.Is(err, kratos.ErrTaken) {
		return nil, errCode.Because(err) // someone else was first; whose it is, is not told
	}
	if err != nil {
		return nil, unlessAway(err, errBadCredential)
	}
	if err := s.voidCodes(ctx, person.ID, person.Traits.Email, change.Email); err != nil {
		return nil, err
	}
	return api.ConfirmEmail204Response{}, s.revoked(ctx, person.ID.String())
}

func (s *service) DeleteAccount(ctx context.Context, req api.DeleteAccountRequestObject) (api.DeleteAccountResponseObject, error) {
	person, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkAgain(ctx, person, req.Body.Password); err != nil {
		return nil, err
	}
	// The job does all of it, also if this process ends here; what concerns sign-in is done at once.
	if _, err := s.jobs.Insert(ctx, deletionJob{person.ID}, nil); err != nil {
		return nil, err
	}
	if err := s.kratos.DeleteIdentity(ctx, person.ID); err != nil {
		return nil, problem.Unavailable("Sign-in").Because(err)
	}
	return api.DeleteAccount204Response{}, s.revoked(ctx, person.ID.String())
}

func (s *service) GetContact(ctx context.Context, req api.GetContactRequestObject) (api.GetContactResponseObject, error) {
	person, err := s.kratos.GetIdentity(ctx, req.ID)
	if err != nil {
		return nil, unlessAway(err, problem.NotFound("User"))
	}
	return api.GetContact200JSONResponse{Email: person.Traits.Email, Name: person.Traits.Name, Verified: person.Verified()}, nil
}

func (s *service) GetJWKS(context.Context, api.GetJWKSRequestObject) (api.GetJWKSResponseObject, error) {
	return api.GetJWKS200JSONResponse{
		Body:    s.keys.Public(),
		Headers: api.GetJWKS200ResponseHeaders{CacheControl: new("public, max-age=60")},
	}, nil
}

// person returns the caller's account.
func (s *service) person(ctx context.Context) (kratos.Identity, error) {
	person, err := s.kratos.GetIdentity(ctx, identity.Caller(ctx).UserID())
	if err != nil {
		return person, unlessAway(err, errBadCredential)
	}
	return person, nil
}

// secure leaves nothing to whoever knew the old password: no other session, no code.
func (s *service) secure(ctx context.Context, person kratos.Identity, current uuid.UUID) error {
	return errors.Join(s.voidCodes(ctx, person.ID, person.Traits.Email), s.endSessions(ctx, person.ID, current))
}

// voidCodes makes every code void with which somebody could still take over the account: those of a recovery, to all
// its addresses, and that of a change of the address. A void challenge stays, and answers as one of a stranger's address.
func (s *service) voidCodes(ctx context.Context, user uuid.UUID, addresses ...string) error {
	err := s.store.DeleteEmailChange(ctx, user)
	for _, email := range addresses {
		err = errors.Join(err, s.store.SetRecoveriesVoid(ctx, s.account(email)))
	}
	return err
}

// confirmPassword asks the caller's password again, and returns a fresh session for what
// Kratos allows only those. The caller ends it.
func (s *service) confirmPassword(ctx context.Context, person kratos.Identity, password string) (string, uuid.UUID, error) {
	token, session, err := s.password(ctx, person.Traits.Email, password)
	if errors.Is(err, errCredentials) {
		err = errWrongPassword
	}
	return token, session.ID, err
}

// checkAgain asks the caller's password again.
func (s *service) checkAgain(ctx context.Context, person kratos.Identity, password string) error {
	_, fresh, err := s.confirmPassword(ctx, person, password)
	if err != nil {
		return err
	}
	return s.endSession(ctx, fresh)
}

// emailCode returns the code of a change. It is derived, so that it rests nowhere.
func (s *service) emailCode(c store.EmailChange) string {
	return s.box.Code(c.ID.String(), c.Email)
}

func toMe(ctx context.Context, person kratos.Identity) api.Me {
	who := identity.Caller(ctx)
	me := api.Me{
		ID: person.ID, Username: person.Traits.Username, Email: person.Traits.Email, EmailVerified: person.Verified(),
		Name: person.Traits.Name, Roles: who.Roles, Scopes: who.Scopes, CreatedAt: person.CreatedAt,
	}
	if who.ClientID != "" {
		me.ClientID = &who.ClientID
	}
	if id, err := currentSession(ctx); err == nil {
		me.SessionID = &id
	}
	return me
}
