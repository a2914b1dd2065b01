package stack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// buildFlags make small programs, from which it cannot be told where they were built: so that Go's build
// cache serves every clone and every commit. -v names each package as it is compiled.
var buildFlags = []string{"-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"}

// server is a third-party program that third_party/<name>/go.mod pins.
type server struct {
	name, version string
	pkg           string // the main package
	dir           string // third_party/<name>
	file          string // where the user's cache has it
}

// build makes what is missing: the third-party servers once per version for all clones, our own programs
// in .bin. It returns which of our programs are new.
func (s *Stack) build(ctx context.Context) ([]string, error) {
	bin := filepath.Join(s.Root, ".bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, explain("cannot make "+bin, err)
	}
	servers, err := s.servers()
	if err != nil {
		return nil, err
	}
	var missing []server
	for _, srv := range servers {
		if _, err := os.Stat(srv.file); err != nil {
			missing = append(missing, srv)
		}
	}
	if len(missing) > 0 {
		s.progress.Say("building %d third-party servers from source, once for this machine: up to 12 minutes on two cores", len(missing))
	}
	for i, srv := range missing {
		if err := s.buildServer(ctx, srv, fmt.Sprintf("[%d of %d] %s %s", i+1, len(missing), srv.name, srv.version)); err != nil {
			return nil, err
		}
	}
	for _, srv := range servers {
		if err := link(srv.file, filepath.Join(bin, srv.name)); err != nil {
			return nil, err
		}
	}
	return s.buildOwn(ctx, bin)
}

// servers reads third_party.
func (s *Stack) servers() ([]server, error) {
	files, err := filepath.Glob(filepath.Join(s.Root, "third_party", "*", "go.mod"))
	if err != nil {
		return nil, err
	}
	var all []server
	for _, file := range files {
		srv, err := readServer(file)
		if err != nil {
			return nil, err
		}
		hash, err := hashDir(srv.dir)
		if err != nil {
			return nil, err
		}
		srv.file = filepath.Join(s.cache, "bin", srv.name+"-"+srv.version+"-"+hash)
		all = append(all, srv)
	}
	return all, nil
}

func readServer(file string) (server, error) {
	srv := server{dir: filepath.Dir(file), name: filepath.Base(filepath.Dir(file))}
	b, err := os.ReadFile(file)
	if err != nil {
		return srv, err
	}
	mod, err := modfile.Parse(file, b, nil)
	if err != nil {
		return srv, err
	}
	if len(mod.Tool) != 1 {
		return srv, fmt.Errorf("%s: want one tool line, found %d", file, len(mod.Tool))
	}
	srv.pkg = mod.Tool[0].Path
	for _, r := range mod.Require {
		if srv.pkg == r.Mod.Path || strings.HasPrefix(srv.pkg, r.Mod.Path+"/") {
			srv.version = r.Mod.Version
		}
	}
	return srv, nil
}

// hashDir names a build by all that goes into it: sources, pins and the compiler.
func hashDir(dir string) (string, error) {
	h := sha256.New()
	io.WriteString(h, runtime.Version()+runtime.GOARCH)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(h, "%s %d\n%s", rel, len(b), b)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil))[:8], err
}

func (s *Stack) buildServer(ctx context.Context, srv server, label string) error {
	begun := time.Now()
	dir, args := srv.dir, []string{}
	if srv.name == "traefik" {
		vendored, err := s.vendorTraefik(ctx, srv, label)
		if err != nil {
			return err
		}
		defer os.RemoveAll(vendored)
		dir, args = vendored, []string{"-mod=vendor"}
	}
	// Another clone may build the same at this moment: each has a name of its own until it is whole.
	tmp := fmt.Sprintf("%s.%d", srv.file, os.Getpid())
	defer os.Remove(tmp)
	args = slices.Concat([]string{"build", "-o", tmp}, args, buildFlags, []string{srv.pkg})
	if err := s.goRun(ctx, dir, label, args...); err != nil {
		return err
	}
	if err := os.Rename(tmp, srv.file); err != nil {
		return explain("cannot keep "+srv.file, err)
	}
	s.progress.Say("%s: built in %s", label, since(begun))
	return nil
}

