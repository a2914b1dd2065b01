// Package journey plays the platform's main story through its front door, with nothing but the Go client and a mailbox: people
// sign up, one becomes a doctor, another books, moves and cancels an appointment, and a third gets the time that became free. Then
// they talk in the forum, under other names.
// It serves as `./task demo`, as an end-to-end test, and as an example of a program that uses the platform.
package journey

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/healthe/healthe/openapi/appointment"
	healthe "github.com/healthe/healthe/sdk/go"
)

// Config says where the platform is, and who may grant roles there.
type Config struct {
	URL           string // of the platform
	MailpitURL    string // where its mail can be read
	AdminUsername string
	AdminPassword string
	Report        func(Step) // is told each step when it is done
	Options       []healthe.Option
}

// Step is one thing that somebody did.
type Step struct {
	Who, What string
	Detail    string        // what came of it
	Took      time.Duration // waiting for mail included
}

// story is one run: its people, and what they have made so far.
type story struct {
	Config
	ctx  context.Context
	mail mailbox
	tag  string // makes the names of this run new
	last time.Time

	admin, doctor, ada, bea, mia *person
	practice                     practice
	slots                        []appointment.Slot
	booked                       *appointment.Appointment
	waiting                      *appointment.WaitlistEntry
	discussion                   discussion
}

// Run plays the story once. Every run has people of its own, so it can be played any number of times, and at once.
func Run(ctx context.Context, cfg Config) error {
	s := &story{
		Config: cfg, ctx: ctx, mail: mailbox{cfg.MailpitURL}, tag: strings.ToLower(rand.Text()[:6]), last: time.Now(),
	}
	for _, chapter := range []func() error{
		s.adaSignsUp, s.aDoctorArrives, s.theClinicOpens, s.adaBooks, s.adaReadsHerMail, s.adaMoves, s.beaWaits, s.adaCancels, s.beaTakesTheSlot, s.theDoctorLooks,
		s.adaOpensACommunity, s.adaPosts, s.othersAnswer, s.theyVote, s.adaReadsAgain, s.aModeratorDecides,
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	return nil
}

// tell reports a step.
func (s *story) tell(who, what, detail string, args ...any) {
	now := time.Now()
	if s.Report != nil {
		s.Report(Step{Who: who, What: what, Detail: fmt.Sprintf(detail, args...), Took: now.Sub(s.last)})
	}
	s.last = now
}

// failed says at what the story ended.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// until asks again and again, until the answer is there or the wait is too long.
func until[T any](ctx context.Context, what string, ask func(context.Context) (T, bool, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		v, ok, err := ask(ctx)
		if ok && err == nil {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, errors.Join(fmt.Errorf("%s did not come within %s", what, patience), err)
		case <-time.After(pause):
		}
	}
}

const (
	patience = 30 * time.Second // mail is sent after the answer
	pause    = 150 * time.Millisecond
)
