package auth

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/healthe/healthe/services/auth/internal/gate"
	"github.com/healthe/healthe/services/auth/internal/kratos"
	"github.com/healthe/healthe/services/auth/internal/store"
)

const (
	sealUsername = "username"
	signupsBatch = 50
)

// makeAccount tells whether the account is there now. A taken name or address changes nothing,
// and the owner of the address is told.
func (s *service) makeAccount(ctx context.Context, w wish, challenge uuid.UUID) (bool, error) {
	reserved, err := s.reserve(ctx, w.Username, challenge)
	if err != nil {
		return false, err
	}
	err = kratos.ErrTaken
	if reserved {
		_, err = s.kratos.CreateIdentity(ctx, kratos.NewIdentity{
			Traits:       kratos.Traits{Username: w.Username, Email: w.Email, Name: w.Name},
			PasswordHash: w.PasswordHash, Roles: []string{gate.Everyone}, Origin: kratos.Origin{Challenge: challenge},
		})
	}
	switch {
	case errors.Is(err, kratos.ErrInvalid): // stricter about addresses than the contract; no mail could go there
		return false, nil
	case !errors.Is(err, kratos.ErrTaken):
		return err == nil, err
	}
	owner, err := s.kratos.FindIdentity(ctx, w.Email)
	switch {
	case errors.Is(err, kratos.ErrNotFound): // only the name is taken, which nobody is told
		return false, nil
	case err != nil:
		return false, err
	case owner.Origin != nil && owner.Origin.Challenge == challenge: // this job made it before, and then failed
		return true, nil
	}
	letter := mailJob{Template: "signup_attempt", Sealed: s.box.Seal(sealAddress, []byte(w.Email)), Data: map[string]string{"url": s.cfg.PublicURL + "/recovery"}}
	_, err = s.jobs.Insert(ctx, letter, nil)
	return false, err
}

// reserve keeps a username for the sign-up that asked for it first. Else it would be free again after a sign-up with a
// taken address, and a second one with the same name would tell so.
func (s *service) reserve(ctx context.Context, username string, challenge uuid.UUID) (bool, error) {
	n, err := s.store.CreateSignup(ctx, store.CreateSignupParams{
		Username: s.box.Hash("username", username), Sealed: s.box.Seal(sealUsername, []byte(username)), ChallengeID: challenge,
	})
	return n == 1, err
}

// workUnverified deletes the accounts that sign-ups made and nobody verified in time, and frees the usernames of all
// sign-ups of that age. It looks at what was signed up here, not through all of Kratos.
func (s *service) workUnverified(ctx context.Context, _ *river.Job[unverifiedJob]) error {
	for {
		old, err := s.store.ListOldSignups(ctx, store.ListOldSignupsParams{AgeS: s.cfg.UnverifiedLifetime.Seconds(), RowLimit: signupsBatch})
		if err != nil {
			return err
		}
		for _, signup := range old {
			if err := s.deleteUnverified(ctx, signup); err != nil {
				return err
			}
			// Only now: as long as the account might be there, the name is not to be had.
			if err := s.store.DeleteOldSignup(ctx, store.DeleteOldSignupParams{Username: signup.Username, CreatedAt: signup.CreatedAt}); err != nil {
				return err
			}
		}
		if len(old) < signupsBatch {
			return nil
		}
	}
}

func (s *service) deleteUnverified(ctx context.Context, signup store.Signup) error {
	username, err := s.box.Open(sealUsername, signup.Sealed)
	if err != nil {
		return nil // nobody can read it any more
	}
	person, err := s.kratos.FindIdentity(ctx, string(username))
	switch {
	case errors.Is(err, kratos.ErrNotFound):
		return nil
	case err != nil:
		return err
	case person.Origin == nil || person.Origin.Challenge != signup.ChallengeID || person.EverVerified():
		return nil // somebody else's, or verified
	}
	return s.kratos.DeleteIdentity(ctx, person.ID)
}
