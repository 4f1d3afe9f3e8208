package proc

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	exeSuffix             = ".exe"
	noExec    os.FileMode = 0o755
)

var terminateSignal os.Signal = syscall.SIGTERM

// flood in bytes; a write to a pipe is slow under Wine.
const flood = 1_000_000

// withTerm: no signal can be sent, so the ladder goes from stdin's end to the job's.
func withTerm(eof, _ string) string { return eof }

// killedSignal: an exit code tells that a child was killed, no signal does.
const killedSignal = ""

// notExecutable: a file is run for its extension, so one without is none.
var notExecutable = os.ErrNotExist

// No child opens a console window; only the terminal commands' keep the user's own.
func TestNoConsoleFlashes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec Spec
		want uint32
	}{
		"child":            {Spec{}, windows.CREATE_NO_WINDOW},
		"guarded child":    {Spec{Guard: true}, windows.CREATE_NO_WINDOW},
		"raw arguments":    {Spec{CommandLine: "/c x"}, windows.CREATE_NO_WINDOW},
		"with the console": {Spec{InheritConsole: true}, 0},
	} {
		tree, err := newTree(c.spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		tree.release()
		if tree.flags != c.want {
			t.Errorf("%s: creation flags %#x, want %#x", name, tree.flags, c.want)
		}
	}
	r, err := Run(deadline(t, time.Minute), role("console"), nil, 100)
	if err != nil || string(r.Stdout) != "0" {
		t.Errorf("a child's console window is %q, %v", r.Stdout, err)
	}
}

func init() {
	roles["console"] = func([]string) {
		w, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetConsoleWindow").Call()
		os.Stdout.WriteString(strconv.FormatUint(uint64(w), 10))
	}
}

// The last value of a name counts, whatever its case; SystemRoot is always there.
func TestEnvironmentBlock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"folders of drives": {[]string{"=C:=C:\\x", "SystemRoot=r"}, []string{"=C:=C:\\x", "SystemRoot=r"}},
		"case":              {[]string{"Path=a", "B=1", "PATH=b", "SYSTEMROOT=r"}, []string{"B=1", "PATH=b", "SYSTEMROOT=r"}},
		"no system":         {[]string{"A=ü=日"}, []string{"SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "A=ü=日"}},
		"nonsense":          {[]string{"", "=", "x", "a\x00b=1", "SYSTEMROOT=r"}, []string{"SYSTEMROOT=r"}},
	} {
		block, err := environment(c.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for {
			s := windows.UTF16PtrToString(block)
			if s == "" {
				break
			}
			got = append(got, s)
			block = (*uint16)(unsafe.Add(unsafe.Pointer(block), 2*(len(utf16.Encode([]rune(s)))+1)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
