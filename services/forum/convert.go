package forum

import (
	"time"

	"github.com/google/uuid"

	api "github.com/healthe/healthe/openapi/forum"
	"github.com/healthe/healthe/services/forum/internal/store"
)

// each turns rows into items, never into null.
func each[R, T any](rows []R, toAPI func(R) T) []T {
	items := make([]T, len(rows))
	for i, r := range rows {
		items[i] = toAPI(r)
	}
	return items
}

func utc(t time.Time) time.Time { return t.UTC() }

// optionally converts what may be missing.
func optionally[T, U any](v *T, convert func(T) U) *U {
	if v == nil {
		return nil
	}
	return new(convert(*v))
}

// orDefault is what a parameter says, or what its absence means.
func orDefault[T any](v *T, absent T) T {
	if v == nil {
		return absent
	}
	return *v
}

// orMax is the place before which every identifier comes, unless a page starts elsewhere.
func orMax(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Max
	}
	return *id
}

// pseudonymToAPI is nil for what is nobody's any more.
func pseudonymToAPI(id *uuid.UUID, name *string, isDoctor bool) *api.Author {
	if id == nil || name == nil {
		return nil
	}
	return &api.Author{ID: *id, Name: *name, IsDoctor: isDoctor}
}

func authorToAPI(a store.Author) api.Author {
	return api.Author{ID: a.ID, Name: a.Name, IsDoctor: a.IsDoctor}
}

func ownVoteToAPI(value int16) api.OwnVote {
	switch value {
	case 1:
		return api.OwnVoteUp
	case -1:
		return api.OwnVoteDown
	}
	return api.OwnVoteNone
}
