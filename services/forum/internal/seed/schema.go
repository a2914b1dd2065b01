package seed

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// statement is a step that takes a while.
type statement struct{ about, sql string }

// heavy are the tables that are loaded without indexes and constraints: making those afterwards takes a fraction of the time, and
// checks what was loaded all the same.
var heavy = []string{"follows", "posts", "post_scores", "comments", "comment_scores", "post_votes", "comment_votes"}

// strip takes indexes, keys and references from the heavy tables, and returns what puts them back. Postgres says what there is.
func strip(ctx context.Context, tx pgx.Tx) ([]statement, error) {
	rows, err := tx.Query(ctx, `
		SELECT about, away, back FROM (
			SELECT 1 AS step, conname AS about,
				format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS away,
				format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS back
			FROM pg_constraint
			WHERE contype = 'f' AND (conrelid = ANY($1::text[]::regclass[]) OR confrelid = ANY($1::text[]::regclass[]))
			UNION ALL
			SELECT 2, relname, format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
			FROM pg_index
			JOIN pg_class ON pg_class.oid = indexrelid
			WHERE indrelid = ANY($1::text[]::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
			UNION ALL
			SELECT 3, conname,
				format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
				format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
			FROM pg_constraint
			WHERE contype IN ('p', 'u') AND conrelid = ANY($1::text[]::regclass[])
		) AS steps
		ORDER BY step, about`, heavy)
	if err != nil {
		return nil, err
	}
	var back []statement
	var away []string
	var about, drop, add string
	if _, err := pgx.ForEachRow(rows, []any{&about, &drop, &add}, func() error {
		away, back = append(away, drop), append([]statement{{about, add}}, back...) // keys first, references last
		return nil
	}); err != nil {
		return nil, err
	}
	for _, sql := range away {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	return back, nil
}
