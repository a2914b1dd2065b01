package seed

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"
)

type comment struct {
	at      int64
	id      uuid.UUID
	parent  int32 // in the tree; -1 answers the post
	depth   int32
	author  int32
	up      int32
	down    int32
	replies int32
	status  status
}

const longestTalk = 30 * 24 * 3600 * 1e6 // microseconds

// tree makes the comments below the i-th post, the earliest first, and appends them to buffer.
func (p *plan) tree(i int, buffer []comment) []comment {
	post := &p.posts[i]
	r := p.of(ofTree, i)
	tree := slices.Grow(buffer, int(post.comments))[:post.comments]
	pace := math.Pow(r.Float64(), 2) * 3 * 24 * 3600 * 1e6
	most := min(longestTalk, float64(p.from+p.span-post.at))
	for j := range tree {
		delay := r.ExpFloat64() * pace
		if delay > most {
			delay = r.Float64() * most
		}
		tree[j] = comment{at: post.at + 1 + int64(delay)}
	}
	slices.SortFunc(tree, func(a, b comment) int { return int(a.at - b.at) })
	chain := len(tree) * deepTree / longTree
	for j := range tree {
		c := &tree[j]
		if j > 0 {
			c.at = max(c.at, tree[j-1].at+1) // what is answered was there before
		}
		c.id, c.author, c.status = newID(r, c.at), p.writer(r, c.at), p.status(r)
		c.parent = -1
		if j > 0 && (post.long && j < chain || r.Float64() < 0.6) {
			c.parent = answered(r, j, post.long && j < chain)
			c.depth = tree[c.parent].depth + 1
			tree[c.parent].replies++
		}
	}
	p.spread(r, post, tree)
	return tree
}

// answered picks an earlier comment, mostly one of the last: the branches that are being talked in.
func answered(r *rand.Rand, j int, last bool) int32 {
	if last {
		return int32(j - 1)
	}
	return int32(j - 1 - int(r.Float64()*r.Float64()*float64(j)))
}

// spread gives the comments of a tree their votes: earlier ones more.
func (p *plan) spread(r *rand.Rand, post *post, tree []comment) {
	for range post.commentVotes {
		u := r.Float64()
		c := &tree[int(u*u*float64(len(tree)))]
		if r.Float64() < 0.85 {
			c.up++
		} else {
			c.down++
		}
	}
}

// stream makes all comments in the order in which they were written. It holds the trees of those posts alone that are being talked
// about.
type stream struct {
	plan *plan
	open talks
	next int // post
	free [][]comment
}

type talk struct {
	post int
	tree []comment
	pos  int
}

type talks []talk

func (t talks) Len() int           { return len(t) }
func (t talks) Less(i, j int) bool { return t[i].tree[t[i].pos].at < t[j].tree[t[j].pos].at }
func (t talks) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *talks) Push(x any)        { *t = append(*t, x.(talk)) }
func (t *talks) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// take returns the next comment: the post, its tree and the place in it; no tree after the last.
func (s *stream) take() (post int, tree []comment, at int) {
	if len(s.open) > 0 { // the one that was taken last
		if top := &s.open[0]; top.pos+1 < len(top.tree) {
			top.pos++
			heap.Fix(&s.open, 0)
		} else {
			s.free = append(s.free, heap.Pop(&s.open).(talk).tree[:0])
		}
	}
	for s.next < len(s.plan.posts) && (len(s.open) == 0 || s.plan.posts[s.next].at <= s.open[0].tree[s.open[0].pos].at) {
		if s.plan.posts[s.next].comments > 0 {
			var buffer []comment
			if n := len(s.free); n > 0 {
				buffer, s.free = s.free[n-1], s.free[:n-1]
			}
			heap.Push(&s.open, talk{s.next, s.plan.tree(s.next, buffer), 0})
		}
		s.next++
	}
	if len(s.open) == 0 {
		return 0, nil, 0
	}
	top := s.open[0]
	return top.post, top.tree, top.pos
}
