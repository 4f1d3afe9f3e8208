// Command wslsim is a simulated wsl.exe for Linux. `wslsim wslsim-init DIR`
// makes a scenario with two distros; every other call is a call of wsl.exe on
// the machine that WSLSIM_SCENARIO names. All behaviour is in internal/wsl/wslsim.
package main

import (
	"os"

	"catamaran/internal/wsl/wslsim"
)

func main() { os.Exit(wslsim.Main(os.Args)) }
