// Command wine makes the folder with Wine that the tests of the Windows programs
// run in: `go run ./tools/wine install` does nothing where it is there. It says
// what it installs; it needs root, and Debian's package tools.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"catamaran/test/windows/wine"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] != "install" {
		fmt.Fprintln(os.Stderr, "usage: go run ./tools/wine install")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := wine.Install(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(1)
	}
	fmt.Println("Wine is in", dir)
}
