package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generate(t *testing.T, src string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n"+src), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Generate(dir)
	return string(b), err
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, want string }{
		{"tags and optional", "type A struct { X string `json:\"x\"`; Y int64 `json:\"y,omitempty\"` }", "export interface A {\n  x: string;\n  y?: number;\n}"},
		{"untagged keeps the Go name", "type A struct { X bool }", "  X: boolean;"},
		{"left out", "type A struct { X bool `json:\"-\"`; y int; Z int }", "export interface A {\n  Z: number;\n}"},
		{"pointer", "type A struct { X *A `json:\"x\"`; Y *A `json:\"y,omitempty\"` }", "  x: A | null;\n  y?: A;"},
		{"raw message", "type A struct { X json.RawMessage `json:\"x\"` }", "  x: unknown;"},
		{"embedded", "type A struct { X int }\ntype B struct { A; Y []string }", "export interface B extends A {\n  Y: string[];\n}"},
		{"map and bytes", "type A struct { X map[string][]byte }", "  X: Record<string, string>;"},
		{"empty", "type A struct{}", "export type A = Record<string, never>;"},
		{"union in source order", "type M string\nconst (\n B M = \"b\"\n A M = \"a\"\n)", "export type M =\n  | \"b\"\n  | \"a\";"},
		{"open string type", "type M string", "export type M =\n  | string;"},
		{"untyped constants", "type M string\nconst P = \"p.q\"\nconst V = 3\nconst S = 1 << 4", "export const P = \"p.q\";\nexport const V = 3;\n"},
		{"doc", "// A is one.\ntype A struct { X int // why\n}", "/** A is one. */\nexport interface A {\n  /** why */\n  X: number;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := generate(t, c.src)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwant in it:\n%s", got, c.want)
			}
		})
	}
}

func TestRefusesWhatItCannotSay(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]string{
		"unknown type":  "type A struct { X Nowhere }",
		"function":      "type A struct { X func() }",
		"map key":       "type A struct { X map[int]string }",
		"string option": "type A struct { X int `json:\"x,string\"` }",
		"foreign embed": "type A struct { time.Time }",
		"nothing":       "var x int",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := generate(t, src); err == nil {
				t.Errorf("no error, got:\n%s", got)
			}
		})
	}
}

// The committed file is the contract the page was checked against.
func TestCommittedFileIsFresh(t *testing.T) {
	t.Parallel()
	if err := run("../../internal/api", "../../web/src/api/types.gen.ts", true); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(t.TempDir(), "x.ts")
	if err := os.WriteFile(stale, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run("../../internal/api", stale, true); err == nil {
		t.Error("-check accepts a stale file")
	}
}
