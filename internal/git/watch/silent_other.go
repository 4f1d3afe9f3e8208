//go:build !linux

package watch

// defaultMost is small: kqueue holds a descriptor for every file of a watched folder.
const defaultMost = 1000

func silent(string) bool { return false }
