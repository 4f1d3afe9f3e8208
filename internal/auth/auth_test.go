package auth

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catamaran/internal/api"
)

func load(t *testing.T) *Identity {
	t.Helper()
	id, err := LoadIdentity(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIdentityIsKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	a, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.EnvironmentID != b.EnvironmentID || !uuidPattern.MatchString(a.EnvironmentID) {
		t.Fatalf("ids %q and %q", a.EnvironmentID, b.EnvironmentID)
	}
	now := time.Now()
	if err := b.Verify(a.Sign("door", now.Add(time.Hour)), "door", now); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("scratch files stay behind: %v %v", entries, err)
	}
}

func TestIdentityPermissions(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits; the folder's list protects the file")
	}
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := LoadIdentity(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, IdentityFile)
	check := func() {
		t.Helper()
		f, _ := os.Stat(path)
		d, _ := os.Stat(dir)
		if f.Mode().Perm() != 0o600 || d.Mode().Perm() != 0o700 {
			t.Fatalf("file %v, folder %v", f.Mode(), d.Mode())
		}
	}
	check()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(dir); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestIdentityRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, err := LoadIdentity(dir)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = id.EnvironmentID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("different identities: %v", ids)
		}
	}
}

func TestIdentityDamaged(t *testing.T) {
	t.Parallel()
	good := `{"version":1,"environmentId":"2b1f0c9e-0000-4000-8000-000000000000","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`
	if _, err := parseIdentity([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":     "",
		"no json":   "SECRETSECRET",
		"newer":     strings.Replace(good, `1`, `2`, 1),
		"short key": strings.Replace(good, "AAAA", "", 1),
		"odd id":    strings.Replace(good, "2b1f", "../", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, IdentityFile)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadIdentity(dir)
			if err == nil || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "AAAA") {
				t.Fatalf("error %v", err)
			}
			if b, _ := os.ReadFile(path); string(b) != content {
				t.Fatal("the file was replaced")
			}
		})
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	id, other := load(t), load(t)
	now := time.Now()
	good := id.Sign("door", now.Add(time.Minute))
	revoked := id.Sign("door", now.Add(time.Minute))
	id.Revoke(revoked)
	id.Revoke("garbage")
	id.Revoke(other.Sign("door", now.Add(time.Minute)))
	if len(id.revoked) != 1 {
		t.Errorf("%d revoked tokens kept, want 1", len(id.revoked))
	}
	flip := func(s string, at int) string {
		c := byte('A')
		if s[at] == c {
			c = 'B'
		}
		return s[:at] + string(c) + s[at+1:]
	}
	dot := strings.LastIndexByte(good, '.')
	for name, tc := range map[string]struct {
		token, audience string
		want            api.Code
	}{
		"good":        {good, "door", ""},
		"other door":  {good, "gateway", api.CodeTokenForeign},
		"other key":   {other.Sign("door", now.Add(time.Minute)), "door", api.CodeTokenForeign},
		"changed MAC": {flip(good, dot+3), "door", api.CodeTokenForeign},
		"expired":     {id.Sign("door", now), "door", api.CodeTokenExpired},
		"expired and foreign": {
			other.Sign("door", now.Add(-time.Hour)), "door", api.CodeTokenForeign},
		"revoked":       {revoked, "door", api.CodeTokenRevoked},
		"empty":         {"", "door", api.CodeTokenMalformed},
		"words":         {"let me in", "door", api.CodeTokenMalformed},
		"no MAC":        {good[:dot], "door", api.CodeTokenMalformed},
		"empty MAC":     {good[:dot+1], "door", api.CodeTokenMalformed},
		"short MAC":     {good[:len(good)-4], "door", api.CodeTokenMalformed},
		"padded":        {good + "=", "door", api.CodeTokenMalformed},
		"line break":    {good + "\n", "door", api.CodeTokenMalformed},
		"other version": {"ct2" + good[3:], "door", api.CodeTokenMalformed},
		"huge":          {"ct1." + strings.Repeat("A", 1<<20), "door", api.CodeTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := id.Verify(tc.token, tc.audience, now)
			if got := api.CodeOf(err); got != tc.want {
				t.Fatalf("code %q, want %q", got, tc.want)
			}
			if err != nil && len(tc.token) > 8 && strings.Contains(err.Error(), tc.token) {
				t.Fatal("the error quotes the token")
			}
		})
	}
}

