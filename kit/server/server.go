// Package server runs one service as a process: configuration, telemetry, health,
// registration and a graceful stop.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/healthe/healthe/kit/config"
	"github.com/healthe/healthe/kit/identity"
	"github.com/healthe/healthe/kit/registry"
	"github.com/healthe/healthe/kit/telemetry"
	"github.com/healthe/healthe/openapi/problem"
)

const (
	readyTimeout = 2 * time.Second
	seenTimeout  = 1500 * time.Millisecond // until Traefik has seen that an instance is off the list
	stopTimeout  = 20 * time.Second

	headerTimeout = 5 * time.Second
)

// Config is what every service reads from the environment; each embeds it in its own.
type Config struct {
	Env           string        `env:"HEALTHE_ENV" envDefault:"development"` // or production
	Host          string        `env:"HOST" envDefault:"127.0.0.1"`
	Port          int           `env:"PORT" envDefault:"0"`          // 0: any free one
	InternalPort  int           `env:"INTERNAL_PORT" envDefault:"0"` // metrics
	AdvertiseHost string        `env:"ADVERTISE_HOST" envDefault:"127.0.0.1"`
	EtcdEndpoints []string      `env:"ETCD_ENDPOINTS"`        // none: not registered
	PublicURL     string        `env:"PUBLIC_URL,required"`   // how clients reach the platform
	InternalURL   string        `env:"INTERNAL_URL,required"` // Traefik's entry point for services
	TokenURL      string        `env:"TOKEN_URL"`             // Hydra, for the service's own credentials
	ClientID      string        `env:"CLIENT_ID"`
	ClientSecret  config.Secret `env:"CLIENT_SECRET"`
	LogLevel      slog.Level    `env:"LOG_LEVEL" envDefault:"INFO"`
}

// Base makes a Config that is embedded reachable to Main.
func (c Config) Base() Config { return c }

// Verifier checks the identities of this process's callers.
func (c Config) Verifier() *identity.Verifier {
	return identity.NewVerifier(c.InternalURL+"/auth/v1/jwks.json", &http.Client{Transport: telemetry.Transport{Base: http.DefaultTransport}})
}

// Neighbours returns the client with which this service calls others at InternalURL, as
// itself, with scopes.
func (c Config) Neighbours(scopes ...string) *http.Client {
	own := identity.ServiceCredentials{
		TokenURL: c.TokenURL, ExchangeURL: c.InternalURL + "/auth/internal/verify",
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), Scopes: scopes,
	}
	return &http.Client{Transport: own.Transport(telemetry.Transport{Base: http.DefaultTransport})}
}

// Service is what a service's New returns.
type Service struct {
	Handler    http.Handler
	Ready      func(context.Context) error   // nil error: can do its work
	Background []func(context.Context) error // each runs until its context ends
	Close      func()                        // after everything has stopped; may be nil
}

// Main runs the service called name until the process is told to stop.
func Main[C interface{ Base() Config }](name string, build func(context.Context, C) (*Service, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, name, build); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run[C interface{ Base() Config }](ctx context.Context, name string, build func(context.Context, C) (*Service, error)) error {
	full, err := config.Parse[C]()
	if err != nil {
		return err
	}
	cfg := full.Base()
	instance := strings.ToLower(rand.Text()[:10])
	metrics, flush, err := telemetry.Setup(ctx, name, instance, cfg.LogLevel)
	if err != nil {
		return err
	}
	svc, err := build(ctx, full)
	if err != nil {
		return err
	}
	if svc.Close != nil {
		defer svc.Close()
	}
	defer func() { _ = flush(context.WithoutCancel(ctx)) }()
	debug.FreeOSMemory() // reading the contracts takes several times what is left of them
	return svc.serve(ctx, cfg, registry.Instance{Service: name, ID: instance}, metrics)
}

// serve listens, registers, and on the end of ctx undoes that in the order that loses no request.
func (s *Service) serve(ctx context.Context, cfg Config, self registry.Instance, metrics http.Handler) error {
	public, publicURL, err := listen(cfg, cfg.Port)
	if err != nil {
		return err
	}
	internal, metricsURL, err := listen(cfg, cfg.InternalPort)
	if err != nil {
		return err
	}
	self.URL, self.MetricsURL = publicURL, metricsURL+"/metrics"
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	api := &http.Server{
		Handler: s.routes(life), ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout + headerTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), lifeKey{}, life)
		},
	}
	inner := http.NewServeMux()
	inner.Handle("GET /metrics", metrics)
	own := &http.Server{Handler: inner, ReadHeaderTimeout: headerTimeout}

	work, stopWork := context.WithCancel(context.WithoutCancel(ctx)) // goes on while requests drain
	defer stopWork()
	var background sync.WaitGroup
	start := func(ctx context.Context, f func(context.Context) error) {
		background.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				end(err)
			}
		})
	}
	for _, f := range s.Background {
		start(work, f)
	}
	start(work, func(context.Context) error { return api.Serve(public) })
	start(work, func(context.Context) error { return own.Serve(internal) })
	slog.InfoContext(ctx, "listening", "url", self.URL, "metrics", self.MetricsURL)
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		if len(cfg.EtcdEndpoints) > 0 {
			s.register(life, cfg.EtcdEndpoints, self)
		}
	}()

	<-life.Done()
	slog.InfoContext(ctx, "stopping")
	<-registered
	if len(cfg.EtcdEndpoints) > 0 {
		time.Sleep(seenTimeout)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(api.Shutdown(drain), own.Shutdown(drain))
	stopWork()
	background.Wait()
	if cause := context.Cause(life); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

type lifeKey struct{}

// Life returns a context that ends when the instance that serves ctx begins to stop. A request may finish; a stream must end.
func Life(ctx context.Context) context.Context {
	if life, ok := ctx.Value(lifeKey{}).(context.Context); ok {
		return life
	}
	return context.Background()
}

// register waits until the service is ready, then keeps it listed until ctx ends.
func (s *Service) register(ctx context.Context, endpoints []string, self registry.Instance) {
	for s.ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := registry.Register(ctx, endpoints, self); err != nil {
		slog.WarnContext(ctx, "left without taking itself off the registry", "error", err)
	}
}

func (s *Service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if s.Ready == nil {
		return nil
	}
	return s.Ready(ctx)
}

// routes adds to the service's own paths what every instance answers: /livez says that the
// process runs, /readyz that it can do its work and is not stopping. A ServeMux would redirect
// paths that are not clean, before the contract can refuse them.
func (s *Service) routes(life context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez":
		case "/readyz":
			if err := cmp.Or(life.Err(), s.ready(r.Context())); err != nil && r.Context().Err() == nil {
				problem.Write(w, r, problem.Unavailable("The service").Because(err))
			}
		default:
			s.Handler.ServeHTTP(w, r)
		}
	})
}

func listen(cfg Config, port int) (net.Listener, string, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(port)))
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen: %w", err)
	}
	bound := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	return ln, "http://" + net.JoinHostPort(cfg.AdvertiseHost, bound), nil
}
