package checkpoint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestDiffPages(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"keep": "k\n"})
	before := take(t, dir, "before")
	for i := range 25 {
		write(t, dir, fmt.Sprintf("f%02d", i), strings.Repeat("a line of text\n", 100))
	}
	after := take(t, dir, "after")
	s := New(t.TempDir())
	s.bounds.answer, s.bounds.fileLines = 6000, 50
	got := map[string]int{}
	for offset, pages := 0, 0; ; pages++ {
		d := compare(t, s, dir, before, after, api.DiffOptions{Offset: offset, Limit: 10})
		if d.Total != 25 || d.Additions != 2500 || len(d.Files) > 10 || pages > 3 {
			t.Fatalf("%d files of %d, %d lines", len(d.Files), d.Total, d.Additions)
		}
		size := 0
		for _, f := range d.Files {
			next, pending := f.Next, f.Pending
			lines := count(f)
			size += len(patch(f))
			for next > 0 || pending {
				rest := compare(t, s, dir, before, after, api.DiffOptions{Paths: []string{f.Path}, Skip: next})
				if len(rest.Files) != 1 || next > 0 && rest.Files[0].Hunks[0].NewStart != next+1 {
					t.Fatalf("%+v", rest)
				}
				lines += count(rest.Files[0])
				next, pending = rest.Files[0].Next, rest.Files[0].Pending
			}
			got[f.Path] = lines
		}
		if size > 8000 {
			t.Errorf("an answer of %d bytes", size)
		}
		if offset = d.NextOffset; offset == 0 {
			break
		}
	}
	if len(got) != 25 {
		t.Fatalf("%v", got)
	}
	for f, n := range got {
		if n != 100 {
			t.Errorf("%s: %d lines", f, n)
		}
	}
	if d := compare(t, s, dir, before, after, api.DiffOptions{NoHunks: true}); d.Files[0].Hunks != nil || d.Files[0].Pending {
		t.Errorf("%+v", d.Files[0])
	}
	for _, bad := range []api.DiffOptions{{Offset: -1}, {Skip: 3}, {Skip: 3, Paths: []string{"a", "b"}}, {Limit: -1}, {Context: ptr(-1)}} {
		if _, err := s.Compare(t.Context(), dir, before, after, bad, nil); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	s.bounds.files = 2
	sum, err := s.Summary(t.Context(), dir, before, after)
	if err != nil || !sum.Truncated || len(sum.Files) != 2 || sum.Additions != 2500 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func ptr[T any](v T) *T { return &v }

func count(f api.DiffFile) int {
	n := 0
	for _, h := range f.Hunks {
		n += len(h.Lines)
	}
	return n
}

// TestHugeDiff pages through a change of more than 10 MB in one file and puts it
// together again.
func TestHugeDiff(t *testing.T) {
	t.Parallel()
	var old, now strings.Builder
	for i := range 160_000 {
		fmt.Fprintf(&old, "line %d of the old text, which is long enough\n", i)
		fmt.Fprintf(&now, "line %d of the new text, which is long enough\n", i)
	}
	dir := newRepo(t, map[string]string{"big.txt": old.String()})
	before := take(t, dir, "before")
	write(t, dir, "big.txt", now.String())
	after := take(t, dir, "after")
	var minus, plus strings.Builder
	for skip, pages := 0, 0; ; pages++ {
		d := compare(t, kept, dir, before, after, api.DiffOptions{Paths: []string{"big.txt"}, Skip: skip})
		f := d.Files[0]
		if len(patch(f)) > 600<<10 || pages > 100 {
			t.Fatalf("page %d has %d bytes", pages, len(patch(f)))
		}
		for _, h := range f.Hunks {
			for _, l := range h.Lines {
				if l[0] == '-' {
					minus.WriteString(l[1:] + "\n")
				} else if l[0] == '+' {
					plus.WriteString(l[1:] + "\n")
				}
			}
		}
		if skip = f.Next; skip == 0 {
			break
		}
	}
	if minus.String() != old.String() || plus.String() != now.String() {
		t.Errorf("%d and %d bytes, want %d and %d", minus.Len(), plus.Len(), old.Len(), now.Len())
	}
}

// TestDiffKinds has one of each kind of change.
func TestDiffKinds(t *testing.T) {
	t.Parallel()
	lib := newRepo(t, map[string]string{"lib.txt": "1\n"})
	dir := newRepo(t, map[string]string{"crlf": "a\r\nb\r\n", "end": "1\n2\n", "space": "if x {\n  y\n}\n", "both": "a b\nc\n", "old name": tenLines, "bin": "a\x00b", "sh": "x\n",
		"latin": "caf\xe9\n", "minus": "-- a\n++ b\n@@ -1 +1 @@\n\\ No newline\n"})
	runGit(t, dir, "config", "core.autocrlf", "false")
	runGit(t, dir, "submodule", "--quiet", "add", lib, "lib")
	runGit(t, dir, "commit", "-q", "-m", "lib")
	oldCommit := strings.TrimSpace(runGit(t, filepath.Join(dir, "lib"), "rev-parse", "HEAD"))
	before := take(t, dir, "before")
	write(t, dir, "crlf", "a\r\nc\r\n")
	write(t, dir, "end", "1\n3")
	write(t, dir, "space", "if x {\n\ty\n}\n")
	write(t, dir, "both", "a  b\nd\n")
	write(t, dir, "bin", "a\x00bcd")
	write(t, dir, "latin", "caf\xe8\n")
	write(t, dir, "minus", "-- a\n++ c\n@@ -1 +1 @@\n\\ No newline\n")
	for _, err := range []error{os.Rename(filepath.Join(dir, "old name"), filepath.Join(dir, "new name")), os.Chmod(filepath.Join(dir, "sh"), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "new name", strings.Replace(tenLines, "5\n", "five\n", 1))
	runGit(t, filepath.Join(dir, "lib"), "commit", "-q", "--allow-empty", "-m", "two")
	newCommit := strings.TrimSpace(runGit(t, filepath.Join(dir, "lib"), "rev-parse", "HEAD"))
	after := take(t, dir, "after")

	want := map[string]string{
		"crlf":     "@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n",
		"end":      "@@ -1,2 +1,2 @@\n 1\n-2\n+3\nnew has no newline\n",
		"space":    "@@ -1,3 +1,3 @@\n if x {\n-  y\n+\ty\n }\n",
		"both":     "@@ -1,2 +1,2 @@\n-a b\n-c\n+a  b\n+d\n",
		"new name": "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n",
		"bin":      "", "sh": "", "lib": "",
		"latin": "@@ -1,1 +1,1 @@\n-caf\uFFFD\n+caf\uFFFD\n",
		"minus": "@@ -1,4 +1,4 @@\n -- a\n-++ b\n+++ c\n @@ -1 +1 @@\n \\ No newline\n",
	}
	check := func(d api.Diff, want map[string]string) {
		t.Helper()
		if len(d.Files) != len(want) {
			t.Errorf("%d files, want %d", len(d.Files), len(want))
		}
		for _, f := range d.Files {
			if got := patch(f); got != want[f.Path] || f.Pending {
				t.Errorf("%s: %q, want %q", f.Path, got, want[f.Path])
			}
			switch f.Path {
			case "bin":
				if !f.Binary || f.OldBytes != 3 || f.NewBytes != 5 {
					t.Errorf("%+v", f)
				}
			case "sh":
				if f.Status != api.FileMode || f.OldMode != "100644" || f.NewMode != "100755" {
					t.Errorf("%+v", f)
				}
			case "lib":
				if f.OldCommit != oldCommit || f.NewCommit != newCommit {
					t.Errorf("%+v", f)
				}
			case "new name":
				if f.Status != api.FileRenamed || f.OldPath != "old name" {
					t.Errorf("%+v", f)
				}
			}
		}
	}
	check(compare(t, kept, dir, before, after, api.DiffOptions{}), want)
	// Without white space one file has nothing to show, another less.
	want["space"] = ""
	want["both"] = "@@ -1,2 +1,2 @@\n a  b\n-c\n+d\n"
	d := compare(t, kept, dir, before, after, api.DiffOptions{IgnoreWhitespace: true})
	check(d, want)
	if d.Additions != 7 || d.Deletions != 7 {
		t.Errorf("+%d -%d", d.Additions, d.Deletions)
	}
	d = compare(t, kept, dir, before, after, api.DiffOptions{Context: ptr(100), Paths: []string{"new name"}})
	if got := patch(d.Files[0]); len(d.Files) != 1 || !strings.HasPrefix(got, "@@ -1,10 +1,10 @@\n") {
		t.Errorf("%q", got)
	}
	d = compare(t, kept, dir, before, after, api.DiffOptions{Context: ptr(0), Paths: []string{"new name"}})
	if got := patch(d.Files[0]); got != "@@ -5,1 +5,1 @@\n-5\n+five\n" {
		t.Errorf("%q", got)
	}
}

// TestHunksApply makes random changes and applies the hunks, paged or not, to the old text.
func TestHunksApply(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"keep": "k\n"})
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		old := make([]string, r.IntN(60))
		for i := range old {
			old[i] = fmt.Sprint("line ", r.IntN(9))
		}
		now := []string{}
		for _, l := range old {
			if r.IntN(8) == 0 {
				continue
			}
			if now = append(now, l); r.IntN(8) == 0 {
				now = append(now, fmt.Sprint("new ", r.IntN(9)))
			}
		}
		join := func(l []string) string { return strings.Join(append(l[:len(l):len(l)], "end"), "\n") + "\n" }
		write(t, dir, "f", join(old))
		before := take(t, dir, fmt.Sprint(round, "a"))
		write(t, dir, "f", join(now))
		after := take(t, dir, fmt.Sprint(round, "b"))
		if before == after {
			continue
		}
		s := New("")
		s.bounds.fileLines = 1 + r.IntN(7)
		var all []api.DiffHunk
		for skip := 0; ; {
			f := compare(t, s, dir, before, after, api.DiffOptions{Paths: []string{"f"}, Skip: skip}).Files[0]
			all = append(all, f.Hunks...)
			if skip = f.Next; skip == 0 {
				break
			}
		}
		if got := apply(t, join(old), all); got != join(now) {
			t.Fatalf("round %d: %q, want %q", round, got, join(now))
		}
	}
}

