package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/healthe/healthe/bench/ratio"
	"github.com/healthe/healthe/dev/stack"
)

const (
	uncached  = "/appointment/v1/me/audit-records" // its contract names no cache
	cached    = "/appointment/v1/specialities"
	overview  = "/catalog/v1/me/overview"
	refreshed = 15 * time.Second // how often the identity that requests carry is asked for again; it lives for a minute

	identityHeader = "X-Healthe-Identity"
)

// parts are what the overview asks for.
var parts = []string{"/auth/v1/me", "/appointment/v1/me/patient", "/appointment/v1/appointments?when=coming&status=booked&limit=5"}

// catalogue compares reads through a catalog instance with the same reads at the internal entry point, where the catalog
// itself asks.
func catalogue(ctx context.Context, s *stack.Stack) error {
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
	inside := s.InternalURL()
	c := &caller{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	if err := c.follow(ctx, inside, token); err != nil {
		return err
	}
	get := func(url string) func(context.Context) error {
		return func(ctx context.Context) error { return c.get(ctx, url) }
	}
	plan := ratio.Plan{Workers: 16, Round: time.Second, Rounds: 12}
	fmt.Printf("a read through the catalog, over the same at the internal entry point: %s (at least 0.60)\n",
		plan.Run(ctx, get(instances[0]+uncached), get(inside+uncached)))
	fmt.Printf("the same where the catalog has a copy: %s (at least 3.00)\n", plan.Run(ctx, get(instances[0]+cached), get(inside+cached)))

	took := map[string][]time.Duration{}
	for range 300 {
		for _, url := range append([]string{instances[0] + overview}, prefixed(inside, parts)...) {
			began := time.Now()
			if err := c.get(ctx, url); err != nil {
				return err
			}
			took[url] = append(took[url], time.Since(began))
		}
	}
	whole, slowest := median(took[instances[0]+overview]), time.Duration(0)
	for _, url := range prefixed(inside, parts) {
		slowest = max(slowest, median(took[url]))
	}
	fmt.Printf("median of the overview over that of its slowest part: %.2f (%.1f ms over %.1f ms) (at most 1.30)\n",
		float64(whole)/float64(slowest), 1000*whole.Seconds(), 1000*slowest.Seconds())
	return nil
}

// caller sends requests as Traefik does, with the identity that auth states.
type caller struct {
	client *http.Client
	signed atomic.Pointer[string]
}

// follow asks for the identity of token, and again before it ends, until ctx does.
func (c *caller) follow(ctx context.Context, inside, token string) error {
	ask := func() error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, inside+"/auth/internal/verify", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		c.signed.Store(new(resp.Header.Get(identityHeader)))
		return nil
	}
	if err := ask(); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(refreshed):
				_ = ask() // the requests tell
			}
		}
	}()
	return nil
}

func (c *caller) get(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set(identityHeader, *c.signed.Load())
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound { // the demo patient has no profile
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

func prefixed(prefix string, all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, prefix+s)
	}
	return out
}

func median(all []time.Duration) time.Duration { return slices.Sorted(slices.Values(all))[len(all)/2] }
