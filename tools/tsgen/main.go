// Command tsgen writes the page's TypeScript types from package internal/api.
//
// It reads the Go source with go/ast, so it needs no build of the tree and no
// reflection, and it fails on anything it does not understand instead of
// guessing: a Go type that has no faithful TypeScript form is an error here and
// not a surprise in the page. It is run by `make generate`; with -check it
// compares and fails when the committed file is stale (CI does that).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
)

func main() {
	in := flag.String("in", "internal/api", "folder of the Go package")
	out := flag.String("out", "web/src/api/types.gen.ts", "file to write")
	check := flag.Bool("check", false, "compare with the file instead of writing it; exit 1 when it is stale")
	flag.Parse()
	if err := run(*in, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "tsgen:", err)
		os.Exit(1)
	}
}

func run(in, out string, check bool) error {
	text, err := Generate(in)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(out, text, 0o644)
	}
	have, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text) {
		return fmt.Errorf("%s is stale: run `go run ./tools/tsgen`", out)
	}
	return nil
}