func apply(t *testing.T, old string, hunks []api.DiffHunk) string {
	t.Helper()
	lines := strings.SplitAfter(old, "\n")
	var out strings.Builder
	at := 0
	for _, h := range hunks {
		start := h.OldStart - 1
		if h.OldLines == 0 {
			start = h.OldStart
		}
		for ; at < start; at++ {
			out.WriteString(lines[at])
		}
		for _, l := range h.Lines {
			if l[0] != '-' {
				out.WriteString(l[1:] + "\n")
			}
			if l[0] != '+' {
				if lines[at] != l[1:]+"\n" {
					t.Fatalf("line %d is %q, the hunk has %q", at, lines[at], l)
				}
				at++
			}
		}
	}
	return out.String() + strings.Join(lines[at:], "")
}

func TestBadReferences(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a": "a\n"})
	ref := take(t, dir, "1")
	for name, tc := range map[string]struct {
		from string
		want api.Code
	}{
		"an option": {"--output=/tmp/x", api.CodeInvalid},
		"a name":    {"HEAD", api.CodeInvalid},
		"unknown":   {strings.Repeat("1", 40), api.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := kept.Summary(t.Context(), dir, tc.from, ref); api.CodeOf(err) != tc.want {
				t.Errorf("error %v", err)
			}
			if _, err := kept.Compare(t.Context(), dir, tc.from, ref, api.DiffOptions{}, nil); api.CodeOf(err) != tc.want {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a": "a\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kept.Take(ctx, dir, "t", "l"); err == nil {
		t.Fatal("taken with a context that has ended")
	}
}

func FuzzParseRaw(f *testing.F) {
	f.Add([]byte(":100644 100644 a b M\x00x\x001\t2\tx\x00"))
	f.Add([]byte(":100644 100644 a b R100\x00x\x00y\x000\t0\t\x00x\x00y\x00"))
	f.Add([]byte(":100644 100644 a b T\x00x\x00-\t-\tx\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := parseRaw(b)
		for _, e := range files {
			if err == nil && (e.Status == "" || e.raw == "") {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzHunks(f *testing.F) {
	f.Add([]byte("diff --git a/x b/x\nindex a..b 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-diff --git\n+2\n\\ No newline at end of file\ndiff --git a/y b/y\n@@ -0,0 +1,2 @@ f\n+a\n+b\n"), 1, 2)
	f.Fuzz(func(t *testing.T, b []byte, skip, lines int) {
		skip, lines = skip&0xff, 1+lines&0xff
		for _, sec := range splitPatch(b) {
			objects(sec)
			list, next, used := parseHunks(hunks(sec), budget{skip: skip, lines: lines, bytes: 1 << 20})
			n := 0
			for _, h := range list {
				n += len(h.Lines)
				if len(h.Lines) == 0 || h.OldLines+h.NewLines < len(h.Lines) {
					t.Fatalf("%+v", h)
				}
			}
			if n > lines || next > 0 && next != skip+n || used < n {
				t.Fatalf("%d lines, next %d, used %d", n, next, used)
			}
		}
	})
}
