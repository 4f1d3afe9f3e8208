package loginenv

import (
	"slices"
	"strings"
	"testing"
)

func FuzzBetween(f *testing.F) {
	for _, s := range []string{"", "noise<aA=1\x00B=x\ny\x00b>bye", "<a\x00b>", "<ab>", "<a<aA=1\x00b>\x00b>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, out string) {
		env, ok := between([]byte(out), "<a", "b>")
		if ok != (len(env) > 0) {
			t.Errorf("ok = %v with %q", ok, env)
		}
		for _, e := range env {
			if !strings.Contains(e, "=") || strings.HasPrefix(e, "=") || !strings.Contains(out, e) {
				t.Errorf("entry %q", e)
			}
		}
	})
}

func TestBetween(t *testing.T) {
	t.Parallel()
	env, ok := between([]byte("hello\n<aA=1\x00junk\x00B=x\ny\x00b>bye"), "<a", "b>")
	if want := []string{"A=1", "B=x\ny"}; !ok || !slices.Equal(env, want) {
		t.Errorf("between = %q, %v", env, ok)
	}
}
