package appointment

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	openapi "github.com/oapi-codegen/runtime/types"
)

// each turns rows into items, never into null.
func each[R, T any](rows []R, toAPI func(R) T) []T {
	items := make([]T, len(rows))
	for i, r := range rows {
		items[i] = toAPI(r)
	}
	return items
}

// deleted makes a delete that found nothing look like any other statement that found nothing.
func deleted(n int64, err error) error {
	if err == nil && n == 0 {
		return pgx.ErrNoRows
	}
	return err
}

func dateToDB(d openapi.Date) pgtype.Date  { return pgtype.Date{Time: d.Time, Valid: true} }
func dateToAPI(d pgtype.Date) openapi.Date { return openapi.Date{Time: d.Time} }
func utc(t time.Time) time.Time            { return t.UTC() }

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// orMax is the place before which every identifier comes, unless a page starts elsewhere.
func orMax(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Max
	}
	return *id
}
