package archtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the dependency lists")

const module = "catamaran"

// levels orders the packages: a package imports only lower levels.
var levels = map[string]int{
	"api": 0, "atomicfile": 0, "hostpath": 0, "proc": 0, "build": 0, "home": 0, "logfile": 0, "noderange": 0,
	"wsl": 1, "link": 1, "store": 1, "git": 1, "topic": 1, "job": 2, "term": 1, "auth": 1, "loginenv": 1, "forward": 1, "update": 1, "settings": 1, "attachment": 1,
	"doctor": 2, "openin": 2, "stage": 2, "thread": 2, "agent": 2, "checkpoint": 2, "worktree": 3, "review": 3, "file": 2,
	"environment": 3, "engine": 3, "server": 3, "gateway": 3, "shell": 3,
}

// sameLevel lists the imports within one level, each with its reason.
var sameLevel = map[[2]string]string{
	{"engine", "worktree"}:     "threads get working trees of their own",
	{"review", "worktree"}:     "worktrees are listed and removed there",
	{"review", "engine"}:       "ids become folders and turns there",
	{"server", "review"}:       "the server is its door",
	{"server", "engine"}:       "the server is the engine's door: it turns requests into the engine's commands",
	{"gateway", "environment"}: "the gateway is the pool's door: it routes by environment",
	{"home", "api"}:            "errors cross a process boundary",
	{"hostpath", "api"}:        "errors cross a process boundary",
	{"proc", "api"}:            "errors cross a process boundary",
	{"logfile", "api"}:         "errors cross a process boundary",
	{"proc", "hostpath"}:       "paths of the child's own system",
}

// forbidden says what a program must never link.
var forbidden = map[string][]string{
	"catamaran-backend": {"shell", "gateway", "environment", "stage", "wsl"},
	"catamaran":         {"store", "engine", "server", "thread", "agent", "checkpoint"},
}

// powers maps an import path (prefix) to the packages that may use it outside tests.
var powers = map[string][]string{
	"os/exec":               {"internal/proc"},
	"database/sql":          {"internal/store"},
	"modernc.org/sqlite":    {"internal/store"},
	"github.com/fsnotify":   {"internal/git/watch"},
	"github.com/creack/pty": {"internal/term", "internal/wsl/wslsim"},
}

// windowsOwners may make Windows system calls, in files ending _windows.go.
var windowsOwners = []string{"internal/atomicfile", "internal/proc", "internal/term", "internal/auth", "internal/shell", "internal/wsl", "internal/store", "internal/link", "internal/home"}

type pkg struct {
	ImportPath string
	Imports    []string
	Dir        string
	GoFiles    []string
}

func root(t *testing.T) string {
	t.Helper()
	d, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func list(t *testing.T, goos string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Dir,GoFiles"}, args...)...)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v", goos, err)
	}
	var ps []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// top returns the first folder below internal/, "" for anything else.
func top(path string) string {
	rest, ok := strings.CutPrefix(path, module+"/internal/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func isKit(path string) bool {
	last := path[strings.LastIndex(path, "/")+1:]
	return strings.HasSuffix(last, "test") || strings.HasSuffix(last, "sim")
}

var systems = []string{"linux", "windows", "darwin"}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, goos := range systems {
		for _, p := range list(t, goos, "./internal/...", "./cmd/...") {
			from := top(p.ImportPath)
			if from != "" {
				if _, ok := levels[from]; !ok {
					t.Errorf("%s has no level in archtest", p.ImportPath)
				}
			}
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module+"/cmd/") {
					t.Errorf("%s imports the program %s", p.ImportPath, imp)
				}
				to := top(imp)
				if from == "" || to == "" || from == to || isKit(p.ImportPath) {
					continue
				}
				if isKit(imp) {
					t.Errorf("%s imports the test kit %s", p.ImportPath, imp)
				}
				if levels[to] > levels[from] || levels[to] == levels[from] && sameLevel[[2]string{from, to}] == "" {
					t.Errorf("%s (level %d) may not import %s (level %d)", p.ImportPath, levels[from], imp, levels[to])
				}
			}
		}
	}
}

func TestPowersHaveOneOwner(t *testing.T) {
	t.Parallel()
	for _, goos := range systems {
		for _, p := range list(t, goos, "./internal/...", "./cmd/...", "./web/...") {
			dir := strings.TrimPrefix(p.ImportPath, module+"/")
			if isKit(p.ImportPath) {
				continue
			}
			for _, imp := range p.Imports {
				for power, owners := range powers {
					if (imp == power || strings.HasPrefix(imp, power+"/")) && !owned(dir, owners) {
						t.Errorf("%s uses %s, which belongs to %v", dir, power, owners)
					}
				}
			}
			for _, f := range p.GoFiles {
				checkFile(t, dir, filepath.Join(p.Dir, f))
			}
		}
	}
}

