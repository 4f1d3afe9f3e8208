package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// procThreadAttributeJobList is PROC_THREAD_ATTRIBUTE_JOB_LIST (WinBase.h), Windows 10.
const procThreadAttributeJobList = 0x0002000d

// create starts what cmd describes as a member of job from its first moment:
// os/exec can only put a process into a job afterwards, and a parent that is
// killed in between leaves one behind, suspended for ever.
func create(cmd *exec.Cmd, commandLine string, flags uint32, job windows.Handle) (process windows.Handle, pid int, err error) {
	path, err := executable(cmd.Path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return 0, 0, err
	}
	if commandLine == "" {
		commandLine = quoted(cmd.Args[1:])
	}
	app, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	line, err := windows.UTF16PtrFromString(strings.TrimSuffix(syscall.EscapeArg(cmd.Args[0])+" "+commandLine, " "))
	if err != nil {
		return 0, 0, err
	}
	var dir *uint16
	if cmd.Dir != "" {
		if dir, err = windows.UTF16PtrFromString(cmd.Dir); err != nil {
			return 0, 0, err
		}
	}
	env, err := environment(cmd.Env)
	if err != nil {
		return 0, 0, err
	}
	var std [3]windows.Handle
	var inherited []windows.Handle
	defer func() {
		for _, h := range inherited {
			windows.CloseHandle(h)
		}
	}()
	self := windows.CurrentProcess()
	for i, stream := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		f, ok := stream.(*os.File)
		if !ok || f == nil {
			continue
		}
		if err := windows.DuplicateHandle(self, windows.Handle(f.Fd()), self, &std[i], 0, true, windows.DUPLICATE_SAME_ACCESS); err != nil {
			return 0, 0, fmt.Errorf("pass a standard stream on: %w", err)
		}
		inherited = append(inherited, std[i])
	}
	list, err := windows.NewProcThreadAttributeList(2)
	if err != nil {
		return 0, 0, err
	}
	defer list.Delete()
	if err := list.Update(procThreadAttributeJobList, unsafe.Pointer(&job), unsafe.Sizeof(job)); err != nil {
		return 0, 0, fmt.Errorf("name the job: %w", err)
	}
	if len(inherited) > 0 { // these handles and no other
		if err := list.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, unsafe.Pointer(&inherited[0]), uintptr(len(inherited))*unsafe.Sizeof(inherited[0])); err != nil {
			return 0, 0, fmt.Errorf("name the streams: %w", err)
		}
	}
	start := windows.StartupInfoEx{ProcThreadAttributeList: list.List()}
	start.Cb = uint32(unsafe.Sizeof(start))
	start.Flags = windows.STARTF_USESTDHANDLES
	start.StdInput, start.StdOutput, start.StdErr = std[0], std[1], std[2]
	var info windows.ProcessInformation
	flags |= windows.CREATE_UNICODE_ENVIRONMENT | windows.EXTENDED_STARTUPINFO_PRESENT
	if err := windows.CreateProcess(app, line, nil, nil, len(inherited) > 0, flags, env, dir, &start.StartupInfo, &info); err != nil {
		return 0, 0, err
	}
	windows.CloseHandle(info.Thread)
	return info.Process, int(info.ProcessId), nil
}

func quoted(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = syscall.EscapeArg(a)
	}
	return strings.Join(words, " ")
}

// environment makes the block of a child's environment: the last value of a name
// counts, whatever its case, and SystemRoot is always there, without which
// programs cannot load what belongs to the system. nil is this process's own.
func environment(env []string) (*uint16, error) {
	if env == nil {
		return nil, nil
	}
	seen := map[string]bool{}
	var kept []string
	for i := len(env) - 1; i >= 0; i-- {
		// A name may begin with "=", as those of the folders on drives do.
		n := strings.IndexByte(env[i][min(1, len(env[i])):], '=')
		if n < 0 || strings.ContainsRune(env[i], 0) {
			continue
		}
		if name := strings.ToUpper(env[i][:n+1]); !seen[name] {
			seen[name] = true
			kept = append(kept, env[i])
		}
	}
	if !seen["SYSTEMROOT"] {
		kept = append(kept, "SYSTEMROOT="+os.Getenv("SYSTEMROOT"))
	}
	var block []uint16
	for i := len(kept) - 1; i >= 0; i-- {
		units, err := windows.UTF16FromString(kept[i])
		if err != nil {
			return nil, err
		}
		block = append(block, units...)
	}
	return &append(block, 0)[0], nil
}
