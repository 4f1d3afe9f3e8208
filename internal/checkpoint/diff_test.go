package checkpoint

import (
	"context"
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"keep": "k\n"})
	before := take(t, dir, "before")
	long := strings.Repeat("a line of text\n", 100)
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, dir, name, long)
	}
	after := take(t, dir, "after")
	s := New()
	for name, tc := range map[string]struct {
		b    bounds
		want string
	}{
		"all fit":     {bounds{files: 9, filePatch: 9999, allPatch: 99999, read: 1 << 20}, "a1 b1 c1 d1"},
		"files":       {bounds{files: 2, filePatch: 9999, allPatch: 99999, read: 1 << 20}, "a1 b1 cut"},
		"each":        {bounds{files: 9, filePatch: 100, allPatch: 99999, read: 1 << 20}, "a1t b1t c1t d1t cut"},
		"all":         {bounds{files: 9, filePatch: 9999, allPatch: 2000, read: 1 << 20}, "a1 b1t c0t d0t cut"},
		"git's words": {bounds{files: 9, filePatch: 9999, allPatch: 99999, read: 4000}, "a1 b1 c0t d0t cut"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Store{maxFile: s.maxFile, bounds: tc.b}
			diffs, truncated, err := s.Diff(t.Context(), dir, before, after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range diffs {
				word := d.Path + "0"
				if d.Patch != "" {
					word = d.Path + "1"
				}
				if d.Truncated {
					word += "t"
				}
				if len(d.Patch) > tc.b.filePatch || d.Patch != "" && !strings.HasSuffix(d.Patch, "\n") {
					t.Errorf("%s: %d bytes", d.Path, len(d.Patch))
				}
				got = append(got, word)
			}
			if truncated {
				got = append(got, "cut")
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%v, want %s", got, tc.want)
			}
		})
	}
	s = &Store{maxFile: s.maxFile, bounds: bounds{files: 2, filePatch: 1, allPatch: 1, read: 1 << 20}}
	sum, err := s.Summary(t.Context(), dir, before, after)
	if err != nil || !sum.Truncated || len(sum.Files) != 2 || sum.Additions != 400 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestCutPatch(t *testing.T) {
	t.Parallel()
	patch := "@@ -1 +1 @@\n-1\n+2\n@@ -9 +9 @@\n-9\n+10\n"
	for max, want := range map[int]string{100: patch, len(patch): patch, len(patch) - 1: patch[:18], 17: patch[:15], 3: "", 0: ""} {
		got, short := cutPatch([]byte(patch), max)
		if string(got) != want || short != (max < len(patch)) {
			t.Errorf("%d: %q, %v; want %q", max, got, short, want)
		}
	}
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
			if _, err := New().Summary(t.Context(), dir, tc.from, ref); api.CodeOf(err) != tc.want {
				t.Errorf("error %v", err)
			}
			if _, _, err := New().Diff(t.Context(), dir, tc.from, ref); api.CodeOf(err) != tc.want {
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
	if _, err := New().Take(ctx, dir, "t", "l"); err == nil {
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
			if err == nil && (e.Status == "" || e.sections == 0) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzSplitPatch(f *testing.F) {
	f.Add([]byte("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-diff --git\n+2\ndiff --git a/y b/y\n"), 10)
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		for _, sec := range splitPatch(b) {
			max &= 0xffff
			if got, short := cutPatch(hunks(sec), max); len(got) > max || !short && len(got) != len(hunks(sec)) {
				t.Fatal("a patch past its bound")
			}
		}
	})
}
