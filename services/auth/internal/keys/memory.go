package keys

import (
	"errors"
	"time"

	"github.com/healthe/healthe/kit/identity"
)

// Memory is how long auth can tell that it made an identity, which itself ends within a minute.
const Memory = 24 * time.Hour

const leeway = 5 * time.Second // between the clocks of two instances

var (
	// ErrForged says that auth never made this identity of a user who asked, or so long ago that it cannot tell.
	ErrForged = errors.New("no identity that was made here")
	// ErrTooOld says that auth made it longer ago than Memory.
	ErrTooOld = errors.New("the identity is too old")
)

// Recall returns an identity that was made here, also when it has ended, without its session; none that an exchange made.
func (r *Ring) Recall(token string, now time.Time) (identity.Identity, error) {
	i, made, err := identity.Open(token, r.public)
	i.SessionID = ""
	switch age := now.Sub(made); {
	case err != nil:
		return i, errors.Join(ErrForged, err)
	case i.Actor != "": // an exchange made it: each would prolong the last, without end
		return i, ErrForged
	case age > Memory:
		return i, ErrTooOld
	case age < -leeway:
		return i, ErrForged
	}
	return i, nil
}

func (r *Ring) public(kid string) (any, error) {
	for _, k := range *r.keys.Load() {
		if k.id.String() == kid {
			return k.public, nil
		}
	}
	return nil, errors.New("unknown key")
}
