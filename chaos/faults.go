package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	target   = "appointment" // the service that has the trouble
	database = "postgres"    // the proxy before its database
)

// fault is something that breaks. It holds from begin until the func that begin returned has been called.
type fault struct {
	name, what string
	begin      func(ctx context.Context, p *platform) (end func(context.Context) error, err error)
	shared     bool // what breaks is also on the way to the other services, so that they cannot be as fast as ever
}

var faults = []fault{
	{name: "nothing", what: "nothing breaks: what is measured by chance alone", begin: nothing},
	{name: "latency", what: "answers come 1 s late, give or take 0.5 s", begin: toxic("latency", false, map[string]int{"latency": 1000, "jitter": 500})},
	{name: "resets", what: "connections are reset when the answer comes", begin: toxic("reset_peer", false, map[string]int{"timeout": 0})},
	{name: "half-open", what: "requests arrive and are carried out, answers never come", begin: toxic("timeout", false, map[string]int{"timeout": 0})},
	{name: "slow-bodies", what: "answers drip, 1 kB a second", begin: toxic("bandwidth", false, map[string]int{"rate": 1})},
	{name: "black-hole", what: "connections are accepted, and nothing goes through", begin: toxic("timeout", true, map[string]int{"timeout": 0})},
	{name: "kill-one", what: "`kill -9` of one instance of two", begin: killOne},
	{name: "kill-all", what: "`kill -9` of every instance, again whenever one is back", begin: killAll},
	{name: "etcd-gone", what: "no registry: routing keeps its last state", begin: stopRegistry},
	{name: "database-gone", what: "the service's Postgres is gone: connections break, new ones are refused", begin: closeDatabase},
	{name: "catalog-killed", what: "the service is out, and `kill -9` takes one catalog instance after the other while writes are deferred", begin: killCatalog, shared: true},
}

// choose finds faults by their names; all of them if there is none.
func choose(only string) ([]fault, error) {
	if only == "" {
		return faults, nil
	}
	var chosen []fault
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q: choose from %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, faults[i])
	}
	return chosen, nil
}

func names() (all []string) {
	for _, f := range faults {
		all = append(all, f.name)
	}
	return all
}

func nothing(context.Context, *platform) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

// toxic spoils the connections to the service.
func toxic(kind string, requests bool, attributes map[string]int) func(context.Context, *platform) (func(context.Context) error, error) {
	return func(_ context.Context, p *platform) (func(context.Context) error, error) {
		err := p.proxies.poison(target, kind, requests, attributes)
		return func(ctx context.Context) error {
			p.proxies.cure(ctx, target)
			return nil
		}, err
	}
}

func killOne(ctx context.Context, p *platform) (func(context.Context) error, error) {
	instances, err := p.named(ctx, target)
	if err != nil || len(instances) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no instance of %s", target))
	}
	return func(context.Context) error { return nil }, p.Kill(ctx, instances[0])
}

// killAll kills again what process-compose has started again, until the fault is over.
func killAll(ctx context.Context, p *platform) (func(context.Context) error, error) {
	return meanwhile(ctx, 300*time.Millisecond, func(ctx context.Context) {
		instances, _ := p.named(ctx, target)
		for _, name := range instances {
			_ = p.Kill(ctx, name) // one that is not back yet cannot be
		}
	}), nil
}

func stopRegistry(ctx context.Context, p *platform) (func(context.Context) error, error) {
	return func(ctx context.Context) error { return p.StartProcess(ctx, "etcd") }, p.StopProcess(ctx, "etcd")
}

// closeDatabase makes the database of the service unreachable for it alone: all services share one server here.
func closeDatabase(_ context.Context, p *platform) (func(context.Context) error, error) {
	p.proxies[database].Stop()
	return func(context.Context) error { return p.proxies[database].Start() }, nil
}

// killCatalog has the service refuse connections, so that writes are deferred, and kills those who hold them.
func killCatalog(ctx context.Context, p *platform) (func(context.Context) error, error) {
	instances, err := p.named(ctx, "catalog")
	if err != nil || len(instances) == 0 {
		return nil, errors.Join(err, errors.New("no instance of catalog"))
	}
	p.proxies[target].Stop()
	next := 0
	stop := meanwhile(ctx, 2*time.Second, func(ctx context.Context) {
		_ = p.Kill(ctx, instances[next%len(instances)]) // it may be starting
		next++
	})
	return func(ctx context.Context) error {
		return errors.Join(stop(ctx), p.proxies[target].Start())
	}, nil
}

// meanwhile does something at once, and then again and again until it is stopped.
func meanwhile(ctx context.Context, every time.Duration, do func(context.Context)) (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for do(ctx); pause(ctx, every); {
			do(ctx)
		}
	}()
	return func(context.Context) error {
		cancel()
		<-done
		return nil
	}
}
