package stack

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Secrets are made once for a stack and never leave its state folder. The names are those that
// process-compose.yaml and the templates use.
type Secrets map[string]string

// development marks what our services must refuse in production.
const development = "development-"

// databases has one name for each database with its login role.
var databases = []string{"auth", "appointment", "forum", "mailing", "catalog", "kratos", "hydra"}

func secretNames() []string {
	names := []string{
		"POSTGRES_PASSWORD", "KEY_ENCRYPTION_SECRET", "PSEUDONYM_SECRET", "COURIER_SECRET",
		"KRATOS_COOKIE_SECRET", "KRATOS_CIPHER_SECRET", "HYDRA_SYSTEM_SECRET", "HYDRA_PAIRWISE_SALT",
	}
	for _, db := range databases {
		names = append(names, upper(db)+"_DATABASE_PASSWORD")
	}
	for _, c := range clients {
		names = append(names, upper(c.id)+"_CLIENT_SECRET")
	}
	for _, a := range accounts {
		names = append(names, upper(a.username)+"_PASSWORD")
	}
	return names
}

// loadSecrets reads NAME=value lines and adds the names that are missing.
func loadSecrets(file string) (Secrets, error) {
	s := Secrets{}
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			s[name] = value
		}
	}
	before := len(s)
	for _, name := range secretNames() {
		if s[name] == "" {
			s[name] = newSecret(name)
		}
	}
	if len(s) == before {
		return s, nil
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&out, "%s=%s\n", name, s[name])
	}
	// Renamed into place: half a file would change passwords that databases already know.
	if err := os.WriteFile(file+".new", []byte(out.String()), 0o600); err != nil {
		return nil, explain("cannot write "+file, err)
	}
	return s, os.Rename(file+".new", file)
}

func newSecret(name string) string {
	switch {
	case name == "KRATOS_CIPHER_SECRET": // exactly 32 bytes: the key of XChaCha20
		return development + rand.Text()[:32-len(development)]
	case strings.HasSuffix(name, "_PASSWORD") && !strings.Contains(name, "DATABASE") && name != "POSTGRES_PASSWORD":
		return strings.ToLower(rand.Text()[:12]) // people type these
	}
	return development + rand.Text() + rand.Text()
}

func upper(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }
