// Package registry tells Traefik, through etcd, where this instance answers.
package registry

import (
	"context"
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

// Instance is one running copy of a service.
type Instance struct {
	Service, ID     string
	URL, MetricsURL string
}

// healthCheck is how Traefik finds out that an instance is alive. These keys have no lease:
// a service with no instance then answers 503 and not 404.
func (i Instance) healthCheck() map[string]string {
	at := "traefik/http/services/" + i.Service + "/loadBalancer/healthCheck/"
	return map[string]string{at + "path": "/readyz", at + "interval": "1s", at + "timeout": "1s"}
}

// Register keeps i listed until ctx ends, through every outage of etcd, and then takes it
// off the list. It returns when that is done.
func Register(ctx context.Context, endpoints []string, i Instance) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: callTimeout, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	var lease clientv3.LeaseID
	for ctx.Err() == nil {
		var alive <-chan *clientv3.LeaseKeepAliveResponse
		if lease, alive, err = put(ctx, client, i); err != nil {
			slog.WarnContext(ctx, "not registered yet", "error", err)
			wait(ctx)
			continue
		}
		slog.InfoContext(ctx, "registered", "url", i.URL)
		for range alive { // ends with the lease or with ctx
		}
		if ctx.Err() == nil {
			slog.WarnContext(ctx, "registration lost")
			wait(ctx)
		}
	}
	off, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if lease == 0 {
		return nil
	}
	_, err = client.Revoke(off, lease)
	return err
}

func put(ctx context.Context, client *clientv3.Client, i Instance) (clientv3.LeaseID, <-chan *clientv3.LeaseKeepAliveResponse, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for key, value := range i.healthCheck() {
		if _, err := client.Put(call, key, value); err != nil {
			return 0, nil, err
		}
	}
	lease, err := client.Grant(call, leaseSeconds)
	if err != nil {
		return 0, nil, err
	}
	for key, value := range map[string]string{
		"traefik/http/services/" + i.Service + "/loadBalancer/servers/" + i.ID + "/url": i.URL,
		"healthe/instances/" + i.Service + "/" + i.ID:                                   i.MetricsURL,
	} {
		if _, err := client.Put(call, key, value, clientv3.WithLease(lease.ID)); err != nil {
			return lease.ID, nil, err
		}
	}
	alive, err := client.KeepAlive(ctx, lease.ID)
	return lease.ID, alive, err
}

func wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryEvery):
	}
}
