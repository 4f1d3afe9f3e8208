//go:build !linux && !windows

package wslsim

func bridgeFront([]string) (int, bool) { return 0, false }
func bridgeMain(string) int            { return exitRefused }
