// Package registry tells Traefik, through etcd, where this instance answers.
package registry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	leaseSeconds = 5 // how long a dead instance stays listed, beside Traefik's own health check
	callTimeout  = 3 * time.Second
	retryEvery   = time.Second
)

var errLost = errors.New("the lease was lost")

// Instance is one running copy of a service.
type Instance struct {
	Service, ID     string
	URL, MetricsURL string
}

// listing is the instance itself, under a lease: Traefik balances by the first, Prometheus finds the second.
func (i Instance) listing() map[string]string {
	return map[string]string{
		"traefik/http/services/" + i.Service + "/loadBalancer/servers/" + i.ID + "/url": i.URL,
		"healthe/instances/" + i.Service + "/" + i.ID:                                   i.MetricsURL,
	}
}

// Register keeps i listed until ctx ends, through every outage of etcd, and then takes it
// off the list. It returns when that is done.
func Register(ctx context.Context, endpoints []string, i Instance) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: callTimeout, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		if err := keep(ctx, client, i); ctx.Err() == nil {
			slog.WarnContext(ctx, "not registered", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
	off, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	for key := range i.listing() { // whichever lease it is under: etcd may come back with one that we had given up
		if _, err := client.Delete(off, key); err != nil {
			return err
		}
	}
	return nil
}

// keep lists i and returns when it is no longer listed, or ctx ends.
func keep(ctx context.Context, client *clientv3.Client, i Instance) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// How Traefik finds out that an instance is alive. These keys have no lease: a service with no
	// instance then answers 503 and not 404.
	check := "traefik/http/services/" + i.Service + "/loadBalancer/healthCheck/"
	for key, value := range map[string]string{"path": "/readyz", "interval": "1s", "timeout": "1s"} {
		if _, err := client.Put(call, check+key, value); err != nil {
			return err
		}
	}
	lease, err := client.Grant(call, leaseSeconds)
	if err != nil {
		return err
	}
	for key, value := range i.listing() {
		if _, err := client.Put(call, key, value, clientv3.WithLease(lease.ID)); err != nil {
			return err
		}
	}
	alive, err := client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "registered", "url", i.URL)
	for range alive { // ends with the lease or with ctx
	}
	return errLost
}
