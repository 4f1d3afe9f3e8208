// Command debian installs the Debian packages among its arguments that are
// missing, and says which and why: `debian -for "the window" libgtk-3-dev`. It
// needs apt-get and root; elsewhere it says what to install by hand.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	why := flag.String("for", "this project", "what they are for")
	flag.Parse()
	missing := missing(flag.Args())
	if len(missing) == 0 {
		return
	}
	fmt.Printf("%s needs: %s\n", *why, strings.Join(missing, " "))
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "debian: install them with your package manager, as root, then run this again")
		os.Exit(1)
	}
	fmt.Println("installing from Debian")
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)} {
		// Two at once wait for each other instead of failing.
		cmd := exec.Command("apt-get", append([]string{"-o", "DPkg::Lock::Timeout=900"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "debian: apt-get %s: %v\n", args[0], err)
			os.Exit(1)
		}
	}
}

// missing asks dpkg; without it everything is.
func missing(packages []string) []string {
	var out []string
	for _, p := range packages {
		status, err := exec.Command("dpkg-query", "-W", "-f=${db:Status-Status}", p).Output()
		if err != nil || string(status) != "installed" {
			out = append(out, p)
		}
	}
	return out
}
