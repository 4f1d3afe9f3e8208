package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/checkpoint"
)

const (
	// bigFiles are the files of the repository, in 1,000 folders.
	bigFiles = 50_000
	// diffFiles files with diffLines changed lines each are what a diff is opened of.
	diffFiles, diffLines = 100, 200
)

// bigRepo makes the repository.
func bigRepo(ctx context.Context, dir string) error {
	for i := range bigFiles {
		name := filepath.Join(dir, fmt.Sprintf("d%03d/s%d/f%d.txt", i/500, i%10, i))
		if i < 10_000 || i%500 < 10 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name, []byte(strings.Repeat(fmt.Sprintf("line of file %d\n", i), 20)), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=B", "-c", "user.email=b@example.invalid", "commit", "-q", "-m", "one"}, {"status"}} {
		if err := gitRun(ctx, dir, nil, args...); err != nil {
			return err
		}
	}
	return nil
}

func gitRun(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// pairs measures ours and other in turns, so that both see the same machine.
func (s *setup) pairs(n int, ours, other func() error) (a, b sample, err error) {
	for i := range s.runs(n) + 1 {
		for j, f := range []func() error{ours, other} {
			start := time.Now()
			if err := f(); err != nil {
				return a, b, err
			}
			if i == 0 {
				continue // warm
			}
			if took := ms(time.Since(start)); j == 0 {
				a = append(a, took)
			} else {
				b = append(b, took)
			}
		}
	}
	return a, b, nil
}

func benchGit(ctx context.Context, s *setup) ([]row, error) {
	dir, err := filepath.EvalSymlinks(s.tmp)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "repo")
	if err := bigRepo(ctx, dir); err != nil {
		return nil, err
	}
	var rows []row
	store := checkpoint.New(filepath.Join(s.tmp, "indexes"))
	start := time.Now()
	if _, err := store.Take(ctx, dir, "t", "first"); err != nil {
		return nil, err
	}
	rows = append(rows, sample{ms(time.Since(start))}.row("checkpoint of 50,000 files: the first", "ms"))

	// One file changes between two snapshots; the floor is what one must do by hand.
	n := 0
	touch := func() error {
		n++
		return os.WriteFile(filepath.Join(dir, "d001/s1/f501.txt"), []byte(fmt.Sprintf("change %d\n", n)), 0o644)
	}
	index := filepath.Join(s.tmp, "floor")
	floor := func() error {
		if err := touch(); err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, ".git", "index"))
		if err == nil {
			err = os.WriteFile(index, b, 0o600)
		}
		env := []string{"GIT_INDEX_FILE=" + index}
		if err == nil {
			err = gitRun(ctx, dir, env, "add", "-A")
		}
		if err == nil {
			err = gitRun(ctx, dir, env, "write-tree")
		}
		return err
	}
	ours, other, err := s.pairs(10, func() error {
		if err := touch(); err != nil {
			return err
		}
		_, err := store.Take(ctx, dir, "t", "next")
		return err
	}, floor)
	if err != nil {
		return rows, err
	}
	r := ours.row("checkpoint of 50,000 files: one file changed", "ms")
	r.OtherName, r.Other, r.Budget = "git add -A + write-tree", other.quantile(.5), "< 1,000 ms"
	rows = append(rows, r)

	srv, err := startBackend(ctx, s, filepath.Join(s.tmp, "githome"))
	if err != nil {
		return rows, err
	}
	defer srv.stop()
	d, err := signIn(srv.login)
	if err != nil {
		return rows, err
	}
	call := func(method string, in, out any) error { return d.post("/e/local/api/call/"+method, in, out) }
	var p api.Project
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := call(api.MethodProjectAdd, api.ProjectAdd{Path: dir}, &p)
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), string(api.CodeNotReady)) || time.Now().After(late) {
			return rows, err
		}
	}
	at := api.GitPlace{ProjectID: p.ID}
	ours, other, err = s.pairs(10,
		func() error { return call(api.MethodGitStatus, at, nil) },
		func() error { return gitRun(ctx, dir, nil, "status", "--porcelain=v2", "-z", "--branch", "-uall") })
	if err != nil {
		return rows, err
	}
	r = ours.row("Git status of 50,000 files, through the API", "ms")
	r.OtherName, r.Other = "git status", other.quantile(.5)
	rows = append(rows, r)

	for i := range diffFiles {
		text := strings.Repeat(fmt.Sprintf("changed line of file %d\n", i), diffLines)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("d%03d/s%d/f%d.txt", i/500, i%10, i)), []byte(text), 0o644); err != nil {
			return rows, err
		}
	}
	if err := call(api.MethodDiffWorking, api.DiffWorking{GitPlace: at}, nil); err != nil {
		return rows, err
	}
	ours, other, err = s.pairs(10,
		func() error { return call(api.MethodDiffWorking, api.DiffWorking{GitPlace: at}, nil) },
		func() error { return gitRun(ctx, dir, nil, "diff", "--no-color", "HEAD") })
	if err != nil {
		return rows, err
	}
	r = ours.row("opening a diff: 100 files, 22,000 lines, of 50,000 files", "ms")
	r.OtherName, r.Other = "git diff HEAD", other.quantile(.5)
	rows = append(rows, r)
	return rows, nil
}
