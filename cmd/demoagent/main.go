// Command demoagent is the built-in demo agent as a program of its own: ACP v1
// on standard input and output, for tests and for trying other clients.
package main

import (
	"fmt"
	"os"

	"catamaran/internal/agent/demoagent"
	"catamaran/internal/build"
	"catamaran/internal/proc"
)

func main() {
	proc.GuardMain()
	if len(os.Args) > 1 && (os.Args[1] == "--version" || os.Args[1] == "-V") {
		fmt.Println("demoagent", build.Version)
		return
	}
	if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
