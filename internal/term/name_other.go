//go:build unix && !linux && !darwin

package term

func programName(int) string { return "" }
