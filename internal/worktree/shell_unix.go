//go:build !windows

package worktree

func shell(script string) (string, []string) { return "/bin/sh", []string{"-c", script} }
