// Command peer is the other end of the link's conformance suite, for the inside of
// a distro: what the suite's owner on Windows talks to.
package main

import (
	"os"

	"catamaran/internal/link/linktest"
)

func main() { os.Exit(linktest.PeerMain(os.Args[1:])) }
