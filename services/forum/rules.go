package forum

import (
	"net/http"
	"time"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// Rules are what the forum asks of its authors.
type Rules struct {
	NewFor     time.Duration `env:"NEW_AUTHOR_FOR" envDefault:"72h"` // since the first visit
	FlagsHide  int32         `env:"FLAGS_HIDE" envDefault:"3"`       // so many flags hide what nobody has reviewed
	MaxFollows int64         `env:"MAX_FOLLOWS" envDefault:"100"`    // a feed asks each community
}

// A writeKind is what an author has an allowance of.
type writeKind string

const (
	writeCommunity writeKind = "community"
	writePost      writeKind = "post"
	writeComment   writeKind = "comment"
	writeVote      writeKind = "vote"
	writeFlag      writeKind = "flag"
	writeEdit      writeKind = "edit"
)

// allowance is so many at once, and one more each time that refill has passed.
type allowance struct {
	burst  float64
	refill time.Duration
}

// What authors may write: known ones as fast as people write, new ones as fast as someone who is trying the forum out.
var (
	allowances = map[writeKind]allowance{
		writeCommunity: {5, 6 * time.Hour}, writePost: {20, 3 * time.Minute}, writeComment: {60, 30 * time.Second},
		writeVote: {600, time.Second}, writeFlag: {30, 5 * time.Minute}, writeEdit: {60, 30 * time.Second},
	}
	newAllowances = map[writeKind]allowance{
		writeCommunity: {1, 24 * time.Hour}, writePost: {3, 20 * time.Minute}, writeComment: {10, 3 * time.Minute},
		writeVote: {60, 10 * time.Second}, writeFlag: {5, time.Hour}, writeEdit: {20, time.Minute},
	}
)

var (
	errSuspended = problem.New(http.StatusForbidden, "suspended", "Suspended", "A moderator has suspended you; see suspended_until of GET /forum/v1/me.")
	errLocked    = problem.Conflict("post-locked", "A moderator has locked the post.")
	errNotYours  = problem.Forbidden("Only who wrote it may do this.")
	errGone      = problem.Conflict("content-gone", "It was deleted or hidden.")
)

func (r Rules) isNew(a store.Author, now time.Time) bool { return now.Sub(a.CreatedAt) < r.NewFor }

func (r Rules) allowance(kind writeKind, a store.Author, now time.Time) allowance {
	if r.isNew(a, now) {
		return newAllowances[kind]
	}
	return allowances[kind]
}

// leastToken is how far below 0 rounding leaves a token that is there.
const leastToken = -1e-9

// check wants that a token was left to take, else it says when the next one comes.
func (a allowance) check(left float64) error {
	if left < leastToken {
		return problem.TooManyRequests(time.Duration(-left * float64(a.refill)))
	}
	return nil
}

func checkSuspension(a store.Author, now time.Time) error {
	if a.SuspendedUntil != nil && now.Before(*a.SuspendedUntil) {
		return errSuspended
	}
	return nil
}

func checkUntil(until, now time.Time) error {
	if !until.After(now) || until.After(now.AddDate(1, 0, 0)) {
		return errUntil
	}
	return nil
}
