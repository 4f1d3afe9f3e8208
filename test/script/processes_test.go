//go:build linux

package script

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// victim is one process of a story.
type victim struct {
	pid, parent int
	exe         string
	argv        []string
	fd          int // pidfd, 0 without
}

func (v victim) String() string { return fmt.Sprintf("%d %s %q", v.pid, v.exe, v.argv) }

// role is what the process is in the product.
func (v victim) role() string {
	arg0 := ""
	if len(v.argv) > 0 {
		arg0 = filepath.Base(v.argv[0])
	}
	base := filepath.Base(strings.TrimSuffix(v.exe, " (deleted)"))
	switch {
	case arg0 == "wslsim-init":
		return "vm" // the simulated machine itself; it outlives what runs in it
	case base == "wsl.exe" && strings.HasPrefix(arg0, "wslsim-"):
		return "relay"
	case base == "wsl.exe":
		return "wsl"
	case base == "catamaran":
		return "desktop"
	case strings.HasPrefix(base, "catamaran-backend") || strings.Contains(v.exe, "/.catamaran/bin/"):
		return "backend"
	}
	return ""
}

// processes lists what runs for the story: by program, folder, arguments or environment.
func (s *story) processes() []victim {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	mark := []byte(s.work + "/")
	var found []victim
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
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if !bytes.HasPrefix([]byte(exe), mark) && !bytes.HasPrefix([]byte(cwd+"/"), mark) && !bytes.Contains(line, mark) && !bytes.Contains(env, mark) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		after := stat[bytes.LastIndexByte(stat, ')')+1:]
		f := strings.Fields(string(after))
		if len(f) < 2 || f[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(f[1])
		v := victim{pid: pid, parent: parent, exe: exe}
		for a := range bytes.SplitSeq(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
			v.argv = append(v.argv, string(a))
		}
		found = append(found, v)
	}
	return found
}

// kill9 desktop|backend|wsl|agent kills one process and remembers which others must end with it.
func (s *story) kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 desktop|backend|wsl")
	}
	all := s.processes()
	i := slices.IndexFunc(all, func(v victim) bool { return v.role() == args[0] })
	if i < 0 {
		ts.Fatalf("no %s runs: %v", args[0], all)
	}
	target := all[i]
	s.victims = nil
	for _, v := range all {
		takes := v.pid == target.pid || descends(all, v, target.pid)
		switch {
		case v.role() == "vm":
			takes = false
		case args[0] == "desktop":
			takes = true
		case args[0] == "wsl":
			takes = takes || v.role() == "backend" || v.role() == "relay" || slices.ContainsFunc(all, func(b victim) bool {
				return b.role() == "backend" && descends(all, v, b.pid)
			})
		}
		if !takes {
			continue
		}
		fd, err := unix.PidfdOpen(v.pid, 0)
		if err != nil {
			continue // it has ended in this moment
		}
		v.fd = fd
		s.victims = append(s.victims, v)
	}
	ts.Logf("victims: %v", s.victims)
	ts.Check(syscall.Kill(target.pid, syscall.SIGKILL))
	if args[0] == "desktop" {
		<-s.ended
		s.process = nil
	}
}

func descends(all []victim, v victim, from int) bool {
	for range all {
		i := slices.IndexFunc(all, func(p victim) bool { return p.pid == v.parent })
		if i < 0 {
			return v.parent == from
		}
		if v = all[i]; v.pid == from {
			return true
		}
	}
	return false
}

// gone: every victim of the last kill9 ends within five seconds. With "all", no
// process of the story is left at all but the simulated machine.
func (s *story) gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "all" {
		ts.Fatalf("usage: gone [all]")
	}
	end := time.Now().Add(5 * time.Second)
	for _, v := range s.victims {
		defer unix.Close(v.fd)
		if !awaitEnd(v.fd, time.Until(end)) {
			ts.Fatalf("still there after 5 s: %v", v)
		}
	}
	s.victims = nil
	if len(args) == 0 {
		return
	}
	for {
		left := slices.DeleteFunc(s.processes(), func(v victim) bool { return v.role() == "vm" })
		if len(left) == 0 {
			return
		}
		fd, err := unix.PidfdOpen(left[0].pid, 0)
		if err != nil {
			continue
		}
		over := awaitEnd(fd, time.Until(end))
		unix.Close(fd)
		if !over {
			ts.Fatalf("still there after 5 s: %v", left)
		}
	}
}

