// Package page does keyset pagination: a cursor is the sort key of the last item seen.
package page

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/healthe/healthe/kit/contract"
	"github.com/healthe/healthe/openapi/problem"
)

const defaultLimit = 20

// Limit returns how many items to answer with. The contract keeps it within 1 to 100.
// Fetch one more than that, and Cut tells whether there is a next page.
func Limit(limit *int) int32 {
	if limit == nil {
		return defaultLimit
	}
	return int32(*limit) //nolint:gosec // at most 100, by contract
}

// Decode returns the key that a cursor holds, and the zero key for the first page.
func Decode[K any](cursor *string) (K, error) {
	var key K
	if cursor == nil {
		return key, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil || bytes.Contains(bytes.ReplaceAll(text, []byte(`\\`), nil), []byte(`\u0000`)) { // Postgres knows no NUL
		return key, problem.Invalid(problem.Field{Pointer: "/query/cursor", Detail: "This is no cursor that a page gave."})
	}
	return key, nil
}

// Encode returns the cursor that starts after key.
func Encode[K any](key K) *string {
	text, err := json.Marshal(key)
	if err != nil {
		panic(err) // keys are our own plain structs
	}
	return new(base64.RawURLEncoding.EncodeToString(text))
}

// Cut takes limit+1 rows down to limit, and returns the cursor of the next page if there is one.
func Cut[R, K any](rows []R, limit int32, key func(R) K) ([]R, *string) {
	if len(rows) <= int(limit) {
		return rows, nil
	}
	rows = rows[:limit]
	return rows, Encode(key(rows[limit-1]))
}

// Link returns the Link header of the page that ctx answers, nil on the last page.
func Link(ctx context.Context, next *string) *string {
	op, ok := contract.Current(ctx)
	if next == nil || !ok {
		return nil
	}
	u := *op.URL
	q := u.Query()
	q.Set("cursor", *next)
	u.RawQuery = q.Encode()
	return new(fmt.Sprintf(`<%s>; rel="next"`, u.RequestURI()))
}
