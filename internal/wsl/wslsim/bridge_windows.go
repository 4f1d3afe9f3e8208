package wslsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
	winreg "golang.org/x/sys/windows/registry"
)

func bridgeMain(string) int { return exitRefused }

// bridgeFront is wsl.exe on Windows: false when no bridge is named beside the program.
func bridgeFront(argv []string) (int, bool) {
	if len(argv) == 3 && argv[1] == "wslsim-registry" {
		if err := writeRegistry(argv[2]); err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM:", err)
			return exitRefused, true
		}
		return 0, true
	}
	exe, err := os.Executable()
	if err != nil {
		return 0, false
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(exe), BridgeFile))
	if err != nil {
		return 0, false
	}
	var at BridgeAddress
	var code uint32
	if err = json.Unmarshal(b, &at); err == nil {
		code, err = callBridge(at)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM: bridge:", err)
		code = exitRefused
	}
	windows.ExitProcess(code) // all 32 bits
	return int(code), true
}

func callBridge(at BridgeAddress) (uint32, error) {
	control, err := net.DialTimeout("tcp4", at.Address, bridgeWait)
	if err != nil {
		return 0, err
	}
	defer control.Close()
	req := bridgeHello{Token: at.Token, Raw: windows.UTF16PtrToString(windows.GetCommandLine()), Path: os.Getenv("PATH"), Env: crossingVars()}
	if req.Dir, err = os.Getwd(); err != nil {
		return 0, err
	}
	var answer bridgeAnswer
	if err = writeLine(control, req); err == nil {
		err = readLine(control, &answer, bridgeWait)
	}
	if err == nil && answer.Call == "" {
		err = errors.New(answer.Error)
	}
	if err != nil {
		return 0, err
	}
	var streams [3]*net.TCPConn
	for i := range streams {
		c, err := net.DialTimeout("tcp4", at.Address, bridgeWait)
		if err == nil {
			err = writeLine(c, bridgeHello{Token: at.Token, Call: answer.Call, Stream: i})
		}
		if err != nil {
			return 0, err
		}
		streams[i] = c.(*net.TCPConn)
	}
	go func() { // never waited for [A3.2]
		_, _ = copyPieces(streams[0], os.Stdin)
		_ = streams[0].CloseWrite()
	}()
	var out sync.WaitGroup
	for i, std := range []*os.File{os.Stdout, os.Stderr} {
		out.Go(func() {
			if _, err := copyPieces(std, streams[i+1]); !errors.Is(err, io.EOF) {
				streams[i+1].Close() // nobody reads: so the program sees a broken pipe
			}
		})
	}
	// As long as the program runs; the caller kills us when it has had enough.
	err = readLine(control, &answer, 0)
	out.Wait()
	if err != nil {
		return 1, nil // the channel was lost [X14]
	}
	if answer.Exit == nil {
		return 0, errors.New(answer.Error)
	}
	return *answer.Exit, nil
}

// crossingVars is what the Linux build may know of this environment. Names are
// compared with case, although Windows would find them without [A2.4].
func crossingVars() map[string]string {
	all := map[string]string{}
	for _, kv := range os.Environ() {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			all[name] = value
		}
	}
	env := map[string]string{}
	take := func(name string) {
		if v, ok := all[name]; ok {
			env[name] = v
		}
	}
	take("WSL_UTF8")
	take("WSLENV")
	for _, entry := range strings.Split(all["WSLENV"], ":") {
		name, _, _ := strings.Cut(entry, "/")
		take(name)
	}
	return env
}

const lxss = `Software\Microsoft\Windows\CurrentVersion\Lxss`

// writeRegistry puts the registry of a scenario (RegistryFile) into this user's
// real one, in place of what was there [B6].
func writeRegistry(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r registry
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	if err := deleteTree(winreg.CURRENT_USER, lxss); err != nil {
		return err
	}
	root, _, err := winreg.CreateKey(winreg.CURRENT_USER, lxss, winreg.ALL_ACCESS)
	if err != nil {
		return err
	}
	defer root.Close()
	if r.DefaultDistribution != "" {
		if err := root.SetStringValue("DefaultDistribution", r.DefaultDistribution); err != nil {
			return err
		}
	}
	for name, values := range r.Keys {
		k, _, err := winreg.CreateKey(root, name, winreg.ALL_ACCESS)
		if err != nil {
			return err
		}
		for v, x := range values {
			switch x := x.(type) {
			case string:
				err = errors.Join(err, k.SetStringValue(v, x))
			case float64:
				err = errors.Join(err, k.SetDWordValue(v, uint32(x)))
			default:
				err = errors.Join(err, fmt.Errorf("value %s has a type that is not simulated", v))
			}
		}
		k.Close()
		if err != nil {
			return err
		}
	}
	if r.Version == "" {
		return deleteTree(winreg.LOCAL_MACHINE, lxss+`\Msi`)
	}
	msi, _, err := winreg.CreateKey(winreg.LOCAL_MACHINE, lxss+`\Msi`, winreg.ALL_ACCESS|winreg.WOW64_64KEY)
	if err != nil {
		return err
	}
	defer msi.Close()
	return errors.Join(msi.SetStringValue("Version", r.Version), msi.SetStringValue("InstallLocation", `C:\Program Files\WSL\`))
}

var regDeleteTree = windows.NewLazySystemDLL("advapi32.dll").NewProc("RegDeleteTreeW")

func deleteTree(k winreg.Key, path string) error {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	if r, _, _ := regDeleteTree.Call(uintptr(k), uintptr(unsafe.Pointer(p))); r != 0 && windows.Errno(r) != windows.ERROR_FILE_NOT_FOUND {
		return fmt.Errorf("delete %s: %w", path, windows.Errno(r))
	}
	return nil
}
