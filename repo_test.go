// Package healthe holds no code, only the rules of the repository, as tests.
package healthe

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/healthe/healthe/"

// mayImport lists what each part of the tree may import from the rest of it. A part also
// imports itself; what is in a service's internal folder, nobody else can.
var mayImport = map[string]*regexp.Regexp{
	"openapi":  regexp.MustCompile(`^$`),
	"kit":      regexp.MustCompile(`^openapi(/problem)?$`),
	"kittest":  regexp.MustCompile(`^kit/`),
	"db":       regexp.MustCompile(`^kit/(config|postgres)$`),
	"mail":     regexp.MustCompile(`^openapi/mailing$`),
	"services": regexp.MustCompile(`^(kit/|openapi(/|$)|db(/broadcast)?$|mail$)`),
	"sdk":      regexp.MustCompile(`^openapi/`),
	"dev":      regexp.MustCompile(`^openapi(/|$)`),
	"chaos":    regexp.MustCompile(`^(dev|openapi)(/|$)`),
	"e2e":      regexp.MustCompile(`^(dev|sdk/go|openapi|kit/(identity|config))(/|$)`),
	"bench":    regexp.MustCompile(`^(dev|sdk/go|openapi|kit|db|services)(/|$)`),
}

var mayImportInTests = regexp.MustCompile(`^(kittest/.*|db/dbtest|bench/ratio)$`)

type pkg struct {
	Dir, ImportPath, Name, Doc                                     string
	GoFiles, TestGoFiles, Imports, TestImports, XTestImports, Deps []string
}

func TestImports(t *testing.T) {
	t.Parallel()

	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		part, _, _ := strings.Cut(path, "/")
		rule, ok := mayImport[part]
		if !ok {
			continue
		}
		own := part
		if part == "services" { // no service imports another
			own = strings.Join(strings.SplitN(path, "/", 3)[:2], "/")
		}
		check := func(imports []string, extra *regexp.Regexp) {
			for _, imp := range imports {
				imp, inRepo := strings.CutPrefix(imp, module)
				switch {
				case !inRepo, rule.MatchString(imp), extra != nil && extra.MatchString(imp), imp == own, strings.HasPrefix(imp, own+"/"):
				default:
					t.Errorf("%s must not import %s", path, imp)
				}
			}
		}
		check(p.Imports, nil)
		check(slices.Concat(p.TestImports, p.XTestImports), mayImportInTests)
	}
}

// TestBinariesHoldNoTestCode is about what runs in production. The developers' tools link
// embedded-postgres, which imports testing itself.
func TestBinariesHoldNoTestCode(t *testing.T) {
	t.Parallel()

	for _, p := range list(t) {
		if p.Name != "main" || !strings.HasPrefix(p.ImportPath, module+"services/") {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "testing" || strings.Contains(dep, "/testify") {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()

	for _, p := range list(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 && !generated(p) {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestKitStaysSmall(t *testing.T) {
	t.Parallel()

	lines := 0
	for _, p := range list(t) {
		if strings.HasPrefix(p.ImportPath, module+"kit/") {
			for _, f := range p.GoFiles {
				b, err := os.ReadFile(filepath.Join(p.Dir, f))
				if err != nil {
					t.Fatal(err)
				}
				lines += bytes.Count(b, []byte("\n"))
			}
		}
	}
	if limit := 2000; lines > limit {
		t.Errorf("kit has %d lines, more than %d: move something back into a service", lines, limit)
	}
	t.Logf("kit has %d lines", lines)
}

// TestOneNameEverywhere finds each service under its one name in every place that has to know it.
func TestOneNameEverywhere(t *testing.T) {
	t.Parallel()

	dirs, err := filepath.Glob("services/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no services", err)
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		paths := []string{
			dir + "/go.mod", dir + "/" + name + ".go", dir + "/handler.go", dir + "/cmd/" + name + "/main.go",
			"openapi/" + name + ".yaml", "openapi/" + name + "/" + name + ".gen.go", "traefik/dynamic/" + name + ".yml",
		}
		files := []string{"go.work", "README.md", "process-compose.yaml"}
		if _, err := os.Stat(dir + "/internal/store"); err == nil { // it has data of its own
			paths = append(paths, "db/migrations/"+name, "db/queries/"+name)
			files = append(files, "db/sqlc.yaml")
		}
		for _, path := range paths {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("service %s lacks %s", name, path)
			}
		}
		for _, file := range files {
			if b, _ := os.ReadFile(file); !bytes.Contains(b, []byte(name)) {
				t.Errorf("%s does not mention service %s", file, name)
			}
		}
		contract, _ := os.ReadFile("openapi/" + name + ".yaml")
		for _, path := range regexp.MustCompile(`(?m)^  (/\S+):`).FindAllSubmatch(contract, -1) {
			if !strings.HasPrefix(string(path[1]), "/"+name+"/") {
				t.Errorf("openapi/%s.yaml has the foreign path %s", name, path[1])
			}
		}
	}
}

// TestGoLinesAreEqual leaves out tools/, whose Task asks for a patch release of its own.
func TestGoLinesAreEqual(t *testing.T) {
	t.Parallel()

	out, err := exec.Command("git", "ls-files", "go.work", "*go.mod", ":!tools").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for _, file := range strings.Fields(string(out)) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line := string(regexp.MustCompile(`(?m)^go .*$`).Find(b))
		lines[line] = append(lines[line], file)
	}
	if len(lines) != 1 {
		t.Errorf("go lines differ: %v", lines)
	}
}

var problemSlug = regexp.MustCompile(`problem\.(?:New\([^,]+,\s*|Conflict\(\s*)"([a-z0-9-]+)"|\bNew\(http\.Status\w+, "([a-z0-9-]+)"`)

// TestProblemTypesAreDocumented compares the types in the code with the sections of docs/problems.md.
func TestProblemTypesAreDocumented(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, heading := range regexp.MustCompile("(?m)^### `([a-z0-9-]+)`").FindAllSubmatch(page, -1) {
		documented[string(heading[1])] = true
	}
	used := map[string]bool{}
	for _, p := range list(t) {
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range problemSlug.FindAllSubmatch(b, -1) {
				used[string(m[1])+string(m[2])] = true
			}
		}
	}
	traefik, err := os.ReadFile("third_party/traefik/problem/problem.go") // a module of its own, for Traefik's own failures
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{Type: "([a-z0-9-]+)"`).FindAllSubmatch(traefik, -1) {
		used[string(m[1])] = true
	}
	for slug := range used {
		if !documented[slug] {
			t.Errorf("docs/problems.md does not explain %q", slug)
		}
	}
	for slug := range documented {
		if !used[slug] {
			t.Errorf("docs/problems.md explains %q, which nothing answers", slug)
		}
	}
}

func generated(p pkg) bool {
	b, _ := os.ReadFile(filepath.Join(p.Dir, p.GoFiles[0]))
	return bytes.Contains(b, []byte("DO NOT EDIT"))
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Name,Doc,GoFiles,TestGoFiles,Imports,TestImports,XTestImports,Deps", "work").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}
