package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"catamaran/internal/api"
)

const (
	// statusFiles bounds the files a status lists; statusBytes what is read of Git.
	statusFiles = 5000
	statusBytes = 16 << 20
)

// Status asks Git what has changed in repo. Paths in the answer are relative to
// dir, a folder of the working tree. Errors are *api.Error where Git said why.
func Status(ctx context.Context, repo Repo, dir string) (api.GitStatus, error) {
	st := api.GitStatus{Repo: true, Top: repo.Top, Files: []api.GitFile{}, Linked: repo.CommonDir() != repo.GitDir}
	out, err := Run(ctx, Command{Dir: repo.Top, Max: statusBytes,
		Args: []string{"status", "--porcelain=v2", "-z", "--branch", "--show-stash", "--untracked-files=all", "--ignore-submodules=dirty", "--find-renames"}})
	if err != nil {
		return st, Explain("status", err)
	}
	if err := parseStatus(out.Stdout, &st); err != nil && !out.Truncated {
		return st, err
	}
	st.Truncated = st.Truncated || out.Truncated
	if prefix := prefix(repo.Top, dir); prefix != "" {
		for i := range st.Files {
			st.Files[i].Path = relative(prefix, st.Files[i].Path)
			if st.Files[i].OldPath != "" {
				st.Files[i].OldPath = relative(prefix, st.Files[i].OldPath)
			}
		}
	}
	st.Operation, st.Step, st.Steps = operation(repo.GitDir)
	return st, nil
}

