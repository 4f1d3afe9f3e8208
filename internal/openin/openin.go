// Package openin builds what opens a folder of an environment in a program of
// the desktop's own system, or a file at a line in an editor: an editor with a
// remote link into a distro, the file manager on the distro's share, a terminal
// inside it. It is pure: it runs
// nothing, looks for nothing on disk, and package shell carries the result out.
//
// Invariants: a path that has no form for the program is refused, never guessed
// at; everything is an argument vector or one percent-encoded address, so that
// no shell reads a path; a distro's path never reaches a program as a path of
// another system.
package openin

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
	"catamaran/internal/wsl"
)

// Target is what a folder is opened in.
type Target string

const (
	Folder   Target = "folder"
	VSCode   Target = "vscode"
	Cursor   Target = "cursor"
	Windsurf Target = "windsurf"
	Terminal Target = "terminal"
)

// Place is a folder, or with a Line, from 1, a file: of the distro, or of the
// desktop's own system when Distro is "".
type Place struct {
	Distro, Path string
	Line         int
}

// at is what stands behind a file's path in an editor's address or argument. Without
// it an address into a distro means a folder.
func (p Place) at() string {
	if p.Line == 0 {
		return ""
	}
	return ":" + strconv.Itoa(p.Line)
}

// Command is one way to open it. Exactly one of the three is set.
type Command struct {
	// Address is for the system's handler of its scheme.
	Address string
	// Explore is a folder for the system's file manager; it opens folders only,
	// where a program of the same name would be run.
	Explore string
	// Program is looked up along PATH and started with Args in Dir ("" anywhere).
	Program string
	Args    []string
	Dir     string
}

// editors by target: the scheme of their addresses and their program.
var editors = map[Target]struct{ name, scheme, program string }{
	VSCode:   {"VS Code", "vscode", "code"},
	Cursor:   {"Cursor", "cursor", "cursor"},
	Windsurf: {"Windsurf", "windsurf", "windsurf"},
}

// Openers lists what can be offered on a desktop of goos, in the order shown.
func Openers(goos string) []api.Opener {
	folder := "File manager"
	switch goos {
	case "windows":
		folder = "Explorer"
	case "darwin":
		folder = "Finder"
	}
	list := []api.Opener{{ID: string(Folder), Name: folder}}
	for _, t := range []Target{VSCode, Cursor, Windsurf} {
		list = append(list, api.Opener{ID: string(t), Name: editors[t].name})
	}
	return append(list, api.Opener{ID: string(Terminal), Name: "Terminal"})
}

// Build returns the ways to open a place on a desktop of goos, the best first.
// Errors are *api.Error: CodeInvalid for an unknown target or a file in anything
// but an editor, CodePathUntranslatable for a path that has no form there.
func Build(goos string, p Place, t Target) ([]Command, error) {
	editor, isEditor := editors[t]
	if !isEditor && t != Folder && t != Terminal {
		return nil, &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("Nothing called %.32q can open a folder.", string(t))}
	}
	if p.Line < 0 || p.Line > 0 && !isEditor {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "Only editors open a file at a line.", Hint: "Open its folder."}
	}
	if strings.ContainsRune(p.Path, 0) {
		return nil, refuse(p.Path, "it holds a zero byte")
	}
	if p.Distro == "" {
		return native(goos, p, t, editor.scheme, editor.program)
	}
	if goos != "windows" {
		return nil, refuse(p.Path, "folders of a distro can be opened from Windows only")
	}
	linux, err := hostpath.ParseLinux(p.Path)
	if err != nil {
		return nil, refuse(p.Path, err.Error())
	}
	if err := hostpath.CheckDistro(p.Distro); err != nil {
		return nil, refuse(p.Path, err.Error())
	}
	switch {
	case isEditor:
		// The remote is "wsl+<distro>". Not code.cmd: a batch file's arguments are
		// read once more by cmd.exe, and a path may hold anything.
		return []Command{{Address: editor.scheme + "://vscode-remote/wsl+" + escape(p.Distro, "") + escape(string(linux), "/") + p.at()}}, nil
	case t == Terminal:
		args, err := wsl.ShellArgs(p.Distro, string(linux))
		if err != nil {
			return nil, err
		}
		return []Command{{Program: "wt.exe", Args: append([]string{"-w", "0", "new-tab"}, protect(args)...)}, {Program: args[0], Args: args[1:]}}, nil
	}
	unc, err := linux.Windows(p.Distro)
	if err != nil {
		return nil, refuse(p.Path, err.Error())
	}
	return []Command{{Explore: unc}}, nil
}

// protect keeps Windows Terminal from reading a semicolon as its own separator.
func protect(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, ";", `\;`)
	}
	return out
}

func refuse(p, why string) error {
	return &api.Error{Code: api.CodePathUntranslatable, Message: fmt.Sprintf("%.200q cannot be opened: %s.", p, why)}
}

func native(goos string, place Place, t Target, scheme, program string) ([]Command, error) {
	if goos == "windows" {
		return nativeWindows(place, t, scheme)
	}
	p := place.Path
	if !path.IsAbs(p) {
		return nil, refuse(p, "it is not an absolute path")
	}
	p = path.Clean(p)
	open := "xdg-open"
	if goos == "darwin" {
		open = "open"
	}
	switch t {
	case Folder:
		return []Command{{Program: open, Args: []string{p}}}, nil
	case Terminal:
		if goos == "darwin" {
			return []Command{{Program: open, Args: []string{"-a", "Terminal", p}}}, nil
		}
		return []Command{{Program: "x-terminal-emulator", Dir: p}, {Program: "gnome-terminal", Args: []string{"--working-directory=" + p}}, {Program: "konsole", Args: []string{"--workdir", p}}, {Program: "xterm", Dir: p}}, nil
	}
	args := []string{p}
	if place.Line > 0 {
		args = []string{"--goto", p + place.at()}
	}
	return []Command{{Program: program, Args: args}, {Program: open, Args: []string{scheme + "://file" + escape(p, "/") + place.at()}}}, nil
}

func nativeWindows(place Place, t Target, scheme string) ([]Command, error) {
	p := place.Path
	w, err := hostpath.ParseWin(p)
	if err != nil {
		return nil, refuse(p, err.Error())
	}
	full := w.String()
	if full == "" {
		return nil, refuse(p, "it has no form for Windows' programs")
	}
	switch t {
	case Folder:
		return []Command{{Explore: full}}, nil
	case Terminal:
		return []Command{{Program: "wt.exe", Args: append([]string{"-w", "0", "new-tab", "-d"}, protect([]string{full})...)}, {Program: "powershell.exe", Dir: full}}, nil
	}
	if w.Kind == hostpath.KindWSL {
		return []Command{{Address: scheme + "://vscode-remote/wsl+" + escape(w.Distro, "") + escape(string(w.Linux), "/") + place.at()}}, nil
	}
	return []Command{{Address: scheme + "://file/" + escape(strings.ReplaceAll(full, `\`, "/"), "/:") + place.at()}}, nil
}

// escape percent-encodes everything but RFC 3986's unreserved characters and keep.
func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~"+keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
