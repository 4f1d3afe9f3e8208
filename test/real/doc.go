// Package real holds a real Windows with a real WSL to what the simulator
// promises: the conformance suites of wsl.exe and of the link, and questions whose
// answers only such a machine has. The tests have the build tag realwsl;
// `make real-kit` builds them into a folder with a PowerShell script that runs all
// and writes one report, for a machine without Go. docs/windows-checklist.md says
// what is asked and why. Package windows runs the same program under Wine, so that
// the kit itself is known to work.
//
// It starts the distro it is pointed at and leaves nothing in it; it never
// terminates a distro, shuts WSL down or changes a setting.
package real
