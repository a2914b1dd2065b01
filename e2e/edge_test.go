package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// overTLS is the same caller at the TLS entry point, trusting the stack's certificate and no other.
func (c caller) overTLS(t *testing.T) *caller {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(c.p.Dir, "config", "localhost.crt"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport := c.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	c.client = &http.Client{Transport: transport, Timeout: callLimit, CheckRedirect: c.client.CheckRedirect}
	c.base = fmt.Sprintf("https://localhost:%d", c.p.Ports["WEBSECURE_PORT"])
	return &c
}

// listening finds the addresses on which this machine listens, by port.
func listening(t *testing.T) map[int][]string {
	t.Helper()
	found := map[int][]string{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // without IPv6
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != "0A" {
				continue
			}
			address, port, _ := strings.Cut(fields[1], ":")
			raw, err := hex.DecodeString(address)
			require.NoError(t, err)
			for i := 0; i+4 <= len(raw); i += 4 { // words of the machine's own order
				binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
			}
			n, err := strconv.ParseInt(port, 16, 32)
			require.NoError(t, err)
			found[int(n)] = append(found[int(n)], net.IP(raw).String())
		}
	}
	return found
}

// one error contract, also where nothing of ours answered.
func TestUnknownPathsAreProblems(t *testing.T) {
	t.Parallel()

	nobody := shared(t).visitor()
	for _, path := range []string{
		"/", "/nowhere", "/appointment", "/appointment/v1/nothing", "/appointment/v2/clinics", "/appointment/v1/appointment/v1/clinics", // ZUUL-4
		"/appointment/readyz", "/readyz", "/livez", "/metrics", "/ping", "/api/rawdata", "/dashboard/", // X-9, ZUUL-2
		"/auth/internal/verify", "/auth/v1/../internal/verify", "/auth/v1/users/00000000-0000-4000-8000-000000000000/contact",
		"/mailing/v1/courier", "/kratos/admin/identities", "/admin/identities", "/admin/clients", "/admin/oauth2/introspect", "/oauth2/../admin/clients",
		"/appointment/v1/%2e%2e/internal/", "/static/../login/x", "/.git/config", "/a%00b",
	} {
		got := nobody.get(t, path)
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest}, got.StatusCode, "%s", got)
		_, err := got.problem()
		require.NoError(t, err, "%s", got)
	}
}

// X-9, ZUUL-6
func TestARateLimitAnswers429(t *testing.T) {
	t.Parallel()

	p := shared(t)
	hasty := p.visitor()
	passed, refused := 0, 0
	for range 400 { // ten in a second, a hundred at once
		got := hasty.get(t, "/.well-known/openid-configuration")
		if got.StatusCode == http.StatusOK {
			passed++
			continue
		}
		got.refused(t, http.StatusTooManyRequests)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
		if refused++; refused == 3 {
			break
		}
	}
	require.GreaterOrEqual(t, passed, 90)
	require.Positive(t, refused, "after %d", passed)
	p.visitor().get(t, "/.well-known/openid-configuration").wants(t, http.StatusOK) // somebody else does not notice
}

// ZUUL-6: whatever answers, and whatever it says.
func TestEveryAnswerIsSafeForBrowsers(t *testing.T) {
	t.Parallel()

	p := shared(t)
	plain := p.visitor()
	for scheme, nobody := range map[string]*caller{"http": plain, "https": plain.overTLS(t)} {
		for path, status := range map[string]int{
			"/appointment/v1/clinics": http.StatusOK, me: http.StatusUnauthorized, "/login": http.StatusOK, "/static/auth.css": http.StatusOK,
			"/appointment/v1/nothing": http.StatusNotFound, "/.well-known/openid-configuration": http.StatusOK, "/userinfo": http.StatusUnauthorized,
			"/nowhere": http.StatusNotFound,
		} {
			got := nobody.get(t, path).wants(t, status)
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
				"Permissions-Policy": "camera=(), microphone=(), geolocation=()",
			} {
				require.Equal(t, []string{want}, got.Header.Values(name), "%s %s %s", scheme, path, name)
			}
			require.Equal(t, scheme == "https", got.Header.Get("Strict-Transport-Security") != "", "%s %s", scheme, path)
			for _, name := range []string{"Server", "X-Powered-By", "X-Healthe-Identity", "Access-Control-Allow-Origin"} { // ZUUL-5, X-17
				require.Empty(t, got.Header.Values(name), "%s %s %s", scheme, path, name)
			}
		}
	}
}

