package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
	"catamaran/internal/proc"
)

const (
	// wslpathTimeout bounds the second opinion; it asks Windows in odd cases.
	wslpathTimeout = 5 * time.Second
	// maxTable bounds a mount table in bytes.
	maxTable = 4 << 20
	// standIn is a folder in the user's home whose files mountinfo and wsl.conf, where they
	// exist, are read in place of /proc/self/mountinfo and /etc/wsl.conf. It is a test hook:
	// a simulated distro has the host's kernel, which shows no Windows drives in any namespace.
	standIn = ".wslsim"
)

// translatePath answers path.translate.
func (s *Server) translatePath(ctx context.Context, in api.PathTranslate) (api.PathTranslated, error) {
	path, err := s.native(ctx, in.Path)
	if err == nil {
		path, err = resolveFolder(path, s.o.Descriptor.Home)
	}
	return api.PathTranslated{Path: path}, err
}

// native makes a path as a person types or picks it one of this system. A
// Windows path is translated inside a WSL distro and refused everywhere else but
// on Windows: it never gets further than here (W2.2, W2.3). Errors: *api.Error
// CodePathUntranslatable naming the path and the reason.
func (s *Server) native(ctx context.Context, given string) (string, error) {
	path := strings.TrimSpace(given)
	if filepath.Separator != '/' || !hostpath.LooksWindows(path) {
		return given, nil
	}
	if s.o.Distro == "" {
		return "", untranslatable(fmt.Sprintf("path %q: a Windows path, and this environment does not run on Windows", path), "Give the path as this environment sees it, or open the folder in the Windows environment.")
	}
	w, err := hostpath.ParseWin(path)
	if err != nil {
		return "", untranslatable(err.Error(), `Give a path on a drive, as C:\folder, or one of this distro.`)
	}
	if w.Kind == hostpath.KindWSL {
		// Compared here, since wslpath takes a sibling whose name begins alike for this one.
		if !hostpath.SameDistro(w.Distro, s.o.Distro) {
			return "", untranslatable(fmt.Sprintf("path %q: it belongs to the distro %q, and this environment runs in %q", path, w.Distro, s.o.Distro), "Open it in the environment of that distro.")
		}
		return string(w.Linux), nil
	}
	l, err := s.onDrive(ctx, w)
	if err != nil {
		return "", err
	}
	return string(l), nil
}

func untranslatable(message, hint string) error {
	return &api.Error{Code: api.CodePathUntranslatable, Message: strings.TrimSuffix(message, ".") + ".", Hint: hint}
}

// onDrive asks the mount table, then wslpath where there is one. The table
// decides; wslpath may contradict it, which is a refusal, or know of a drive
// whose mount does not name it, and then the table must at least agree that
// the answer lies on Windows.
func (s *Server) onDrive(ctx context.Context, w hostpath.WinPath) (hostpath.LinuxPath, error) {
	text, err := s.systemFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("read the mount table: %w", err)
	}
	table := hostpath.ParseMounts(text)
	found, terr := table.Translate(w)
	second, asked := s.wslpath(ctx, w)
	switch {
	case terr == nil && (!asked || second == found):
		return found, nil
	case terr == nil:
		return "", untranslatable(fmt.Sprintf("path %q: the mount table says %s and wslpath says %s", w.String(), found, second), "Give the path as this distro sees it.")
	case asked && table.OnWindows(second):
		return second, nil
	}
	if conf, err := s.systemFile("/etc/wsl.conf"); err == nil && !table.Drives() && hostpath.AutomountOff(conf) {
		var e *hostpath.Error
		if errors.As(terr, &e) {
			return "", untranslatable(fmt.Sprintf("path %q: mounting of Windows drives is turned off in /etc/wsl.conf of %s", e.Path, s.o.Distro),
				"Set enabled=true under [automount] there and run: wsl.exe --terminate "+s.o.Distro+", or open the folder in the Windows environment.")
		}
	}
	return "", untranslatable(terr.Error(), "WSL mounts fixed drives only. Mount the drive in the distro, or open the folder in the Windows environment.")
}

func (s *Server) systemFile(path string) (string, error) {
	f, err := os.Open(filepath.Join(s.o.Descriptor.Home, standIn, filepath.Base(path)))
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.Open(path)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTable))
	return string(b), err
}

// wslpath is the distro's own opinion; asked is false when it has none. Only a
// checked absolute drive path is given to it: with others it answers nonsense
// and succeeds.
func (s *Server) wslpath(ctx context.Context, w hostpath.WinPath) (l hostpath.LinuxPath, asked bool) {
	program, err := proc.LookPath("wslpath", os.Getenv("PATH"))
	if err != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, wslpathTimeout)
	defer cancel()
	r, err := proc.Run(ctx, proc.Spec{Name: "wslpath", Path: program, Args: []string{"-u", w.String()}, Dir: "/"}, nil, 64<<10)
	if err != nil || r.ExitCode != 0 {
		// It often fails without a reason, and its words are not to be read.
		s.log.Debug("wslpath", "path", w.String(), "exit", r.ExitCode, "err", err)
		return "", false
	}
	l, err = hostpath.ParseLinux(strings.TrimSuffix(string(r.Stdout), "\n"))
	return l, err == nil
}

// addProject is project.add, with the path of the system the backend runs in.
func (s *Server) addProject(ctx context.Context, commandID string, in api.ProjectAdd) (api.Project, error) {
	path, err := s.native(ctx, in.Path)
	if err != nil {
		return api.Project{}, err
	}
	in.Path = path
	return s.o.Engine.AddProject(ctx, commandID, in)
}
