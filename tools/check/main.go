// Command check runs the project's tests: it installs what they need and says
// what, then formatting, vet for every system, the linters pinned in go.mod,
// the page's checks and tests, and the Go tests with the race detector. Its
// last line is "N passed, N failed, N skipped"; its exit code tells. It is what
// `make test` and CI call.
//
//	check                 everything
//	check -only go,web    some steps: tools, format, vet, lint, web, go
//	check -run RE         Go tests whose name matches
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"time"
)

// counts adds up the tests of every runner; a check such as vet counts as one test.
type counts struct{ passed, failed, skipped int }

type checker struct {
	ctx    context.Context
	root   string
	counts counts
	failed []string
	ci     bool
}

func main() {
	only := flag.String("only", "", "comma-separated steps: tools, format, vet, lint, web, go")
	run := flag.String("run", "", "only Go tests whose name matches")
	tags := flag.String("tags", "", "build tags for the Go tests")
	pkgs := flag.String("packages", "./...", "Go packages to test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(2)
	}
	c := &checker{ctx: ctx, root: root, ci: os.Getenv("CI") != ""}
	steps := []struct {
		name string
		run  func()
	}{
		{"tools", c.tools},
		{"format", c.format},
		{"vet", c.vet},
		{"lint", c.lint},
		{"web", c.web},
		{"go", func() { c.allGoTests(*run, *tags, strings.Fields(*pkgs)) }},
	}
	want := strings.Split(*only, ",")
	for _, s := range steps {
		if *only != "" && !slices.Contains(want, s.name) {
			continue
		}
		start := time.Now()
		fmt.Printf("== %s\n", s.name)
		s.run()
		fmt.Printf("== %s took %.1f s\n", s.name, time.Since(start).Seconds())
		if ctx.Err() != nil {
			break
		}
	}
	for _, f := range c.failed {
		fmt.Println("FAILED:", f)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", c.counts.passed, c.counts.failed, c.counts.skipped)
	if c.counts.failed > 0 || c.counts.passed == 0 || ctx.Err() != nil {
		os.Exit(1)
	}
}

// result records one check that is not a test of a runner.
func (c *checker) result(name string, err error) {
	if err != nil {
		c.counts.failed++
		c.failed = append(c.failed, fmt.Sprintf("%s: %v", name, err))
		return
	}
	c.counts.passed++
}

func (c *checker) cmd(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.ctx, name, args...)
	cmd.Dir = c.root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// packages the tests need beyond Go, Node, git and a C compiler: the program to look for and its Debian package.
// A program that begins with "/" is a file.
var packages = []struct{ program, debian, why string }{
	{"chromium-headless-shell", "chromium-headless-shell", "the browser tests drive it"},
	{"/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf", "fonts-liberation", "pictures of the stories are compared in it"},
	{"busybox", "busybox", "staging is tested with its shell"},
	{"bash", "bash", "login environments are captured from it"},
	{"zsh", "zsh", "login environments are captured from it"},
	{"fish", "fish", "login environments are captured from it"},
	{"rg", "ripgrep", "the content search is tested with it"},
	{"python3", "python3", "a second wsl.exe is written in it"},
	{"vim", "vim", "a terminal is tested with it"},
	{"htop", "htop", "a terminal is tested with it"},
	{"dbus-daemon", "dbus-daemon", "notifications are tested with it"},
}

func (c *checker) tools() {
	var missing []string
	for _, p := range packages {
		_, err := exec.LookPath(p.program)
		if filepath.IsAbs(p.program) {
			_, err = os.Stat(p.program)
		}
		if err != nil {
			fmt.Printf("%s is missing (%s)\n", p.program, p.why)
			missing = append(missing, p.debian)
		}
	}
	if len(missing) == 0 {
		return
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		c.result("tools", fmt.Errorf("install %s with your package manager, then run this again", strings.Join(missing, ", ")))
		return
	}
	fmt.Println("installing from Debian:", strings.Join(missing, " "))
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)} {
		cmd := c.cmd("apt-get", append([]string{"-o", "DPkg::Lock::Timeout=900"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout = io.Discard
		if err := cmd.Run(); err != nil {
			c.result("tools", fmt.Errorf("apt-get %s: %w", args[0], err))
			return
		}
	}
}

func (c *checker) format() {
	out, err := exec.CommandContext(c.ctx, "gofmt", "-l", "cmd", "internal", "tools", "web/embed.go", "test", "bench").CombinedOutput()
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("not formatted, run gofmt -w:\n%s", out)
	}
	c.result("gofmt", err)
}

func (c *checker) vet() {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		cmd := c.cmd("go", "vet", "./...")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		c.result("go vet for "+goos, cmd.Run())
	}
}

func (c *checker) lint() {
	c.result("staticcheck", c.cmd("go", "tool", "staticcheck", "./...").Run())
	c.result("generated TypeScript types", c.cmd("go", "run", "./tools/tsgen", "-check").Run())
}

