package checkpoint

import (
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

func working(t *testing.T, dir, scope string) string {
	t.Helper()
	from, to, err := kept.Working(t.Context(), dir, scope)
	if err != nil {
		t.Fatal(err)
	}
	d := compare(t, kept, dir, from, to, api.DiffOptions{})
	var out []string
	for _, f := range d.Files {
		out = append(out, string(f.Status)+" "+f.Path)
	}
	return strings.Join(out, ", ")
}

func TestWorking(t *testing.T) {
	t.Parallel()
	fresh := newRepo(t, nil)
	write(t, fresh, "a", "1\n")
	runGit(t, fresh, "add", "a")
	write(t, fresh, "b", "1\n")
	for scope, want := range map[string]string{"": "added a, added b", "staged": "added a", "unstaged": "added b"} {
		if got := working(t, fresh, scope); got != want {
			t.Errorf("before the first commit, %s: %s, want %s", scope, got, want)
		}
	}
	dir := newRepo(t, map[string]string{"a": "1\n", "b": "1\n", "c": "1\n"})
	write(t, dir, "a", "2\n")
	runGit(t, dir, "add", "a")
	write(t, dir, "b", "2\n")
	write(t, dir, "new", "n\n")
	for scope, want := range map[string]string{"all": "modified a, modified b, added new", "staged": "modified a", "unstaged": "modified b, added new"} {
		if got := working(t, dir, scope); got != want {
			t.Errorf("%s: %s, want %s", scope, got, want)
		}
	}
	if _, _, err := kept.Working(t.Context(), dir, "sideways"); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("%v", err)
	}

	// In the middle of a conflict.
	runGit(t, dir, "stash", "-u")
	runGit(t, dir, "checkout", "-q", "-b", "side")
	write(t, dir, "c", "side\n")
	runGit(t, dir, "commit", "-q", "-a", "-m", "side")
	runGit(t, dir, "checkout", "-q", "main")
	write(t, dir, "c", "main\n")
	runGit(t, dir, "commit", "-q", "-a", "-m", "main")
	if _, err := git.Run(t.Context(), git.Command{Dir: dir, Args: []string{"merge", "side"}, Env: identity}); err == nil {
		t.Fatal("no conflict")
	}
	if got := working(t, dir, "unstaged"); got != "modified c" {
		t.Errorf("unstaged in a conflict: %s", got)
	}
	if _, _, err := kept.Working(t.Context(), dir, "staged"); api.CodeOf(err) != api.CodeGitConflict {
		t.Errorf("staged in a conflict: %v", err)
	}
}