// awaitEnd waits on a pidfd.
func awaitEnd(fd int, d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(end).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		return err == nil && n > 0
	}
}

// listeners: the story's processes listen on the gateway's loopback port and on
// the control socket, and on nothing else (W4.1). The simulated machine's own socket does not count.
func (s *story) listeners(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: listeners")
	}
	var tcp, local, backends []string
	for _, v := range s.processes() {
		if v.role() == "vm" {
			continue
		}
		if v.role() == "backend" {
			backends = append(backends, v.exe)
		}
		dir := filepath.Join("/proc", strconv.Itoa(v.pid))
		own := sockets(dir)
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
			for _, f := range table(filepath.Join(dir, "net", name)) {
				listening := strings.HasPrefix(name, "udp") || f[3] == "0A"
				if len(f) > 9 && listening && own[f[9]] {
					tcp = append(tcp, fmt.Sprintf("%s %s %s", name, f[1], filepath.Base(v.exe)))
				}
			}
		}
		for _, f := range table(filepath.Join(dir, "net", "unix")) {
			const accepting = 1 << 16
			flags, _ := strconv.ParseUint(f[3], 16, 64)
			if len(f) > 6 && flags&accepting != 0 && own[f[6]] {
				path := ""
				if len(f) > 7 {
					path = f[7]
				}
				local = append(local, path+" "+filepath.Base(v.exe))
			}
		}
	}
	if len(backends) == 0 {
		ts.Fatalf("no backend runs, so this would show nothing")
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.client.Base, "http://"), ":")
	n, err := strconv.Atoi(port)
	ts.Check(err)
	if want := fmt.Sprintf("tcp 0100007F:%04X catamaran", n); len(tcp) != 1 || tcp[0] != want {
		ts.Fatalf("listening: %q, want only %q", tcp, want)
	}
	if want := filepath.Join(ts.Getenv("CATAMARAN_HOME"), "desktop", "control.sock") + " catamaran"; len(local) != 1 || local[0] != want {
		ts.Fatalf("listening locally: %q, want only %q", local, want)
	}
}

func sockets(dir string) map[string]bool {
	own := map[string]bool{}
	fds, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, fd := range fds {
		l, _ := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if inode, ok := strings.CutPrefix(l, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own
}

// table returns the fields of each line of a /proc/net table but its heading.
func table(path string) [][]string {
	b, _ := os.ReadFile(path)
	var rows [][]string
	for i, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); i > 0 && len(f) > 6 {
			rows = append(rows, f)
		}
	}
	return rows
}

// anyToken is the form of every session token, the backends' included.
var anyToken = regexp.MustCompile(`ct1\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`)

// nosecrets: launch codes, session tokens and forwarded keys are in no argument
// list of any process and in no file of the story (W7.4).
func (s *story) noSecrets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: nosecrets")
	}
	if s.client.Token == "" || !anyToken.MatchString(s.client.Token) {
		ts.Fatalf("no page is signed in, or its token has another form, so this would show nothing")
	}
	leaks := func(b []byte) string {
		for _, secret := range append([]string{s.client.Token}, s.secrets...) {
			if bytes.Contains(b, []byte(secret)) {
				return secret[:6] + "..."
			}
		}
		return string(anyToken.Find(b))
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, p := range lines {
		b, err := os.ReadFile(p)
		if err == nil && leaks(b) != "" {
			ts.Fatalf("secret %s in the arguments %q", leaks(b), b)
		}
	}
	files := 0
	err = filepath.WalkDir(s.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it came or went in this moment, or is no file
		}
		info, err := d.Info()
		if err != nil || info.Mode()&0o111 != 0 && info.Size() > 1<<20 {
			return nil // a program
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		if l := leaks(b); l != "" {
			return fmt.Errorf("secret %s in %s (%v)", l, path, info.Mode())
		}
		return nil
	})
	ts.Check(err)
	if files < 5 {
		ts.Fatalf("only %d files were looked at", files)
	}
}