func owned(dir string, owners []string) bool {
	return slices.ContainsFunc(owners, func(o string) bool { return dir == o || strings.HasPrefix(dir, o+"/") })
}

func checkFile(t *testing.T, dir, path string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range f.Imports {
		p := strings.Trim(imp.Path.Value, `"`)
		if strings.HasPrefix(p, "golang.org/x/sys/windows") || p == "github.com/Microsoft/go-winio" {
			if !strings.HasSuffix(path, "_windows.go") || !owned(dir, windowsOwners) {
				t.Errorf("%s makes Windows calls; they belong in _windows.go files of %v", path, windowsOwners)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && !owned(dir, []string{"internal/wsl", "cmd/wslsim"}) {
			v := strings.Trim(lit.Value, "\"`")
			if v == "wsl.exe" || strings.HasSuffix(v, `\wsl.exe`) || strings.HasSuffix(v, `/wsl.exe`) {
				t.Errorf("%s: %s: only package wsl names the program wsl.exe", fset.Position(lit.Pos()), v)
			}
		}
		return true
	})
}

func TestEachDirectorySaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "linux", "./...") {
		found := false
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			found = found || file.Doc != nil
		}
		if !found && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestProgramsLinkOnlyWhatIsListed compares what each program links, over all
// systems, with a checked-in list: a new dependency is a decision, not an accident.
func TestProgramsLinkOnlyWhatIsListed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join(root(t), "cmd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		seen := map[string][]string{}
		for _, goos := range systems {
			if name == "wslsim" && goos == "darwin" || name == "catamaran-console" && goos != "windows" {
				continue
			}
			for _, p := range list(t, goos, "-deps", "./cmd/"+name) {
				first, _, _ := strings.Cut(p.ImportPath, "/")
				if !strings.Contains(first, ".") && first != module || strings.HasPrefix(p.ImportPath, "vendor/") {
					continue
				}
				seen[p.ImportPath] = append(seen[p.ImportPath], goos)
				if f := top(p.ImportPath); slices.Contains(forbidden[name], f) {
					t.Errorf("%s links %s on %s", name, p.ImportPath, goos)
				}
			}
		}
		var b strings.Builder
		fmt.Fprintf(&b, "# What %s links beyond the standard library, and on which systems. Rewrite with: go test ./tools/archtest -update\n", name)
		keys := make([]string, 0, len(seen))
		for k := range seen {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			fmt.Fprintf(&b, "%s %s\n", k, strings.Join(seen[k], ","))
		}
		path := filepath.Join("testdata", name+".deps")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != b.String() {
			t.Errorf("%s links something else than %s says; if it is meant, run go test ./tools/archtest -update and commit.\n%s", name, path, diff(string(want), b.String()))
		}
	}
}

func diff(a, b string) string {
	in := func(s string) map[string]bool {
		m := map[string]bool{}
		for l := range strings.Lines(s) {
			m[l] = true
		}
		return m
	}
	var out strings.Builder
	am, bm := in(a), in(b)
	for l := range strings.Lines(a) {
		if !bm[l] {
			out.WriteString("- " + l)
		}
	}
	for l := range strings.Lines(b) {
		if !am[l] {
			out.WriteString("+ " + l)
		}
	}
	return out.String()
}

// TestTreeNamesNoBuildMachine keeps paths of a build machine, registry hosts in lock files and unfinished words out of the tree.
func TestTreeNamesNoBuildMachine(t *testing.T) {
	t.Parallel()
	r := root(t)
	words := []string{"/wo" + "rk/", "/far" + "m/", "registry." + "npmjs", "proxy." + "golang.org", "TO" + "DO", "FIX" + "ME", "X" + "XX:"}
	err := filepath.WalkDir(r, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(r, path)
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "bin", "dist", "out":
				return filepath.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > 2<<20 {
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".ts", ".svelte", ".css", ".md", ".json", ".mod", ".sh", ".html", ".txtar", "":
		default:
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range words {
			if i := strings.Index(string(b), w); i >= 0 {
				// A path below something else (/home/dev/work/) is no path of a build machine.
				if strings.HasPrefix(w, "/") && i > 0 && b[i-1] != '"' && b[i-1] != ' ' && b[i-1] != '`' && b[i-1] != '\n' {
					continue
				}
				t.Errorf("%s contains %q", rel, w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
