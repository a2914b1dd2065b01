package forum

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestPages keeps every feed, tree and search on an index, and what a page reads the same however far down it is: with a plan for any
// parameters (generic) and with one for these.
func TestPages(t *testing.T) {
	t.Parallel()
	const overlap = 2 * queryRows // pages differ by a few rows
	grow := []string{"authors", "follows", "posts", "post_scores", "comments", "comment_scores", "post_votes", "comment_votes"}

	c := newCorpus(t, "", 20_000)
	for _, f := range c.feeds(t, 2000) {
		for _, generic := range []bool{true, false} {
			first, deep := c.explain(t, generic, f.first).Plan, c.explain(t, generic, f.deep).Plan
			for _, page := range []step{first, deep} {
				assert.Less(t, page.blocks(), f.blocks, "%s, generic %t", f.name, generic)
				for s := range page.all {
					if s.Type == "Seq Scan" {
						assert.NotContains(t, grow, s.Relation, "%s, generic %t, reads a whole table", f.name, generic)
					}
				}
			}
			assert.LessOrEqual(t, deep.rows(), first.rows()+overlap, "%s, generic %t, reads what was on the pages before", f.name, generic)
			t.Logf("%s, generic %t: %d and %d blocks, %.0f and %.0f rows", f.name, generic, first.blocks(), deep.blocks(), first.rows(), deep.rows())
		}
	}
}

// all are a step and those below it.
func (s step) all(yield func(step) bool) {
	if !yield(s) {
		return
	}
	for _, below := range s.Steps {
		for b := range below.all {
			if !yield(b) {
				return
			}
		}
	}
}

// blocks counts those that are read several times as often.
func (s step) blocks() int { return s.Hit + s.Read }

// rows are all that were read from tables, those that were not wanted too.
func (s step) rows() float64 {
	var n float64
	for one := range s.all {
		if one.Relation != "" {
			n += (one.Rows + one.Filtered + one.Rechecked) * one.Loops
		}
	}
	return n
}
