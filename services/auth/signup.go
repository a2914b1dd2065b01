package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/healthe/healthe/openapi/problem"

	api "github.com/healthe/healthe/openapi/auth"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const (
	codeLifetime  = time.Hour
	sealChallenge = "challenge"
)

var errCode = problem.New(http.StatusBadRequest, "wrong-code", "Wrong code", "The code is wrong, used up or too old; ask for a new one.")

// wish is what a challenge asks for. It rests sealed, and only until the job has taken it up.
type wish struct {
	Email        string `json:"email"`
	Username     string `json:"username,omitempty"`
	Name         string `json:"name,omitempty"`
	PasswordHash string `json:"password_hash,omitempty"`
}

func (s *service) SignUp(ctx context.Context, req api.SignUpRequestObject) (api.SignUpResponseObject, error) {
	b := req.Body
	if err := checkPassword(b.Password, "/password", b.Username, b.Email, b.Name); err != nil {
		return nil, err
	}
	email := fold(b.Email)
	if err := s.takeCode(ctx, email); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(b.Password), s.cfg.PasswordCost)
	if err != nil {
		return nil, err
	}
	c, err := s.challenge(ctx, store.ChallengePurposeSignup, wish{Email: email, Username: fold(b.Username), Name: b.Name, PasswordHash: string(hash)})
	if err != nil {
		return nil, err
	}
	return api.SignUp202JSONResponse(c), nil
}

func (s *service) CreateVerification(ctx context.Context, req api.CreateVerificationRequestObject) (api.CreateVerificationResponseObject, error) {
	email := fold(req.Body.Email)
	if err := s.takeCode(ctx, email); err != nil {
		return nil, err
	}
	c, err := s.challenge(ctx, store.ChallengePurposeVerification, wish{Email: email})
	if err != nil {
		return nil, err
	}
	return api.CreateVerification202JSONResponse(c), nil
}

func (s *service) ConfirmVerification(ctx context.Context, req api.ConfirmVerificationRequestObject) (api.ConfirmVerificationResponseObject, error) {
	err := s.tryCode(ctx, req.ID, func(flow uuid.UUID, purpose store.ChallengePurpose) error {
		if purpose == store.ChallengePurposeRecovery {
			return kratos.ErrCode
		}
		return s.kratos.Verify(ctx, flow, req.Body.Code)
	})
	if err != nil {
		return nil, err
	}
	return api.ConfirmVerification204Response{}, nil
}

func (s *service) CreateRecovery(ctx context.Context, req api.CreateRecoveryRequestObject) (api.CreateRecoveryResponseObject, error) {
	email := fold(req.Body.Email)
	if err := s.takeCode(ctx, email); err != nil {
		return nil, err
	}
	c, err := s.challenge(ctx, store.ChallengePurposeRecovery, wish{Email: email})
	if err != nil {
		return nil, err
	}
	return api.CreateRecovery202JSONResponse(c), nil
}

func (s *service) ConfirmRecovery(ctx context.Context, req api.ConfirmRecoveryRequestObject) (api.ConfirmRecoveryResponseObject, error) {
	if err := checkPassword(req.Body.Password, "/password"); err != nil {
		return nil, err
	}
	var person kratos.Identity
	err := s.tryCode(ctx, req.ID, func(flow uuid.UUID, purpose store.ChallengePurpose) error {
		if purpose != store.ChallengePurposeRecovery {
			return kratos.ErrCode
		}
		session, err := s.kratos.Recover(ctx, flow, req.Body.Code, req.Body.Password)
		person = session.Identity
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.secure(ctx, person, uuid.Nil); err != nil {
		return nil, err
	}
	for _, identifier := range []string{person.Traits.Username, person.Traits.Email} {
		if err := s.unlock(ctx, identifier); err != nil {
			return nil, err
		}
	}
	return api.ConfirmRecovery204Response{}, nil
}

// challenge stores what is asked for together with the job that does it. Nothing here depends
// on whether there is an account, neither the answer nor the time that it takes.
func (s *service) challenge(ctx context.Context, purpose store.ChallengePurpose, w wish) (api.Challenge, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return api.Challenge{}, err
	}
	var row store.Challenge
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		row, err = store.New(tx).CreateChallenge(ctx, store.CreateChallengeParams{Purpose: purpose, Account: s.account(w.Email), Sealed: s.box.Seal(sealChallenge, text)})
		if err != nil {
			return err
		}
		_, err = s.jobs.InsertTx(ctx, tx, challengeJob{row.ID}, nil)
		return err
	})
	return api.Challenge{ID: row.ID, ExpiresAt: row.CreatedAt.Add(codeLifetime)}, err
}

// tryCode lets use try a code in the flow of a challenge. Kratos allows five tries in a flow, and
// we a number of wrong ones a day for an address, whether an account has it or not. A wrong code
// takes as long where there is no flow, because the address was taken.
func (s *service) tryCode(ctx context.Context, challenge uuid.UUID, use func(flow uuid.UUID, purpose store.ChallengePurpose) error) error {
	began := time.Now()
	if err := s.take(ctx, guessesPerSender, sender(ctx)); err != nil {
		return err
	}
	row, err := s.store.GetChallenge(ctx, challenge)
	if errors.Is(err, pgx.ErrNoRows) {
		waitUntil(ctx, began.Add(evenly))
		return errCode
	}
	if err != nil {
		return err
	}
	if err := s.takeWrongCode(ctx, row.Account); err != nil {
		return err
	}
	err = kratos.ErrCode
	if row.FlowID != nil {
		err = use(*row.FlowID, row.Purpose)
	}
	if errors.Is(err, kratos.ErrCode) {
		waitUntil(ctx, began.Add(evenly))
		return errCode
	}
	return errors.Join(answer(err), s.giveBackWrongCode(ctx, row.Account), s.giveBack(ctx, guessesPerSender, sender(ctx)))
}

// answer says what a code led to that was not wrong.
func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kratos.ErrPassword):
		return weakPassword.Because(err)
	}
	return problem.Unavailable("Sign-in").Because(err)
}