// ZUUL-6
func TestTheTLSEntryPointServesTheSame(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	got := ada.overTLS(t).get(t, me).wants(t, http.StatusOK)
	require.Equal(t, ada.id, got.id(t))
	require.GreaterOrEqual(t, got.TLS.Version, uint16(tls.VersionTLS12))
	require.Equal(t, "healthe development", got.TLS.PeerCertificates[0].Subject.CommonName)
	require.NoError(t, got.TLS.PeerCertificates[0].VerifyHostname("localhost"))
}

// one identifier leads from the client's answer through every log.
func TestARequestKeepsItsIdentifier(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.person(t)
	for _, path := range []string{me, "/appointment/v1/clinics", "/appointment/v1/nothing", "/nowhere", "/login", "/.well-known/openid-configuration"} {
		mine := unique("e2e-request")
		require.Equal(t, []string{mine}, ada.get(t, path, header("X-Request-Id", mine)).Header.Values("X-Request-Id"), path)
		made := ada.get(t, path).Header.Values("X-Request-Id")
		require.Len(t, made, 1, path)
		require.GreaterOrEqual(t, len(made[0]), 8, path)
		bad := `x" onerror`
		require.NotContains(t, ada.get(t, path, header("X-Request-Id", bad)).Header.Get("X-Request-Id"), `"`, path)
	}

	mine := unique("e2e-request")
	ada.get(t, "/appointment/v1/clinics?limit=7", header("X-Request-Id", mine)).wants(t, http.StatusOK)
	for _, log := range []string{"access.log", "catalog.log*", "appointment.log*"} {
		eventually(t, "in "+log, patience, func() (bool, string) {
			lines := grep(t, filepath.Join(p.Dir, "logs"), log, mine)
			return len(lines) > 0, log
		})
	}
}

// ZUUL-6: logs are for machines to read and hold nothing that is not theirs.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()

	p := shared(t)
	ada := p.patient(t)
	mine, secret := unique("e2e-request"), unique("secret")
	id := header("X-Request-Id", mine)
	ada.get(t, "/appointment/v1/doctors?name="+secret, id).wants(t, http.StatusOK)
	ada.get(t, "/appointment/v1/doctors?name="+secret, id, header("Cookie", "healthe_session="+secret), header("Authorization", "Bearer "+secret), header("X-Session-Token", secret))
	ada.post(t, "/auth/v1/login", map[string]string{"identifier": secret, "password": secret}, id).refused(t, http.StatusUnauthorized)
	ada.post(t, "/auth/v1/role-requests", map[string]string{"role": "doctor", "licence_number": secret}, id).wants(t, http.StatusCreated)
	ada.do(t, http.MethodPut, "/appointment/v1/me/patient", map[string]any{
		"name": secret, "phone": "+491701234599", "birth_date": "1977-01-23", "gender": "female",
		"insurance": map[string]string{"provider": secret, "number": secret},
	}, id).wants(t, http.StatusOK)
	ada.do(t, http.MethodPut, "/appointment/v1/me/patient", map[string]any{"name": secret, "phone": secret, "wrong": secret}, id).refused(t, http.StatusBadRequest)

	logs := filepath.Join(p.Dir, "logs")
	var lines []string
	eventually(t, "six requests in the access log", patience, func() (bool, string) {
		lines = slices.DeleteFunc(grep(t, logs, "access.log", mine), func(l string) bool { return !strings.Contains(l, `"entryPointName":"web"`) })
		return len(lines) >= 6, fmt.Sprint(lines)
	})
	for _, line := range lines {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		require.NotContains(t, line, "name=")
		require.Contains(t, fields, "DownstreamStatus")
	}
	for _, hidden := range []string{secret, ada.token, ada.password, "+491701234599", "1977-01-23"} {
		require.Empty(t, grep(t, logs, "*.log*", hidden), "%q is in a log", hidden)
	}
}

// grep finds the lines of log files that hold text.
func grep(t *testing.T, dir, pattern, text string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	var found []string
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<22)
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				found = append(found, filepath.Base(file)+": "+lines.Text())
			}
		}
		_ = f.Close()
	}
	if pattern == "access.log" {
		for i := range found {
			found[i] = strings.TrimPrefix(found[i], "access.log: ")
		}
	}
	return found
}
