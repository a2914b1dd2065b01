package auth

import (
	"context"
	"errors"
	"time"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/auth/internal/store"
)

// limit is how often something may be tried in a window. The count is in Postgres, so that it
// is one for all instances. The window starts with the first try; a lock ends with it.
type limit struct {
	name   string
	tries  int32
	window time.Duration
}

// A sender is locked out of an account long before the account is locked for everyone: else
// anyone could keep its owner out.
var (
	guessesPerPair    = limit{"guesses of account by sender", 10, 15 * time.Minute}
	guessesPerAccount = limit{"guesses of account", 50, 15 * time.Minute}
	guessesPerSender  = limit{"guesses of sender", 100, 15 * time.Minute}
	codesPerAddress   = limit{"codes to address", 5, time.Hour}
)

func (s *service) codesPerSender() limit {
	return limit{"codes for sender", int32(s.cfg.SignupsPerAddress), time.Hour} //nolint:gosec // small
}

// take counts a try before it is made, so that tries at once cannot exceed the limit.
func (s *service) take(ctx context.Context, l limit, of ...string) error {
	row, err := s.store.CountAttempt(ctx, store.CountAttemptParams{Key: s.key(l, of), WindowS: l.window.Seconds()})
	if err != nil {
		return err
	}
	if row.Tries > l.tries {
		return problem.TooManyRequests(time.Duration(row.SecondsLeft * float64(time.Second)))
	}
	return nil
}

// giveBack forgets a try that was none of the kind that is limited.
func (s *service) giveBack(ctx context.Context, l limit, of ...string) error {
	return s.store.ReturnAttempt(ctx, s.key(l, of))
}

// unlock lifts the locks of an account, for everyone and for the sender.
func (s *service) unlock(ctx context.Context, identifier string) error {
	return errors.Join(
		s.store.DeleteAttempts(ctx, s.key(guessesPerAccount, []string{identifier})),
		s.store.DeleteAttempts(ctx, s.key(guessesPerPair, []string{identifier, sender(ctx)})),
	)
}

func (s *service) key(l limit, of []string) []byte {
	return s.box.Hash(append([]string{l.name}, of...)...)
}
