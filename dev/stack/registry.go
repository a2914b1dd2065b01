package stack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// servicesKey is where services register and Traefik looks.
const servicesKey = "traefik/http/services/"

// Registry puts the health-check keys of every service. Traefik must find its root key when it starts, and
// a service that has these keys but no instance answers 503, not 404. Services put the same keys.
func (s *Stack) Registry(ctx context.Context) error {
	for _, service := range s.Services() {
		at := servicesKey + service + "/loadBalancer/healthCheck/"
		for key, value := range map[string]string{"path": "/readyz", "interval": "1s", "timeout": "1s"} {
			err := s.etcd(ctx, "put", map[string]string{"key": encode(at + key), "value": encode(value)}, nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Instances lists the URLs under which the live instances of a service are registered.
func (s *Stack) Instances(ctx context.Context, service string) ([]string, error) {
	prefix := servicesKey + service + "/loadBalancer/servers/"
	var found struct {
		KVs []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	end := prefix[:len(prefix)-1] + "0" // the key after all that begin with prefix: 0 follows /
	if err := s.etcd(ctx, "range", map[string]string{"key": encode(prefix), "range_end": encode(end)}, &found); err != nil {
		return nil, err
	}
	var urls []string
	for _, kv := range found.KVs {
		urls = append(urls, string(kv.Value))
	}
	slices.Sort(urls)
	return urls, nil
}

// etcd speaks its JSON gateway: two calls are no reason to link its client.
func (s *Stack) etcd(ctx context.Context, call string, in, out any) error {
	return exchange(ctx, http.MethodPost, s.local("REGISTRY_PORT")+"/v3/kv/"+call, in, out)
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// checkRegistered waits until every process of every service is in the registry, and Traefik sees it.
// process-compose does not know: it takes a new replica of a service that was ready to be ready.
func (s *Stack) checkRegistered(ctx context.Context, processes []Process) error {
	want := map[string]int{}
	for _, p := range processes {
		want[p.service()]++
	}
	for _, service := range s.Services() {
		if want[service] == 0 {
			continue
		}
		for !s.registered(ctx, service, want[service]) {
			s.progress.Update("waiting for Traefik to see %s", service)
			select {
			case <-ctx.Done():
				return s.failure(service)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	s.progress.Update("")
	return nil
}

// registered says whether there are n instances of a service, and somebody answers for it; what, does not matter.
func (s *Stack) registered(ctx context.Context, service string, n int) bool {
	if urls, err := s.Instances(ctx, service); err != nil || len(urls) < n {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.InternalURL()+"/"+service+"/v1/", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode < http.StatusInternalServerError
}

// statusError is an answer that is no success.
type statusError struct {
	Status int
	Body   string
}

func (e statusError) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Body) }

// exchange sends and receives JSON; in and out may be nil.
func exchange(ctx context.Context, method, url string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %w", method, url, statusError{res.StatusCode, string(b)})
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}
