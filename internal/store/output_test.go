package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutput(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	pieces := map[string]int{"lines": 37, "runes": 5, "blocks": 100_000, "one": 1 << 20}
	for name, size := range pieces {
		t.Run(name, func(t *testing.T) {
			whole := strings.Repeat("0123456789 äöü€\n", 30_000)
			o := s.NewOutput("t", name)
			for rest := whole; rest != ""; {
				n := min(size, len(rest))
				if err := o.Append(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			text := o.Text()
			if o.Bytes() != int64(len(whole)) || len(text) > OutputHead+OutputTail+100 || len(text) < OutputHead+OutputTail-100 {
				t.Fatalf("%d bytes of %d kept", len(text), o.Bytes())
			}
			if cmp.Diff(strings.ToValidUTF8(text, "?"), text) != "" {
				t.Fatal("a rune was cut")
			}
			if !strings.HasPrefix(whole, text[:OutputHead-10]) || !strings.HasSuffix(whole, text[len(text)-OutputTail+10:]) {
				t.Fatal("not head and tail")
			}
			o.Close()
			b, err := os.ReadFile(filepath.Join(s.o.Dir, spillDir, "t", name))
			if err != nil || string(b) != whole {
				t.Fatalf("spilled %d bytes of %d, %v", len(b), len(whole), err)
			}
			c := s.ContinueOutput("t", name, text, o.Bytes())
			if err := c.Append("THE END"); err != nil {
				t.Fatal(err)
			}
			c.Close()
			if b, _ = os.ReadFile(filepath.Join(s.o.Dir, spillDir, "t", name)); string(b) != whole+"THE END" {
				t.Fatal("going on does not append")
			}
			if err := o.Replace("small"); err != nil || o.Text() != "small" || o.Capped() {
				t.Fatalf("%v %q", err, o.Text())
			}
		})
	}
	if err := s.SweepSpill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.o.Dir, spillDir, "t")); !os.IsNotExist(err) {
		t.Fatal("spill files of no thread are kept")
	}
}

func TestSpillIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	o := s.NewOutput("t", "i")
	block := strings.Repeat("x", 1<<20)
	for range 70 {
		if err := o.Append(block); err != nil {
			t.Fatal(err)
		}
	}
	o.Close()
	info, err := os.Stat(filepath.Join(s.o.Dir, spillDir, "t", "i"))
	if err != nil || info.Size() != spillMost || o.Bytes() != 70<<20 {
		t.Fatalf("%v %v", info.Size(), err)
	}
}
