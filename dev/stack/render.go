package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Vars is what process-compose.yaml and the templates in ory/ and traefik/ may name as ${VAR}.
func (s *Stack) Vars() map[string]string {
	vars := map[string]string{
		"STACK_DIR": s.Dir, "STACK_ROOT": s.Root, "STACK_CONFIG": s.path("config"), "STACK_LOGS": s.path("logs"),
		"PUBLIC_URL":     fmt.Sprintf("http://localhost:%d", s.Ports["WEB_PORT"]),
		"INTERNAL_URL":   s.InternalURL(),
		"POSTGRES_FSYNC": "on", "RATE_LIMIT": "100", "RATE_LIMIT_LOGIN": "10",
	}
	for name, port := range s.Ports {
		vars[name] = strconv.Itoa(port)
	}
	maps.Copy(vars, s.Secrets)
	for _, db := range databases {
		vars[upper(db)+"_DATABASE_URL"] = s.DatabaseURL(db)
	}
	maps.Copy(vars, s.env)
	return vars
}

// Env is Vars in the form that a process takes.
func (s *Stack) Env() []string {
	vars := s.Vars()
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

func (s *Stack) setEnv(name, value string) {
	if s.env == nil {
		s.env = map[string]string{}
	}
	s.env[name] = value
}

// PublicURL is where clients reach the platform.
func (s *Stack) PublicURL() string { return s.Vars()["PUBLIC_URL"] }

// InternalURL is Traefik's entry point for services.
func (s *Stack) InternalURL() string { return s.local("WEB_INTERNAL_PORT") }

// MailURL is Mailpit's API.
func (s *Stack) MailURL() string { return s.local("MAILPIT_PORT") }

func (s *Stack) local(port string) string { return fmt.Sprintf("http://%s:%d", host, s.Ports[port]) }

// DatabaseURL is how the role called name reaches its database; postgres is the superuser.
func (s *Stack) DatabaseURL(name string) string {
	password := s.Secrets[upper(name)+"_DATABASE_PASSWORD"]
	if name == "postgres" {
		password = s.Secrets["POSTGRES_PASSWORD"]
	}
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", name, password, host, s.Ports["POSTGRES_PORT"], name)
}

// Services lists the services that are in the tree.
func (s *Stack) Services() []string {
	mains, _ := filepath.Glob(filepath.Join(s.Root, "services", "*", "cmd", "*"))
	var names []string
	for _, dir := range mains {
		if name := filepath.Base(dir); name == filepath.Base(filepath.Dir(filepath.Dir(dir))) { // no tool of a service
			names = append(names, name)
		}
	}
	return names
}

var placeholder = regexp.MustCompile(`\$\{[A-Z0-9_]+\}`)

// expand replaces ${VAR}; any other $ stays, because Jsonnet and regular expressions have theirs.
func expand(text []byte, vars map[string]string) ([]byte, error) {
	var unknown error
	out := placeholder.ReplaceAllFunc(text, func(m []byte) []byte {
		value, ok := vars[string(m[2:len(m)-1])]
		if !ok {
			unknown = errors.Join(unknown, fmt.Errorf("unknown variable %s", m))
		}
		return []byte(value)
	})
	return out, unknown
}

// render writes ory/ and traefik/traefik.yml with their variables replaced. traefik/dynamic is read where
// it lies: Traefik expands it itself, and takes up changes at once.
func (s *Stack) render() error {
	vars := s.Vars()
	for _, part := range []string{"ory", "traefik/traefik.yml"} {
		err := filepath.WalkDir(filepath.Join(s.Root, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(s.Root, path)
			out, err := expand(text, vars)
			if err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
			to := s.path("config", rel)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			return os.WriteFile(to, out, 0o600)
		})
		if err != nil {
			return explain("cannot write the configuration", err)
		}
	}
	return nil
}

// makeCertificate makes the certificate of the TLS entry point, once, for localhost only.
func (s *Stack) makeCertificate() error {
	certFile, keyFile := s.path("config", "localhost.crt"), s.path("config", "localhost.key")
	if pair, err := os.ReadFile(certFile); err == nil {
		if block, _ := pem.Decode(pair); block != nil {
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil && time.Now().Before(cert.NotAfter.AddDate(0, 0, -7)) {
				return nil
			}
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "healthe development"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(host), net.IPv6loopback},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
	)
}