func TestTokenChangedClaims(t *testing.T) {
	t.Parallel()
	id := load(t)
	now := time.Now()
	token := id.Sign("door", now.Add(time.Minute))
	for at := len(tokenPrefix); at < len(token); at++ {
		if token[at] == '.' {
			continue
		}
		for _, c := range "Ab9_" {
			changed := token[:at] + string(c) + token[at+1:]
			if changed != token && id.Verify(changed, "door", now) == nil {
				t.Fatalf("a token changed at %d is taken", at)
			}
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCodes(30 * time.Second)
		code := c.Issue()
		if err := c.Redeem(code); err != nil {
			t.Fatal(err)
		}
		if got := api.CodeOf(c.Redeem(code)); got != api.CodeUnauthorized {
			t.Fatalf("a used code: %q", got)
		}
		late := c.Issue()
		time.Sleep(31 * time.Second)
		if got := api.CodeOf(c.Redeem(late)); got != api.CodeUnauthorized {
			t.Fatalf("an old code: %q", got)
		}
		c.Add("")
		if c.Redeem("") == nil || c.Redeem("guess") == nil {
			t.Fatal("an unknown code is taken")
		}
		first := c.Issue()
		for range maxCodes {
			time.Sleep(time.Millisecond)
			c.Issue()
		}
		if len(c.live) != maxCodes || c.Redeem(first) == nil {
			t.Fatalf("%d live codes", len(c.live))
		}
	})
}

func TestCodesOnce(t *testing.T) {
	t.Parallel()
	c := NewCodes(0)
	c.Add("credential")
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 16 {
		wg.Go(func() {
			if c.Redeem("credential") == nil {
				mu.Lock()
				taken++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if taken != 1 {
		t.Fatalf("taken %d times", taken)
	}
}

func FuzzToken(f *testing.F) {
	dir := f.TempDir()
	id, err := LoadIdentity(dir)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	f.Add("")
	f.Add("ct1.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("ct1.bnVsbA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add(id.Sign("door", now))
	f.Fuzz(func(t *testing.T, token string) {
		signed, mac, _, ok := parseToken(token)
		if ok && signed+"."+strict64.EncodeToString(mac) != token {
			t.Fatal("two spellings of one token")
		}
		if id.Verify(token, "door", now) == nil {
			t.Fatal("a token nobody signed is taken")
		}
		id.Revoke(token)
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"version":1,"environmentId":"2b1f0c9e-0000-4000-8000-000000000000","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseIdentity(b)
		if (err == nil) != (id != nil && len(id.key) == keyBytes) {
			t.Fatal("an identity without a whole key")
		}
	})
}

// W7.1: a copied state folder gets an identity of its own; what runs goes on with the old one.
func TestReplaceIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	token := old.Sign("a", time.Now().Add(time.Hour))
	if err := old.Replace(); err != nil {
		t.Fatal(err)
	}
	next, err := LoadIdentity(dir)
	if err != nil || next.EnvironmentID == old.EnvironmentID {
		t.Fatalf("the same identity again: %v", err)
	}
	if err := old.Verify(token, "a", time.Now()); err != nil {
		t.Errorf("the running one: %v", err)
	}
	if err := next.Verify(token, "a", time.Now()); err == nil {
		t.Error("the new one takes a token of the old key")
	}
	st, err := os.Stat(filepath.Join(dir, IdentityFile))
	if err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".identity-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