// vendorTraefik lays Traefik's sources out in a folder of their own, without the 150 DNS providers (half of
// the build and of the binary) and with our problem+json handler around each entry point.
func (s *Stack) vendorTraefik(ctx context.Context, srv server, label string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(srv.file), "traefik-build-")
	if err != nil {
		return "", explain("cannot make a build folder", err)
	}
	fail := func(err error) (string, error) {
		_ = os.RemoveAll(dir)
		return "", explain("cannot lay out Traefik's sources", err)
	}
	if err := os.CopyFS(dir, os.DirFS(srv.dir)); err != nil {
		return fail(err)
	}
	if err := s.goRun(ctx, dir, label+": sources", "mod", "vendor"); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	providers := filepath.Join(dir, "vendor/github.com/go-acme/lego/v4/providers/dns/zz_gen_dns_providers.go")
	if err := os.Rename(filepath.Join(dir, "dns_providers.go.txt"), providers); err != nil {
		return fail(err)
	}
	entry := filepath.Join(dir, "vendor/github.com/traefik/traefik/v3/pkg/server/server_entrypoint_tcp.go")
	b, err := os.ReadFile(entry)
	if err != nil {
		return fail(err)
	}
	const anchor, imports = "\thandler = denyFragment(handler)\n", "import (\n"
	if bytes.Count(b, []byte(anchor)) != 1 {
		return fail(fmt.Errorf("%s has changed: find the new place for the problem handler", filepath.Base(entry)))
	}
	b = bytes.Replace(b, []byte(anchor), []byte(anchor+"\thandler = problem.Handler(handler)\n"), 1)
	b = bytes.Replace(b, []byte(imports), []byte(imports+"\t\"github.com/healthe/healthe/third_party/traefik/problem\"\n"), 1)
	if err := os.WriteFile(entry, b, 0o644); err != nil {
		return fail(err)
	}
	return dir, nil
}

// buildOwn builds dev and every service that is there, and tells which binaries have changed.
func (s *Stack) buildOwn(ctx context.Context, bin string) ([]string, error) {
	s.progress.Update("building the services")
	before := map[string]string{}
	args := slices.Concat([]string{"build", "-o", bin + "/"}, buildFlags, []string{"./dev"})
	for _, name := range s.Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
		before[name] = head(filepath.Join(bin, name))
	}
	begun := time.Now()
	if err := s.goRun(ctx, s.Root, "services", args...); err != nil {
		return nil, err
	}
	var rebuilt []string
	for name := range before {
		if head(filepath.Join(bin, name)) != before[name] {
			rebuilt = append(rebuilt, name)
		}
	}
	if len(rebuilt) > 0 {
		s.progress.Say("built %s in %s", strings.Join(rebuilt, ", "), since(begun))
	}
	return rebuilt, nil
}

// goRun runs the go command and shows the packages go by. cgo is off: no C compiler is needed.
func (s *Stack) goRun(ctx context.Context, dir, label string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	workspace := filepath.Join(s.Root, "go.work")
	if dir != s.Root { // pins of its own, not the workspace's
		workspace = "off"
		cmd.Env = append(cmd.Env, "GOFLAGS=")
	}
	cmd.Env = append(append(cmd.Env, "GOWORK="+workspace), s.goEnv...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return Fault{"The go command cannot be run (" + err.Error() + ")", "Install Go 1.26 or later from https://go.dev/dl and put it on PATH."}
	}
	said := s.watch(stderr, label) // to the end, before Wait closes the pipe
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return explainGo(label, said)
	}
	return nil
}

// watch shows how a build gets on until its output ends, and returns the last lines that are no progress.
func (s *Stack) watch(stderr io.Reader, label string) string {
	var (
		output = make(chan string)
		begun  = time.Now()
		tick   = time.NewTicker(500 * time.Millisecond)
		n      int
		now    string
		lines  []string
	)
	defer tick.Stop()
	go func() {
		defer close(output)
		for in := bufio.NewScanner(stderr); in.Scan(); {
			output <- in.Text()
		}
	}()
	for {
		select {
		case <-tick.C:
			s.progress.Update("%s: %s, %s", label, since(begun), now)
		case line, ok := <-output:
			rest, download := strings.CutPrefix(line, "go: downloading ")
			switch {
			case !ok:
				return strings.Join(lines, "\n")
			case download:
				now = "downloading " + rest
			case !strings.ContainsAny(line, " :\t"): // -v prints the path of each package
				n++
				now = fmt.Sprintf("%d packages, now %s", n, line)
			default:
				lines = append(lines[max(0, len(lines)-40):], line)
			}
		}
	}
}

// explainGo turns the go command's words into ours where the remedy is known.
func explainGo(label, said string) error {
	if _, name, counted := strings.Cut(label, "] "); counted { // [1 of 6] etcd
		label = name
	}
	for _, sign := range []string{"no such host", "dial tcp", "connection refused", "i/o timeout", "TLS handshake timeout", "disabled by GOPROXY=off", "proxyconnect", "network is unreachable"} {
		if strings.Contains(said, sign) {
			return Fault{
				"The Go module proxy cannot be reached, and the sources of " + label + " are not all on this machine",
				"Check the network and `go env GOPROXY`, then run the command again; what is built stays built.",
			}
		}
	}
	if strings.Contains(said, "no space left on device") {
		return Fault{"The disk is full: cannot build " + label, "Free 3 GB for Go's caches (`go clean -cache` empties one), then run the command again."}
	}
	return fmt.Errorf("cannot build %s:\n%s", label, said)
}

func link(to, name string) error {
	if have, err := os.Readlink(name); err == nil && have == to {
		return nil
	}
	tmp := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.Symlink(to, tmp); err != nil {
		return explain("cannot link "+name, err)
	}
	return os.Rename(tmp, name)
}

// head is the beginning of a program, which holds its build ID, a hash of all the rest. The time of the
// file says nothing: the go command sets it even when there was nothing to do.
func head(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 32<<10))
	return string(b)
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }
