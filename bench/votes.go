package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/healthe/healthe/dev/stack"
	"github.com/healthe/healthe/openapi/forum"
)

// manyVotes is how many go each way; one author may not vote much faster.
const manyVotes = 280

// votes compares the writes that make most copies void, through a catalog instance of two, which tell each other, with the
// same at the internal entry point.
func votes(ctx context.Context, s *stack.Stack) error {
	if err := s.Scale(ctx, "catalog", 2); err != nil {
		return err
	}
	token, err := login(ctx, s)
	if err != nil {
		return err
	}
	instances, err := s.Instances(ctx, "catalog")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &caller{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	if err := c.follow(ctx, s.InternalURL(), token); err != nil {
		return err
	}
	var ways []*forum.ClientWithResponses
	for _, base := range []string{instances[0], s.InternalURL()} {
		way, err := forum.NewClientWithResponses(base, forum.WithHTTPClient(c.client), forum.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set(identityHeader, *c.signed.Load())
			return nil
		}))
		if err != nil {
			return err
		}
		ways = append(ways, way)
	}
	post, err := newPost(ctx, ways[0])
	if err != nil {
		return err
	}
	took := [2][]time.Duration{}
	for n := range manyVotes {
		for i, way := range ways {
			vote := forum.Vote{Value: []forum.VoteValue{forum.VoteValueUp, forum.VoteValueDown}[(n+i)%2]}
			began := time.Now()
			resp, err := way.VotePostWithResponse(ctx, post.ID, vote)
			if err != nil {
				return err
			}
			if resp.JSON200 == nil {
				return fmt.Errorf("vote: %s", resp.Status())
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	through, straight := median(took[0]), median(took[1])
	fmt.Printf("median of a vote through one of two catalogs over that at the internal entry point: %.2f (%.1f ms over %.1f ms) (at most 2.50)\n",
		float64(through)/float64(straight), 1000*through.Seconds(), 1000*straight.Seconds())
	return s.Scale(ctx, "catalog", 1)
}

func newPost(ctx context.Context, c *forum.ClientWithResponses) (*forum.Post, error) {
	community, err := c.CreateCommunityWithResponse(ctx, nil, forum.NewCommunity{Name: "bench", Title: "Bench"})
	if err != nil {
		return nil, err
	}
	if community.JSON201 == nil {
		return nil, fmt.Errorf("community: %s", community.Status())
	}
	post, err := c.CreatePostWithResponse(ctx, community.JSON201.ID, nil, forum.NewPost{Title: "Bench", Body: new("What is voted on.")})
	if err != nil {
		return nil, err
	}
	if post.JSON201 == nil {
		return nil, fmt.Errorf("post: %s", post.Status())
	}
	return post.JSON201, nil
}
