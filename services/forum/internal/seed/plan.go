package seed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/services/forum/internal/pseudonym"
)

const (
	years           = 2
	mostCommunities = 300
	mostFollows     = 100

	postVotes   = 0.6  // of all votes
	mostVotes   = 0.4  // of those who could
	mostReplies = 5000 // below one post
	longTree    = 1000 // comments below some posts
	deepTree    = 300  // levels of those
	betweenLong = 100_000

	deletedShare, hiddenShare, lockedShare, editedShare, linkShare = 0.01, 0.005, 0.003, 0.04, 0.2
)

// plan is what has to be remembered: of a post 32 bytes, of comments and votes nothing. All else is made anew whenever it is needed,
// out of generators that are seeded by what they make.
type plan struct {
	Options
	from, span  int64 // microseconds
	words       *vocabulary
	authors     []author
	communities []community
	posts       []post
	roll        *rand.PCG
	rand        *rand.Rand // of what is being made: see of
}

type author struct {
	id   uuid.UUID
	name string
}

type community struct {
	id      uuid.UUID
	name    string
	title   string
	at      int64
	creator int32
	posts   int32 // published
	members int32
}

type post struct {
	at           int64
	comments     int32 // all of them
	votes        int32
	commentVotes int32
	published    int32 // comments
	community    int16
	status       status
	long         bool // its first comments answer each other
}

type status uint8

const (
	published status = iota
	hidden
	deleted
)

func (s status) String() string { return [...]string{"published", "hidden", "deleted"}[s] }

func newPlan(o Options, known stock) *plan {
	p := &plan{Options: o, words: newVocabulary(), roll: &rand.PCG{}}
	p.rand = rand.New(p.roll)
	p.Seed = mix(o.Seed + mix(uint64(known.posts))) // so that what is added has other identifiers
	from := o.Until.AddDate(-years, 0, 0)
	p.from, p.span = from.UnixMicro(), o.Until.UnixMicro()-from.UnixMicro()
	p.makeAuthors(max(o.Posts/10, 100), known.authors)
	p.makeCommunities(min(mostCommunities, o.Posts/20), known.communities)
	p.makePosts()
	return p
}

// kinds of things that are made, each from a generator of its own.
const (
	ofAuthor = iota
	ofCommunity
	ofFollows
	ofWeight
	ofPost
	ofTree
	ofText
	ofVotes
)

// of seeds the generator for the i-th thing of a kind.
func (p *plan) of(kind, i int) *rand.Rand {
	h := mix(p.Seed + mix(uint64(kind)<<56|uint64(i)))
	p.roll.Seed(h, mix(h))
	return p.rand
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (p *plan) makeAuthors(n int, taken map[string]bool) {
	names, err := pseudonym.New(config.Secret(fmt.Sprintf("made-up authors %x", p.Seed)))
	if err != nil {
		panic(err) // it is long enough
	}
	p.authors = make([]author, n)
	for i := range p.authors {
		id := names.Author(fmt.Sprint(i))
		candidates := names.Names(id)
		free := slices.IndexFunc(candidates, func(name string) bool { return !taken[name] })
		if free < 0 {
			panic("no name is free") // eight times of millions
		}
		taken[candidates[free]] = true
		p.authors[i] = author{id, candidates[free]}
	}
}

// A fifth of the authors are there from the beginning; the others come at an even pace.

func (p *plan) authorsAt(at int64) int {
	first := len(p.authors) / 5
	return first + int(float64(len(p.authors)-first)*float64(at-p.from)/float64(p.span))
}

func (p *plan) authorSince(i int) time.Time {
	first := len(p.authors) / 5
	if i < first {
		return time.UnixMicro(p.from).Add(-time.Hour)
	}
	return time.UnixMicro(p.from + int64(float64(p.span)*float64(i-first)/float64(len(p.authors)-first)))
}

// writer picks one of those who are there: the first write most.
func (p *plan) writer(r *rand.Rand, at int64) int32 {
	u := r.Float64()
	return int32(u * u * u * float64(p.authorsAt(at)))
}

func (p *plan) makeCommunities(n int, taken map[string]bool) {
	p.communities = make([]community, n)
	for i := range p.communities {
		r := p.of(ofCommunity, i)
		at := p.from + int64(i)*1000
		topic, about := topics[i%len(topics)], angles[i/len(topics)%len(angles)]
		name := topic + "-" + about
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%s-%d", topic, about, n)
		}
		taken[name] = true
		p.communities[i] = community{id: newID(r, at), name: name, title: spoken(topic) + ": " + about, at: at, creator: int32(i % (len(p.authors) / 5))}
	}
	for i := range p.authors {
		for _, c := range p.follows(i) {
			p.communities[c].members++
		}
	}
}