func (c *checker) web() {
	web := filepath.Join(c.root, "web")
	for _, s := range [][]string{{"run", "check"}, {"run", "build"}, {"run", "budget"}} {
		cmd := c.cmd("npm", s...)
		cmd.Dir = web
		c.result("npm "+strings.Join(s, " "), cmd.Run())
	}
	report := filepath.Join(c.root, "out", "vitest.json")
	_ = os.Remove(report)
	cmd := c.cmd("npx", "--no-install", "vitest", "run", "--reporter=default", "--reporter=json", "--outputFile.json="+report)
	cmd.Dir = web
	runErr := cmd.Run()
	b, err := os.ReadFile(report)
	if err != nil {
		c.result("vitest", errors.Join(runErr, err))
		return
	}
	var r struct {
		NumPassedTests, NumFailedTests, NumPendingTests, NumTotalTests int
	}
	if err := json.Unmarshal(b, &r); err != nil {
		c.result("vitest", err)
		return
	}
	c.counts.passed += r.NumPassedTests
	c.counts.failed += r.NumFailedTests
	c.counts.skipped += r.NumPendingTests
	if r.NumFailedTests > 0 || runErr != nil && r.NumFailedTests == 0 {
		c.failed = append(c.failed, fmt.Sprintf("vitest: %d failed (%v)", r.NumFailedTests, runErr))
		if r.NumFailedTests == 0 {
			c.counts.failed++
		}
	}
}

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	FailedBuild                   string
}

// browsers are the packages that drive browsers. They run one after the other when
// everything else has ended: a page that gets no processor shows late what a person would see at once.
// They go without the race detector: what they test are programs of their own, built without it.
var browsers = []string{"/test/browser", "/test/stories"}

func (c *checker) allGoTests(run, tags string, pkgs []string) {
	many := fmt.Sprint(max(2, runtime.NumCPU()))
	cmd := exec.CommandContext(c.ctx, "go", append([]string{"list", "-tags", tags}, pkgs...)...)
	cmd.Dir = c.root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		c.result("go list", err)
		return
	}
	var rest, drawn []string
	for _, p := range strings.Fields(string(out)) {
		if slices.ContainsFunc(browsers, func(b string) bool { return strings.HasSuffix(p, b) }) {
			drawn = append(drawn, p)
		} else {
			rest = append(rest, p)
		}
	}
	for _, part := range []struct {
		flags    []string
		packages []string
	}{{[]string{"-race", "-p", many}, rest}, {[]string{"-p", "1"}, drawn}} {
		if len(part.packages) > 0 {
			c.goTests(run, tags, part.flags, part.packages)
		}
	}
}

func (c *checker) goTests(run, tags string, flags, pkgs []string) {
	args := append([]string{"test", "-json", "-shuffle=on", "-timeout=25m"}, flags...)
	if run != "" {
		args = append(args, "-run", run)
	}
	if tags != "" {
		args = append(args, "-tags", tags)
	}
	cmd := exec.CommandContext(c.ctx, "go", append(args, pkgs...)...)
	cmd.Dir = c.root
	// A race-built child sleeps a second at exit otherwise.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 halt_on_error=0")
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.result("go test", err)
		return
	}
	output := map[string][]string{}
	children := map[string]bool{}
	var slow []event
	sc := bufio.NewScanner(stdout)
	sc.Buffer(nil, 4<<20)
	failedBefore := c.counts.failed
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Println(sc.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			continue
		case "run":
			if i := strings.LastIndex(e.Test, "/"); i > 0 {
				children[e.Package+" "+e.Test[:i]] = true
			}
			continue
		case "pass", "fail", "skip":
		default:
			continue
		}
		if e.Test == "" {
			if e.Action == "fail" {
				c.failed = append(c.failed, e.Package)
				fmt.Print(strings.Join(output[key], ""))
				if e.FailedBuild != "" {
					c.counts.failed++
					fmt.Print(strings.Join(output[" "], ""))
				}
			}
			fmt.Printf("%-4s %-50s %6.1f s\n", e.Action, e.Package, e.Elapsed)
			delete(output, key)
			continue
		}
		// A test with sub-tests is counted by them, unless it failed by itself.
		parent := children[key]
		switch e.Action {
		case "pass":
			if !parent {
				c.counts.passed++
			}
		case "skip":
			c.counts.skipped++
			fmt.Printf("skip %s %s\n%s", e.Package, e.Test, strings.Join(output[key], ""))
		case "fail":
			c.counts.failed++
			c.failed = append(c.failed, key)
			fmt.Printf("--- FAIL %s\n%s", key, strings.Join(output[key], ""))
		}
		if e.Elapsed > 10 && !parent {
			slow = append(slow, e)
		}
		delete(output, key)
	}
	err = cmd.Wait()
	if err != nil && c.counts.failed == failedBefore {
		c.result("go test", err)
	}
	sort.Slice(slow, func(i, j int) bool { return slow[i].Elapsed > slow[j].Elapsed })
	for _, e := range slow[:min(10, len(slow))] {
		fmt.Printf("slow %s %s %.1f s\n", e.Package, e.Test, e.Elapsed)
	}
}
