//go:build !windows

package main

// tell needs Windows.
func tell([]string) int { return 2 }
