// Package orytest runs the real Kratos and Hydra for tests, with the platform's own
// configuration, once for each test binary. The faults of a neighbour are played by a Gateway.
package orytest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Stack is one running Kratos and Hydra.
type Stack struct {
	KratosPublic, KratosAdmin string
	HydraPublic, HydraAdmin   string
	Mail                      *Mail
	// PublicURL is a front that tests may route: the issuer, and where Hydra sends browsers.
	PublicURL string

	front atomic.Pointer[http.Handler]
}

var current *Stack

// Main runs the tests of a package with a stack at hand: func TestMain(m *testing.M) { orytest.Main(m) }.
func Main(m *testing.M) {
	code := 1
	stop, err := start()
	if err == nil {
		code = m.Run()
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of auth need Kratos, Hydra and Postgres:", err)
	}
	os.Exit(code)
}

// Get returns the stack of this test binary.
func Get() *Stack { return current }

// Route makes h answer at PublicURL whatever Hydra does not.
func (s *Stack) Route(h http.Handler) { s.front.Store(&h) }

func start() (stop func(), err error) {
	var undo []func()
	stop = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "orytest")
	if err != nil {
		return stop, err
	}
	undo = append(undo, func() { _ = os.RemoveAll(dir) })

	s := &Stack{Mail: newMail()}
	front := httptest.NewServer(http.HandlerFunc(s.serve))
	undo = append(undo, front.Close)
	s.PublicURL = strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	inner := httptest.NewServer(s.Mail)
	undo = append(undo, inner.Close)

	ports := freePorts(4)
	vars := map[string]string{
		"PUBLIC_URL": s.PublicURL, "INTERNAL_URL": inner.URL, "STACK_CONFIG": dir, "COURIER_SECRET": CourierSecret,
		"KRATOS_PUBLIC_PORT": ports[0], "KRATOS_ADMIN_PORT": ports[1], "HYDRA_PUBLIC_PORT": ports[2], "HYDRA_ADMIN_PORT": ports[3],
		"KRATOS_COOKIE_SECRET": rand.Text() + rand.Text(), "KRATOS_CIPHER_SECRET": (rand.Text() + rand.Text())[:32],
		"HYDRA_SYSTEM_SECRET": rand.Text() + rand.Text(), "HYDRA_PAIRWISE_SALT": rand.Text(),
	}
	root, err := findRoot()
	if err != nil {
		return stop, err
	}
	if err := render(filepath.Join(root, "ory"), filepath.Join(dir, "ory"), vars); err != nil {
		return stop, err
	}
	local := func(i int) string { return "http://127.0.0.1:" + ports[i] }
	s.KratosPublic, s.KratosAdmin, s.HydraPublic, s.HydraAdmin = local(0), local(1), local(2), local(3)
	for _, p := range []program{
		{"kratos", []string{"serve", "--watch-courier"}, s.KratosAdmin + "/admin/health/ready"},
		{"hydra", []string{"serve", "all", "--dev"}, s.HydraAdmin + "/health/ready"},
	} {
		end, err := p.run(ctx, root, dir)
		undo = append(undo, end)
		if err != nil {
			return stop, err
		}
	}
	current = s
	return stop, nil
}

type program struct {
	name  string
	args  []string
	ready string
}

// run migrates the program's database, starts it and waits until it is ready.
func (p program) run(ctx context.Context, root, dir string) (end func(), err error) {
	end = func() {}
	dsn, drop, err := database(ctx, p.name)
	if err != nil {
		return end, err
	}
	end = drop
	bin := filepath.Join(cmp.Or(os.Getenv("HEALTHE_BIN"), filepath.Join(root, ".bin")), p.name)
	config := filepath.Join(dir, "ory", p.name, p.name+".yml")
	env := append(os.Environ(), "DSN="+dsn, "SQA_OPT_OUT=true")
	migrate := exec.CommandContext(ctx, bin, "migrate", "sql", "-e", "--yes", "--config", config) //nolint:gosec // our own
	migrate.Env = env
	if out, err := migrate.CombinedOutput(); err != nil {
		return end, fmt.Errorf("%s migrate: %w\n%s", p.name, err, out)
	}
	log, err := os.Create(filepath.Join(os.TempDir(), "orytest-"+p.name+".log"))
	if err != nil {
		return end, err
	}
	serve := exec.Command(bin, append(p.args, "--config", config)...) //nolint:gosec // our own
	serve.Env, serve.Stdout, serve.Stderr = env, log, log
	serve.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := serve.Start(); err != nil {
		return end, err
	}
	end = func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		_ = serve.Wait()
		_ = log.Close()
		drop()
	}
	return end, waitFor(ctx, p.ready)
}

func waitFor(ctx context.Context, u string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready", u)
		case <-tick.C:
		}
	}
}

func database(ctx context.Context, name string) (dsn string, drop func(), err error) {
	server := cmp.Or(os.Getenv("TEST_DATABASE_URL"), "postgres://postgres:postgres@127.0.0.1:5432/postgres")
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", func() {}, err
	}
	defer conn.Close(ctx)
	name = "test_" + name + "_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", func() {}, err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", func() {}, err
	}
	u.Path = "/" + name
	q := u.Query()
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String(), func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return
		}
		defer conn.Close(ctx)
		_, _ = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}, nil
}

var placeholder = regexp.MustCompile(`\$\{[A-Z0-9_]+\}`)

// render fills in the templates as `./task up` does.
func render(from, to string, vars map[string]string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // our own
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		out := placeholder.ReplaceAllFunc(text, func(m []byte) []byte { return []byte(vars[string(m[2:len(m)-1])]) })
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), out, 0o600)
	})
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.work")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work above the test")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func freePorts(n int) []string {
	var ports []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer ln.Close() // all at once, so that none is given twice
		ports = append(ports, strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// serve is the public front: Hydra's own paths go to it, all others to the handler under test.
func (s *Stack) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/oauth2/") || strings.HasPrefix(r.URL.Path, "/.well-known/") || r.URL.Path == "/userinfo" {
		target, _ := url.Parse(s.HydraPublic)
		proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		}}
		proxy.ServeHTTP(w, r)
		return
	}
	if h := s.front.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// Gateway stands before a neighbour and can be cut.
type Gateway struct {
	URL   string
	cut   atomic.Bool
	Calls atomic.Int64
}

// NewGateway returns a gateway to the server at target.
func NewGateway(t testing.TB, target string) *Gateway {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.Calls.Add(1)
		if g.cut.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler) // the connection breaks
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	g.URL = srv.URL
	return g
}

// Cut breaks the connections from now on, or mends them.
func (g *Gateway) Cut(away bool) { g.cut.Store(away) }