// popular picks a community: the k-th largest is about a k-th of the largest (Zipf).
func (p *plan) popular(r *rand.Rand) int {
	return int(math.Pow(float64(len(p.communities)+1), r.Float64())) - 1
}

// follows are the communities that an author follows, their own among them. Of a hundred authors one follows as many as one may.
func (p *plan) follows(i int) []int {
	r := p.of(ofFollows, i)
	n := min(1+int(r.ExpFloat64()*4), mostFollows)
	if i%100 == 0 {
		n = mostFollows
	}
	n = min(n, len(p.communities))
	var all []int
	for c := i; c < len(p.communities) && i < len(p.authors)/5; c += len(p.authors) / 5 {
		all = append(all, c)
	}
	for tries := 0; len(all) < n; tries++ {
		c := p.popular(r)
		if tries > 4*mostFollows { // the small ones have hardly a chance
			c = r.IntN(len(p.communities))
		}
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// makePosts draws how much happens below each post: a few are hot (Pareto), as votes and comments go together.
func (p *plan) makePosts() {
	p.posts = make([]post, p.Posts)
	weight := make([]float32, p.Posts)
	for i := range p.posts {
		r := p.of(ofWeight, i)
		weight[i] = float32(math.Pow(1-r.Float64(), -1/1.1))
		at := p.from + int64(float64(p.span)*math.Pow((float64(i)+r.Float64())/float64(p.Posts), 0.7)) // ever more
		p.posts[i] = post{at: at, community: int16(p.popular(r)), status: p.status(r)}
		p.posts[i].long = i%betweenLong == min(betweenLong, p.Posts)/2
	}
	length := min(longTree, p.Comments/10)
	long := (p.Posts + betweenLong - 1 - min(betweenLong, p.Posts)/2) / betweenLong * length
	p.share(p.Comments-long, func(i int) float64 { return math.Pow(float64(weight[i]), 0.8) }, func(i int) int {
		if p.posts[i].long {
			return 0
		}
		return mostReplies
	}, func(i, n int) { p.posts[i].comments = int32(n) })
	onPosts := int(float64(p.Votes) * postVotes)
	p.share(onPosts, func(i int) float64 { return float64(weight[i]) }, p.voters, func(i, n int) { p.posts[i].votes = int32(n) })
	for i := range p.posts {
		if p.posts[i].long {
			p.posts[i].comments = int32(length)
		}
	}
	p.share(p.Votes-onPosts, func(i int) float64 { return float64(p.posts[i].comments) }, func(i int) int {
		return p.voters(i) * min(1, int(p.posts[i].comments))
	}, func(i, n int) { p.posts[i].commentVotes = int32(n) })
	var tree []comment
	for i := range p.posts {
		tree = p.tree(i, tree[:0])
		for _, c := range tree {
			if c.status == published {
				p.posts[i].published++
			}
		}
		if p.posts[i].status == published {
			p.communities[p.posts[i].community].posts++
		}
	}
}

// voters is how many votes a post may have: of people who were there when it was written.
func (p *plan) voters(i int) int { return int(mostVotes * float64(p.authorsAt(p.posts[i].at))) }

func (p *plan) status(r *rand.Rand) status {
	switch u := r.Float64(); {
	case u < deletedShare:
		return deleted
	case u < deletedShare+hiddenShare:
		return hidden
	}
	return published
}

// share gives each post its part of total by weight, of which no post takes more than its most; what is left over goes around.
func (p *plan) share(total int, weight func(i int) float64, most func(i int) int, set func(i, n int)) {
	var sum float64
	for i := range p.posts {
		if most(i) > 0 {
			sum += weight(i)
		}
	}
	parts := make([]int32, len(p.posts))
	left := total
	for i := range parts {
		if most(i) > 0 {
			parts[i] = int32(min(most(i), int(weight(i)/sum*float64(total))))
			left -= int(parts[i])
		}
	}
	for i, idle := 0, 0; left > 0 && idle < len(parts); i = (i + 1) % len(parts) {
		idle++
		if int(parts[i]) < most(i) {
			parts[i]++
			left--
			idle = 0
		}
	}
	for i, n := range parts {
		set(i, int(n))
	}
}

// newID is a UUID of version 7, as the database makes them: 48 bits of milliseconds, 12 of their fraction, then randomness.
func newID(r *rand.Rand, at int64) uuid.UUID {
	var id uuid.UUID
	ms, fraction, random := at/1000, at%1000*4096/1000, r.Uint64()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[7] = byte(0x70|fraction>>8), byte(fraction)
	for i := range 8 {
		id[8+i] = byte(random >> (56 - 8*i))
	}
	id[8] = id[8]&0x3f | 0x80
	return id
}
