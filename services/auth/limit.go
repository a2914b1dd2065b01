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
	codesPerPair      = limit{"codes to address by sender", 3, time.Hour}
	codesPerAddress   = limit{"codes to address", 9, time.Hour}

	// Wrong codes, over all codes of an account. A guess hits one of the 10^6 codes, however many are out: 20 a day
	// succeed with a probability of 1 in 50,000, and every day for a year with 0.7%. An account of which one sender
	// has guessed wrong takes its owner's codes still, from elsewhere.
	wrongCodesPerPair    = limit{"wrong codes of account by sender", 8, 24 * time.Hour}
	wrongCodesPerAccount = limit{"wrong codes of account", 20, 24 * time.Hour}
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

// takeCode counts a mail with a code that someone asks us to send.
func (s *service) takeCode(ctx context.Context, email string) error {
	if err := s.take(ctx, s.codesPerSender(), sender(ctx)); err != nil {
		return err
	}
	if err := s.take(ctx, codesPerPair, email, sender(ctx)); err != nil {
		return err
	}
	return s.take(ctx, codesPerAddress, email)
}

// account returns what stands for an address where its codes are counted and made void.
func (s *service) account(email string) []byte { return s.box.Hash("account", fold(email)) }

// takeWrongCode counts a code as a wrong one before it is tried; giveBackWrongCode says that it was none.
func (s *service) takeWrongCode(ctx context.Context, account []byte) error {
	if err := s.take(ctx, wrongCodesPerPair, string(account), sender(ctx)); err != nil {
		return err
	}
	if err := s.take(ctx, wrongCodesPerAccount, string(account)); err != nil {
		return errors.Join(err, s.giveBack(ctx, wrongCodesPerPair, string(account), sender(ctx))) // it was not tried
	}
	return nil
}

func (s *service) giveBackWrongCode(ctx context.Context, account []byte) error {
	return errors.Join(
		s.giveBack(ctx, wrongCodesPerPair, string(account), sender(ctx)),
		s.giveBack(ctx, wrongCodesPerAccount, string(account)),
	)
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