// prefix is dir below top with slashes, "" where they are the same.
func prefix(top, dir string) string {
	rel, err := filepath.Rel(top, dir)
	if err != nil || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// relative spells a path of the repository from the folder prefix of it.
func relative(prefix, path string) string {
	if rest, ok := strings.CutPrefix(path, prefix+"/"); ok {
		return rest
	}
	rel, err := filepath.Rel(filepath.FromSlash(prefix), filepath.FromSlash(path))
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// operation tells what is under way from the files Git keeps of it.
func operation(gitDir string) (name string, step, steps int) {
	has := func(file string) bool {
		_, err := os.Lstat(filepath.Join(gitDir, file))
		return err == nil
	}
	number := func(file string) int {
		n, err := strconv.Atoi(readLine(filepath.Join(gitDir, file)))
		if err != nil {
			return 0
		}
		return n
	}
	switch {
	case has("rebase-merge"):
		return "rebase", number("rebase-merge/msgnum"), number("rebase-merge/end")
	case has("rebase-apply/applying"):
		return "am", number("rebase-apply/next"), number("rebase-apply/last")
	case has("rebase-apply"):
		return "rebase", number("rebase-apply/next"), number("rebase-apply/last")
	case has("MERGE_HEAD"):
		return "merge", 0, 0
	case has("CHERRY_PICK_HEAD"):
		return "cherry-pick", 0, 0
	case has("REVERT_HEAD"):
		return "revert", 0, 0
	case has("BISECT_LOG"):
		return "bisect", 0, 0
	}
	return "", 0, 0
}

var errStatus = errors.New("git printed a status that is not understood")

// parseStatus reads the output of status --porcelain=v2 -z. What it holds up to
// an error, or to where it was cut, is in st.
func parseStatus(b []byte, st *api.GitStatus) error {
	next := func() (string, bool) {
		field, rest, ok := bytes.Cut(b, []byte{0})
		if ok {
			b = rest
		}
		return strings.ToValidUTF8(string(field), "\uFFFD"), ok
	}
	for len(b) > 0 {
		line, ok := next()
		if !ok || len(line) < 3 {
			return errStatus
		}
		var f api.GitFile
		switch line[:2] {
		case "# ":
			header(line[2:], st)
			continue
		case "1 ":
			// 1 XY sub mH mI mW hH hI path
			p := strings.SplitN(line, " ", 9)
			if len(p) < 9 || len(p[1]) != 2 || p[8] == "" {
				return errStatus
			}
			f = changed(p[1], p[2], p[3], p[4], p[5])
			f.Path = p[8]
		case "2 ":
			// 2 XY sub mH mI mW hH hI score path NUL old path
			p := strings.SplitN(line, " ", 10)
			old, ok := next()
			if len(p) < 10 || len(p[1]) != 2 || p[9] == "" || !ok {
				return errStatus
			}
			f = changed(p[1], p[2], p[3], p[4], p[5])
			f.Path, f.OldPath = p[9], old
		case "u ":
			// u XY sub m1 m2 m3 mW h1 h2 h3 path
			p := strings.SplitN(line, " ", 11)
			if len(p) < 11 || len(p[1]) != 2 || p[10] == "" {
				return errStatus
			}
			f = api.GitFile{Path: p[10], Conflict: conflict(p[1]), Submodule: strings.HasPrefix(p[2], "S")}
		case "? ":
			f = api.GitFile{Path: line[2:], Untracked: true}
		case "! ":
			continue
		default:
			return errStatus
		}
		count(f, st)
		if len(st.Files) < statusFiles {
			st.Files = append(st.Files, f)
		} else {
			st.Truncated = true
		}
	}
	sort.Slice(st.Files, func(i, j int) bool { return st.Files[i].Path < st.Files[j].Path })
	return nil
}

func count(f api.GitFile, st *api.GitStatus) {
	if f.Staged != "" {
		st.Staged++
	}
	if f.Unstaged != "" {
		st.Unstaged++
	}
	if f.Untracked {
		st.Untracked++
	}
	if f.Conflict != "" {
		st.Conflicted++
	}
}

// header reads a "# name value" line.
func header(line string, st *api.GitStatus) {
	name, value, _ := strings.Cut(line, " ")
	switch name {
	case "branch.oid":
		if value != "(initial)" {
			st.Head = value
		}
	case "branch.head":
		if st.Detached = value == "(detached)"; !st.Detached {
			st.Branch = value
		}
	case "branch.upstream":
		// Without branch.ab after it the upstream is configured, but not there.
		st.Upstream, st.UpstreamGone = value, true
	case "branch.ab":
		if _, err := fmt.Sscanf(value, "+%d -%d", &st.Ahead, &st.Behind); err == nil {
			st.UpstreamGone = false
		}
	case "stash":
		st.Stashes, _ = strconv.Atoi(value)
	}
}

// changed reads the two letters and the modes (HEAD, index, working tree) of an ordinary change.
func changed(xy, sub, head, index, work string) api.GitFile {
	return api.GitFile{Staged: letter(xy[0], head, index), Unstaged: letter(xy[1], index, work), Submodule: strings.HasPrefix(sub, "S")}
}

func letter(c byte, from, to string) api.FileStatus {
	switch c {
	case '.':
		return ""
	case 'A':
		return api.FileAdded
	case 'D':
		return api.FileDeleted
	case 'R', 'C':
		return api.FileRenamed
	}
	// Git does not say whether the content changed too; a changed mode is worth telling.
	if from != to && strings.HasPrefix(from, "100") && strings.HasPrefix(to, "100") {
		return api.FileMode
	}
	return api.FileModified
}

func conflict(xy string) string {
	switch xy {
	case "DD":
		return "both-deleted"
	case "AU":
		return "added-by-us"
	case "UD":
		return "deleted-by-them"
	case "UA":
		return "added-by-them"
	case "DU":
		return "deleted-by-us"
	case "AA":
		return "both-added"
	}
	return "both-modified"
}

// Remotes lists the names of the repository's remotes, from its configuration.
func Remotes(ctx context.Context, dir string) ([]string, error) {
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"remote"}, Max: 64 << 10})
	if err != nil {
		return nil, Explain("remote", err)
	}
	return strings.Fields(string(out.Stdout)), nil
}
