package wsl

import (
	"bytes"
	"regexp"
	"strings"

	"catamaran/internal/api"
)

// class is a kind of failure of wsl.exe, told from the code path it prints.
type class string

const (
	classDistroNotFound class = "DISTRO_NOT_FOUND"
	classVirtualization class = "VIRTUALIZATION_DISABLED"
	classComponent      class = "COMPONENT_MISSING"
	classService        class = "SERVICE_BROKEN_RETRY_THEN_SHUTDOWN"
	classDiskMissing    class = "DISK_MISSING"
	classDiskDamaged    class = "DISK_DAMAGED"
	classUser           class = "USER_NOT_FOUND"
	classInstall        class = "INSTALL_BROKEN"
	classBusy           class = "DISTRO_BUSY"
	classArgument       class = "BAD_ARGUMENT"
	classConfig         class = "BAD_WSLCONFIG"
	classUsage          class = "USAGE"
	classNotInstalled   class = "NOT_INSTALLED"
	classKernel         class = "KERNEL_MISSING"
	classNoDistro       class = "NO_DISTRIBUTIONS"
	classSession        class = "NO_LOGIN_SESSION"
	classUnknown        class = "UNKNOWN"
	classLinuxExit      class = "LINUX_EXIT_1"
)

const (
	exitOwn      = 0xffffffff // -1: wsl.exe's own failure
	exitStub     = 50         // the System32 stub without WSL
	exitNoKernel = 0xfffffe44 // -444: inbox WSL without its kernel
)

// codePath is the last code path at a line end, as WSL prints it in every language.
var (
	codePath  = regexp.MustCompile(`(?m)((?:Wsl|WslConfig|Bash|Wslg)(?:/\w+)*/(?:0x[0-9a-f]+|[A-Z][A-Z0-9_]+))[ \t]*\r*$`)
	bareCode  = regexp.MustCompile(`(?m)^[^\r\n]{1,40}: *(0x[0-9a-f]+)[ \t]*\r*$`)
	byLastOne = map[string]class{
		"WSL_E_DISTRO_NOT_FOUND": classDistroNotFound, "0x80040302": classDistroNotFound,
		"WSL_E_DEFAULT_DISTRO_NOT_FOUND": classNoDistro, "0x80040301": classNoDistro,
		"HCS_E_HYPERV_NOT_INSTALLED": classVirtualization, "0x80370102": classVirtualization,
		"HCS_E_SERVICE_NOT_AVAILABLE": classVirtualization, "0x80370114": classVirtualization,
		"WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED": classComponent, "0x80040321": classComponent,
		"WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED": classComponent, "0x8004032d": classComponent,
		"E_UNEXPECTED": classService, "0x8000ffff": classService,
		"0x800706ba": classService, "RPC_S_SERVER_UNAVAILABLE": classService, "0x8007041d": classService, "0x80080005": classService,
		"E_OUTOFMEMORY": classService, "0x8007000e": classService,
		"WSL_E_VM_CRASHED": classService, "0x80040332": classService,
		"WSL_E_USER_NOT_FOUND": classUser, "0x80040308": classUser,
		"E_ILLEGAL_STATE_CHANGE": classBusy, "0x8000000d": classBusy,
		"WSL_E_DISK_CORRUPTED": classDiskDamaged, "0x8004032f": classDiskDamaged,
		"WSL_E_INVALID_USAGE": classUsage, "0x80040309": classUsage,
		"WSL_E_CUSTOM_KERNEL_NOT_FOUND": classConfig, "0x80040307": classConfig,
		"0x8007023f": classSession, "WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED": classSession, "0x8004032e": classSession,
		"E_INVALIDARG": classArgument, "0x80070057": classArgument,
		"0x1bc": classKernel,
	}
)

// extract returns the code path in the output, "" when it prints none.
func extract(output []byte) string {
	last := func(re *regexp.Regexp, s string) string {
		all := re.FindAllStringSubmatch(s, -1)
		if len(all) == 0 {
			return ""
		}
		return all[len(all)-1][1]
	}
	text := decode(output)
	// A stream can hold UTF-8 of Linux and UTF-16 of wsl.exe; a code is ASCII in both.
	ascii := string(bytes.ReplaceAll(output, []byte{0}, nil))
	for _, re := range []*regexp.Regexp{codePath, bareCode} { // inbox builds cut whole messages to a bare code
		for _, s := range []string{text, ascii} {
			if c := last(re, s); c != "" {
				return c
			}
		}
	}
	return ""
}

// ownFailure tells wsl.exe's failures from the exit codes of Linux programs.
func ownFailure(exit uint32) bool { return exit > 255 }

