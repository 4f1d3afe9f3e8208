//go:build !linux && !windows

package proc

func memory() int64 { return 0 }
