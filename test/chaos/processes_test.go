//go:build linux

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is one of the product's or of the simulated machine's.
type process struct {
	pid, parent int
	role        string // desktop, backend, wsl, agent, guard, vm, relay or other
	state       byte   // of /proc/pid/stat
	argv        []string
}

func (p process) String() string { return fmt.Sprintf("%s %d %q", p.role, p.pid, p.argv) }

func roleOf(exe string, argv []string) string {
	arg0 := ""
	if len(argv) > 0 {
		arg0 = filepath.Base(argv[0])
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	base := filepath.Base(exe)
	isBackend := base == "catamaran-backend" || strings.Contains(exe, "/.catamaran/bin/")
	switch {
	case arg0 == "catamaran-guard":
		return "guard"
	case arg0 == "wslsim-init":
		return "vm"
	case strings.HasPrefix(arg0, "wslsim-"):
		return "relay"
	case base == "wsl.exe":
		return "wsl"
	case base == "catamaran":
		return "desktop"
	case isBackend && slices.Contains(argv, "--stdio"):
		return "backend"
	case isBackend && slices.Contains(argv, "demo-agent"):
		return "agent"
	}
	return "other"
}

// processes lists what runs for the world: by program, folder, arguments or environment.
func (w *world) processes() []process {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	mark := []byte(w.dir + "/")
	var found []process
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil {
			continue // a kernel thread, or it has just ended
		}
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if !bytes.HasPrefix([]byte(exe), mark) && !bytes.Contains(line, mark) && !bytes.Contains(env, mark) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(f) < 2 || f[0] == "Z" || f[0] == "X" {
			continue
		}
		p := process{pid: pid, state: f[0][0]}
		p.parent, _ = strconv.Atoi(f[1])
		for a := range bytes.SplitSeq(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
			p.argv = append(p.argv, string(a))
		}
		p.role = roleOf(exe, p.argv)
		found = append(found, p)
	}
	return found
}

func (w *world) of(role string) []process {
	return slices.DeleteFunc(w.processes(), func(p process) bool { return p.role != role })
}

// databases maps each database to the processes that have it open. A child that a
// backend has just forked, to become an agent, still looks like it and does not count.
func (w *world) databases() map[string][]int {
	open := map[string][]int{}
	all := w.of("backend")
	for _, p := range all {
		if slices.ContainsFunc(all, func(q process) bool { return q.pid == p.parent }) {
			continue
		}
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
		seen := map[string]bool{}
		for _, fd := range fds {
			name, err := os.Readlink(fd)
			if err == nil && filepath.Base(name) == "catamaran.db" && !seen[name] {
				seen[name] = true
				open[name] = append(open[name], p.pid)
			}
		}
	}
	return open
}

// alive reports whether the process behind a pidfd still runs.
func alive(fd int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n == 0
	}
}