// classify reads wsl.exe's output and 32-bit exit code; code is "" when none was printed.
func classify(output []byte, exit uint32) (c class, code string) {
	switch {
	case exit == exitStub && extract(output) == "" && len(output) > 0:
		return classNotInstalled, ""
	case !ownFailure(exit):
		return classLinuxExit, ""
	case exit == exitNoKernel:
		return classKernel, extract(output)
	}
	code = extract(output)
	if code == "" {
		return classUsage, ""
	}
	last := code[strings.LastIndexByte(code, '/')+1:]
	switch {
	case strings.Contains(code, "/ParseConfig/"):
		return classConfig, code
	case strings.Contains(code, "/CallMsi/"), strings.Contains(code, "/MountVhd/"), strings.Contains(code, "/UpdatePackage/"):
		return classInstall, code
	case strings.Contains(code, "/MountDisk/"), strings.Contains(code, "/AttachDisk/"):
		if strings.HasSuffix(last, "_NOT_FOUND") || last == "0x80070002" || last == "0x80070003" {
			return classDiskMissing, code
		}
	}
	if c, ok := byLastOne[last]; ok {
		return c, code
	}
	return classUnknown, code
}

type answer struct {
	code          api.Code
	message, hint string
	retryable     bool
}

var answers = map[class]answer{
	classDistroNotFound: {api.CodeDistroNotFound, "This distro is not installed in WSL.", "Choose another distro in Settings > Environments, or install it with: wsl.exe --install <distro>", false},
	classVirtualization: {api.CodeWSLVirtualization, "WSL cannot start its virtual machine: virtualization is off.", "Turn on virtualization in the firmware (BIOS/UEFI), enable the Windows feature \"Virtual Machine Platform\" and restart Windows.", false},
	classComponent:      {api.CodeWSLNotInstalled, "A Windows component that WSL needs is not installed.", "Run as administrator: wsl.exe --install --no-distribution, then restart Windows.", false},
	classService:        {api.CodeWSLBroken, "The WSL service is not working right now.", "Try again. If it stays, restart WSL (this ends everything that runs in it): wsl.exe --shutdown", true},
	classDiskMissing:    {api.CodeWSLBroken, "The disk file of the distro is gone.", "Put the distro's ext4.vhdx back, or remove the distro with: wsl.exe --unregister <distro>", false},
	classDiskDamaged:    {api.CodeWSLBroken, "The virtual disk of the distro is damaged.", "Repair the disk or restore the distro from a backup; see https://aka.ms/wsldiskmountrecovery", false},
	classUser:           {api.CodeWSLBroken, "The distro's default user does not exist in it.", "Correct user.default in /etc/wsl.conf of the distro (wsl.exe -u root), then run: wsl.exe --terminate <distro>", false},
	classInstall:        {api.CodeWSLBroken, "The installation of WSL is damaged or being updated.", "Run: wsl.exe --update. If it stays, install WSL again.", true},
	classBusy:           {api.CodeDistroBusy, "The distro is being installed, converted, exported or removed.", "Wait until that has ended, or restart Windows if nothing is going on.", true},
	classArgument:       {api.CodeWSLBroken, "wsl.exe refused its arguments.", "Update WSL with: wsl.exe --update", false},
	classConfig:         {api.CodeWSLBroken, "WSL cannot start with its configuration file.", "Correct the value named below in .wslconfig in your Windows home folder.", false},
	classUsage:          {api.CodeWSLBroken, "wsl.exe failed without naming a reason; it may be too old for this command.", "Run: wsl.exe --update, then try again.", false},
	classNotInstalled:   {api.CodeWSLNotInstalled, "The Windows Subsystem for Linux is not installed.", "Run as administrator: wsl.exe --install, then restart Windows.", false},
	classKernel:         {api.CodeWSLBroken, "WSL has no Linux kernel.", "Run: wsl.exe --update", false},
	classNoDistro:       {api.CodeWSLNoDistro, "WSL is installed but has no distro.", "Install one, for example: wsl.exe --install Ubuntu", false},
	classSession:        {api.CodeWSLBroken, "WSL works only in the session of a user who is logged in.", "Start Catamaran from your desktop, not from a service or a remote session.", false},
	classUnknown:        {api.CodeWSLBroken, "WSL failed.", "Try again. If it stays, restart WSL (this ends everything that runs in it): wsl.exe --shutdown", true},
}

// failure is the error for people and for the supervisor.
func failure(c class, code string, output []byte) *api.Error {
	a := answers[c]
	e := &api.Error{Code: a.code, Message: a.message, Hint: a.hint, Retryable: a.retryable, Details: details(output)}
	if code != "" {
		e.Message = strings.TrimSuffix(e.Message, ".") + " (" + code + ")."
	}
	return e
}

func missingError() *api.Error {
	return &api.Error{Code: api.CodeWSLMissing, Message: "This Windows has no wsl.exe.",
		Hint: "WSL needs Windows 10 version 2004 or newer, or Windows 11. Turn on the Windows feature \"Windows Subsystem for Linux\"."}
}

func hungError(what, after string) *api.Error {
	return &api.Error{Code: api.CodeWSLHung, Message: "wsl.exe did not answer: " + what + " took longer than " + after + ".", Retryable: true,
		Hint: "Restart WSL (this ends everything that runs in it): wsl.exe --shutdown. If that hangs too, restart Windows."}
}
