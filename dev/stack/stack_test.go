package stack

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// wantFault checks that err is in words for a person, and names each of parts.
func wantFault(t *testing.T, err error, parts ...string) {
	t.Helper()
	if _, ok := errors.AsType[Fault](err); !ok {
		t.Fatalf("no fault with a remedy: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()

	t.Run("free ones are all different and kept", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "ports")
		first, err := loadPorts(file, true)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for name, port := range first {
			if seen[port] || port == 0 {
				t.Errorf("%s has port %d", name, port)
			}
			seen[port] = true
		}
		again, err := loadPorts(file, true)
		if err != nil || again["WEB_PORT"] != first["WEB_PORT"] {
			t.Errorf("%v: %v became %v", err, first, again)
		}
	})

	t.Run("a taken one is named with its holder and the remedy", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		port := ln.Addr().(*net.TCPAddr).Port
		err = Ports{"WEB_PORT": port}.check()
		wantFault(t, err, strconv.Itoa(port), "HEALTHE_WEB_PORT=", "process "+strconv.Itoa(os.Getpid()))
	})
}

func TestPortsFollowTheEnvironment(t *testing.T) {
	t.Setenv("HEALTHE_WEB_PORT", "18080")
	ports, err := loadPorts(filepath.Join(t.TempDir(), "ports"), false)
	if err != nil || ports["WEB_PORT"] != 18080 {
		t.Errorf("%v %v", ports, err)
	}
	t.Setenv("HEALTHE_WEB_PORT", "eighty")
	_, err = loadPorts(filepath.Join(t.TempDir(), "ports"), false)
	wantFault(t, err, "HEALTHE_WEB_PORT=eighty")
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	first, err := loadSecrets(file)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("are made once", func(t *testing.T) {
		t.Parallel()
		again, err := loadSecrets(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range first {
			if again[name] != value {
				t.Errorf("%s changed", name)
			}
		}
	})

	t.Run("are for their owner alone", func(t *testing.T) {
		t.Parallel()
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	})

	t.Run("say that they are for development", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"KEY_ENCRYPTION_SECRET", "PSEUDONYM_SECRET", "COURIER_SECRET", "AUTH_CLIENT_SECRET", "MAILING_DATABASE_PASSWORD"} {
			if !strings.HasPrefix(first[name], development) {
				t.Errorf("%s does not", name)
			}
		}
	})

	t.Run("have the length that Kratos wants", func(t *testing.T) {
		t.Parallel()
		if n := len(first["KRATOS_CIPHER_SECRET"]); n != 32 {
			t.Errorf("%d bytes", n)
		}
	})
}

func TestExpand(t *testing.T) {
	t.Parallel()
	out, err := expand([]byte("a: ${A}\nb: $.traits ${b} $A"), map[string]string{"A": "1"})
	if err != nil || string(out) != "a: 1\nb: $.traits ${b} $A" {
		t.Errorf("%s %v", out, err)
	}
	if _, err := expand([]byte("${A} ${MISSING}"), map[string]string{"A": "1"}); err == nil || !strings.Contains(err.Error(), "MISSING") {
		t.Errorf("an unknown variable is let through: %v", err)
	}
}

func TestAnotherCloneIsNamed(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	other := &Stack{Root: "/elsewhere", Dir: t.TempDir(), cache: cache}
	mine := &Stack{Root: "/here", Dir: t.TempDir(), cache: cache}
	other.claim()
	if err := mine.checkOtherClones(t.Context()); err != nil {
		t.Errorf("a stack that has died is in the way: %v", err)
	}
	ln, err := net.Listen("unix", other.socket())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	wantFault(t, mine.checkOtherClones(t.Context()), "/elsewhere", "./task down")
	if err := other.checkOtherClones(t.Context()); err != nil {
		t.Errorf("a stack is in its own way: %v", err)
	}
	mine.unclaim() // is not ours to take back
	if _, ok := mine.readClaim(); !ok {
		t.Error("another clone's record is gone")
	}
}

func TestTwoStartsAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock(file)
	wantFault(t, err, "Wait")
	unlock()
	unlock, err = lock(file)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestAFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	wantFault(t, explain("cannot write it", os.WriteFile("/dev/full", []byte("x"), 0o600)), "disk is full", "Free some space")
	wantFault(t, needSpace(t.TempDir(), 1<<62), "MiB left")
	wantFault(t, explainGo("kratos", "link: write: no space left on device"), "disk is full")
}

// tinyModule is a module that needs one small dependency.
func tinyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module tiny\n\ngo 1.26.0\n\nrequire rsc.io/quote v1.5.2\n",
		"main.go": "package main\n\nimport _ \"rsc.io/quote\"\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNoNetworkIsNamed(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"proxy turned off":  {"GOPROXY=off"},
		"proxy unreachable": {"GOPROXY=http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Stack{Root: "/", progress: silent{}, goEnv: append(env, "GOMODCACHE="+t.TempDir(), "GONOSUMDB=*", "GOFLAGS=-mod=mod")}
			err := s.goRun(t.Context(), tinyModule(t), "tiny", "mod", "download")
			wantFault(t, err, "tiny", "GOPROXY", "network")
		})
	}
}

func TestEachRoleReachesItsOwnDatabaseAlone(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Root: t.TempDir(), Dir: t.TempDir(), FreePorts: true})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := s.TestPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.WithoutCancel(t.Context())) })
	s.Ports["POSTGRES_PORT"] = int(admin.Config().Port)
	for range 2 { // safe to repeat
		if err := s.createDatabases(t.Context(), admin); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range databases {
		own, err := pgx.ParseConfig(s.DatabaseURL(role))
		if err != nil {
			t.Fatal(err)
		}
		for _, database := range append([]string{"postgres", "template1"}, databases...) {
			cfg := own.Copy()
			cfg.Database = database
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err == nil {
				_ = conn.Close(t.Context())
			}
			if (err == nil) != (role == database) {
				t.Errorf("%s connecting to %s: %v", role, database, err)
			}
		}
		own.Password = "wrong"
		if conn, err := pgx.ConnectConfig(t.Context(), own); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%s connects with any password", role)
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	s := &Stack{Root: t.TempDir()}
	for _, dir := range []string{"toys/cmd/toys", "toys/cmd/seed", "kit"} {
		if err := os.MkdirAll(filepath.Join(s.Root, "services", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if found := s.Services(); len(found) != 1 || found[0] != "toys" {
		t.Errorf("%v", found)
	}
}
