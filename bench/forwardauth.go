package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/healthe/healthe/bench/ratio"
	"github.com/healthe/healthe/dev/stack"
	"github.com/healthe/healthe/openapi/auth"
)

// routes sets side by side what differs in one thing only: who answers forward-auth's question. Both go the way
// that the platform goes, through the internal entry point to the service's instances.
const routes = `
http:
  routers:
    ours: { rule: PathPrefix("/ours"), entryPoints: [web], middlewares: [ours], service: nothing }
    idle: { rule: PathPrefix("/idle"), entryPoints: [web], middlewares: [idle], service: nothing }
    kratos: { rule: PathPrefix("/kratos"), entryPoints: [web], middlewares: [kratos], service: nothing }
    verify: { rule: Path("/auth/internal/verify"), entryPoints: [internal], service: auth }
    nothing: { rule: Path("/nothing"), entryPoints: [internal], service: idle }
  middlewares:
    ours: { forwardAuth: &f { address: "http://127.0.0.1:%[1]d/auth/internal/verify", trustForwardHeader: true,
      authRequestHeaders: [Authorization, Cookie, Origin], authResponseHeaders: [X-Healthe-Identity] } }
    idle: { forwardAuth: { <<: *f, address: "http://127.0.0.1:%[1]d/nothing" } }
    kratos: { forwardAuth: { address: "http://127.0.0.1:%[4]d/sessions/whoami", authRequestHeaders: [Authorization] } }
  services:
    auth: { loadBalancer: { servers: [%[2]s] } }
    nothing: { loadBalancer: { servers: [{ url: %[3]q }] } }
    idle: { loadBalancer: { servers: [{ url: %[5]q }] } } # a process of its own, as auth is
`

const settings = `
entryPoints: { web: { address: "127.0.0.1:%d" }, internal: { address: "127.0.0.1:%d", forwardedHeaders: { insecure: true } } }
providers: { file: { filename: %q } }
serversTransport: { maxIdleConnsPerHost: 200 }
log: { level: WARN }
`

// forwardAuth compares Traefik with our forward-auth to Traefik with a handler that does nothing in its place.
func forwardAuth(ctx context.Context, s *stack.Stack) error {
	token, err := login(ctx, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nothing, err := startNothing(ctx)
	if err != nil {
		return err
	}
	idle, err := startNothing(ctx)
	if err != nil {
		return err
	}
	web, err := startTraefik(ctx, s, nothing, idle)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	get := func(path string) func(context.Context) error {
		return func(ctx context.Context) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, web+path, nil)
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", "Bearer "+token)
			resp, err := client.Do(r)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", path, resp.Status)
			}
			return nil
		}
	}
	if err := until(ctx, 20*time.Second, func() error { return get("/ours")(ctx) }); err != nil {
		return err
	}
	plan := ratio.Plan{Workers: 32, Round: time.Second, Rounds: 20}
	fmt.Printf("forward-auth, ours over one that does nothing: %s (at least 0.85)\n", plan.Run(ctx, get("/ours"), get("/idle")))
	plan.Rounds = 6
	fmt.Printf("forward-auth, Kratos' whoami over one that does nothing: %s (for comparison)\n", plan.Run(ctx, get("/kratos"), get("/idle")))
	return nil
}

func login(ctx context.Context, s *stack.Stack) (string, error) {
	client, err := auth.NewClientWithResponses(s.PublicURL())
	if err != nil {
		return "", err
	}
	for _, a := range s.Accounts() {
		if a.Username != "patient" {
			continue
		}
		resp, err := client.LogInWithResponse(ctx, auth.LogInJSONRequestBody{Identifier: a.Username, Password: a.Password})
		if err != nil {
			return "", err
		}
		if resp.JSON200 == nil {
			return "", fmt.Errorf("login: %s", resp.Status())
		}
		return resp.JSON200.SessionToken, nil
	}
	return "", fmt.Errorf("no demo account called patient")
}

// startNothing runs this program again as the handler that does nothing, in a process and a session of its own like
// auth's: Linux shares the processors out by session, so one in ours would be served as a part of the load.
func startNothing(ctx context.Context) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, "nothing")
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return fmt.Sprintf("http://127.0.0.1:%d", port), cmd.Start()
}

func serveNothing() {
	addr := net.JoinHostPort("127.0.0.1", os.Getenv("PORT"))
	err := http.ListenAndServe(addr, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) //nolint:gosec // ends with its parent
	fmt.Fprintln(os.Stderr, "bench:", err)
}

// startTraefik runs a second Traefik with the routes above and returns where it answers.
func startTraefik(ctx context.Context, s *stack.Stack, nothing, idle string) (string, error) {
	instances, err := s.Instances(ctx, "auth")
	if err != nil {
		return "", err
	}
	var servers []string
	for _, url := range instances {
		servers = append(servers, fmt.Sprintf("{ url: %q }", url))
	}
	web, err := freePort()
	if err != nil {
		return "", err
	}
	internal, err := freePort()
	if err != nil {
		return "", err
	}
	dynamic := filepath.Join(s.Dir, "bench-routes.yml")
	static := filepath.Join(s.Dir, "bench-traefik.yml")
	for file, text := range map[string]string{
		dynamic: fmt.Sprintf(routes, internal, strings.Join(servers, ", "), nothing, s.Ports["KRATOS_PUBLIC_PORT"], idle),
		static:  fmt.Sprintf(settings, web, internal, dynamic),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.Root, ".bin", "traefik"), "--configFile="+static)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return fmt.Sprintf("http://127.0.0.1:%d", web), cmd.Start()
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// until tries again until f succeeds or the time is over.
func until(ctx context.Context, most time.Duration, f func() error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = f(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
