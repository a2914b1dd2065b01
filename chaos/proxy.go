package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/healthe/healthe/dev/stack"
)

// proxies stand between the catalog and a core service, by its name, and between the service that has the trouble and its
// database.
type proxies map[string]*toxiproxy.Proxy

// startProxies starts one to the internal entry point for each service, and one to Postgres.
func startProxies(internal, postgres int, services ...string) (proxies, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // one of the toxics has a logger of its own
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	all := proxies{}
	start := func(name string, to int) error {
		port, err := stack.FreePort() // not any: it must be there to come back to
		if err != nil {
			return err
		}
		all[name] = toxiproxy.NewProxy(server, name, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", to))
		return all[name].Start()
	}
	for _, service := range services {
		if err := start(service, internal); err != nil {
			return nil, err
		}
	}
	return all, start(database, postgres)
}

// urls tells the catalog where the services are.
func (p proxies) urls() string {
	var all []string
	for _, service := range slices.Sorted(maps.Keys(p)) {
		if service == database {
			continue
		}
		all = append(all, service+"=http://"+p[service].Listen)
	}
	return strings.Join(all, ",")
}

// poison does something to the answers of a service, or to the requests to it.
func (p proxies) poison(service, toxic string, requests bool, attributes map[string]int) error {
	stream := "downstream"
	if requests {
		stream = "upstream"
	}
	b, err := json.Marshal(map[string]any{"type": toxic, "stream": stream, "attributes": attributes})
	if err != nil {
		return err
	}
	_, err = p[service].Toxics.AddToxicJson(bytes.NewReader(b))
	return err
}

// cure takes out of the way what poison put there.
func (p proxies) cure(ctx context.Context, service string) {
	p[service].Toxics.ResetToxics(ctx)
}

func (p proxies) stop() {
	for _, proxy := range p {
		proxy.Stop()
	}
}
