//go:build !linux && !windows

package main

// systemIsDark is not known here; the page draws its own background a moment later.
func systemIsDark() bool { return false }
