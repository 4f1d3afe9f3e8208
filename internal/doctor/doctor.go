// Package doctor checks the environment a backend runs in: what the system is,
// whether its home can be used, the clock, the login shell and its PATH, Git,
// and each agent with what it needs. It changes nothing but a scratch file it
// removes, repairs nothing, and asks no network. The server answers doctor.run
// with it; package doctor/host is the desktop's half.
//
// Invariants: every finding that is not well says why it matters and what
// repairs it; no value of a variable and no secret is in a finding; a run ends
// within runWait whatever hangs, and says what it could not find out.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/home"
)

// Bounds of a run.
const (
	runWait  = 45 * time.Second
	callWait = 5 * time.Second
	// maxLog bounds the log's end in a report, in bytes.
	maxLog = 256 << 10
	// lowDisk and fullDisk are bytes: below them checkpoints and agents begin to fail, or do at once.
	lowDisk  = 1 << 30
	fullDisk = 64 << 20
	// maxSkew is how far the clocks may be apart before certificates, file times and Git notice.
	maxSkew = 5 * time.Second
)

// Options of a Doctor.
type Options struct {
	// OS and Arch are the running program's; Home the user's home directory, StateDir where the backend keeps its state.
	OS, Arch, Home, StateDir string
	// Env is the login environment, with a warning for people where it could not be captured.
	Env func(ctx context.Context, fresh bool) (env []string, warning string)
	// Shell is the login shell, "" where there is none.
	Shell func() string
	// Dirs are the folders of env's PATH in which programs are looked for.
	Dirs func(env []string) []string
	// Agents lists what was detected.
	Agents func(ctx context.Context, fresh bool) ([]api.Agent, error)
	// Log is the backend's log file.
	Log string
	// Redact takes secrets out of text that leaves.
	Redact func(string) string
	// Now and Volume stand in for the clock and the disk in tests; nil asks the system.
	Now    func() time.Time
	Volume func(path string) (home.Volume, error)
}

// Doctor makes the checks. Safe for concurrent use; runs follow one another.
type Doctor struct {
	o  Options
	mu sync.Mutex
}

// New validates the options and looks at nothing yet.
func New(o Options) (*Doctor, error) {
	if o.Env == nil || o.Agents == nil || o.Dirs == nil || o.StateDir == "" {
		return nil, errors.New("doctor: an option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Volume == nil {
		o.Volume = home.VolumeOf
	}
	if o.Shell == nil {
		o.Shell = func() string { return "" }
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	return &Doctor{o: o}, nil
}

// Run makes every check. The clock is read first: the request's time is now.
func (d *Doctor) Run(ctx context.Context, r api.DoctorRun) (api.DoctorReport, error) {
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, runWait, errors.New("the checks took longer than "+runWait.String()))
	defer cancel()
	var report api.DoctorReport
	report.Findings = append(report.Findings, d.system())
	report.Findings = append(report.Findings, d.storage()...)
	if r.Now > 0 {
		report.Findings = append(report.Findings, Clock(time.UnixMilli(r.Now), now, d.o.OS))
	}
	env, warning := d.o.Env(ctx, r.Fresh)
	report.Findings = append(report.Findings, d.login(env, warning)...)
	var git api.Finding
	var agents []api.Finding
	var wg sync.WaitGroup
	wg.Go(func() { git = CheckGit(ctx, env, d.o.OS) })
	wg.Go(func() { agents = d.agents(ctx, env, r.Fresh) })
	wg.Wait()
	report.Findings = append(append(report.Findings, git), agents...)
	if r.Log {
		report.Log = d.o.Redact(logEnd(d.o.Log))
	}
	return report, nil
}

func logEnd(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	b, _ := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-maxLog), maxLog))
	return strings.ToValidUTF8(string(b), "?")
}

func (d *Doctor) system() api.Finding {
	f := api.Finding{ID: "system", Severity: api.SeverityOK, Title: "The system is " + d.o.OS + "/" + d.o.Arch + "."}
	if !slices.Contains([]string{"amd64", "arm64"}, d.o.Arch) {
		f.Severity, f.Why = api.SeverityWarning, "Catamaran is built and tested for amd64 and arm64."
		f.Repair = "Use a 64-bit x86 or ARM system."
	}
	return f
}

// storage looks at the home: programs are put there and state is kept there.
func (d *Doctor) storage() []api.Finding {
	dir := d.o.StateDir
	write := api.Finding{ID: "home", Severity: api.SeverityOK, Title: "State can be written to " + dir + "."}
	if err := TryWrite(dir); err != nil {
		write.Severity, write.Title = api.SeverityError, fmt.Sprintf("State cannot be written to %s: %v.", dir, err)
		write.Why = "Threads, settings and logs are kept there."
		write.Repair, write.Command = chmodRepair(d.o.OS, dir), d.o.OS != "windows"
	}
	v, err := d.o.Volume(dir)
	if err != nil {
		return []api.Finding{write, {ID: "disk", Severity: api.SeverityWarning, Title: "The disk could not be asked for its free space.", Why: err.Error(), Repair: "Check that " + dir + " exists."}}
	}
	if v.NoExec {
		// The folder is mounted so that nothing in it runs.
		write = api.Finding{ID: "home", Severity: api.SeverityError, Title: "Programs in " + dir + " cannot be run: its file system is mounted noexec.",
			Why: "The backend and the tools that agents install live in the home.", Repair: "sudo mount -o remount,exec " + ShellQuote(filepath.Dir(dir)), Command: true}
	}
	disk := api.Finding{ID: "disk", Severity: api.SeverityOK, Title: Bytes(v.Free) + " are free on the disk of " + dir + "."}
	if v.Free < lowDisk {
		disk.Severity, disk.Why = api.SeverityWarning, "Checkpoints, agents and builds need space, and fail in odd ways without."
		disk.Repair = "Free some space on the disk of " + dir + "."
		if d.o.OS != "windows" {
			disk.Repair, disk.Command = "du -xh --max-depth=2 ~ | sort -h | tail -20", true
		}
	}
	if v.Free < fullDisk {
		disk.Severity = api.SeverityError
	}
	return []api.Finding{write, disk}
}

// TryWrite makes and removes a file in dir, which is made when missing.
func TryWrite(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func chmodRepair(goos, dir string) string {
	if goos == "windows" {
		return "Make the folder writable for your user, or set CATAMARAN_HOME to one that is."
	}
	return "sudo chown -R \"$(id -u)\" " + ShellQuote(dir) + " && chmod -R u+rwX " + ShellQuote(dir)
}

// Clock compares the desktop's clock with the environment's. What the request
// took on its way counts as skew; it is far below the bound.
func Clock(desktop, here time.Time, goos string) api.Finding {
	skew := here.Sub(desktop)
	f := api.Finding{ID: "clock", Severity: api.SeverityOK, Title: "The clock agrees with the desktop's."}
	if skew.Abs() <= maxSkew {
		return f
	}
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	f.Severity, f.Title = api.SeverityWarning, fmt.Sprintf("The clock is %s %s the desktop's.", skew.Abs().Round(time.Second), way)
	f.Why = "Certificates are refused, builds see files from the future, and sign-ins expire early. In WSL it happens when the computer was asleep."
	f.Repair = "Set the clock of this computer."
	if goos == "linux" {
		f.Repair, f.Command = "sudo hwclock --hctosys", true
	}
	return f
}

// login tells about the shell and the PATH it leads to.
func (d *Doctor) login(env []string, warning string) []api.Finding {
	dirs := d.o.Dirs(env)
	path := api.Finding{ID: "path", Severity: api.SeverityOK, Title: fmt.Sprintf("Programs are looked for in %d folders: %s", len(dirs), strings.Join(dirs, string(os.PathListSeparator)))}
	if len(dirs) == 0 {
		path.Severity, path.Title = api.SeverityError, "The PATH names no folder to look for programs in."
		path.Why, path.Repair = "No agent and no Git can be found.", "Set PATH in your shell's start-up file."
	}
	shell := d.o.Shell()
	if shell == "" {
		return []api.Finding{path}
	}
	f := api.Finding{ID: "shell", Severity: api.SeverityOK, Title: "The environment is that of the login shell " + shell + "."}
	if warning != "" {
		f.Severity, f.Title = api.SeverityWarning, warning
		f.Why = "Agents get the plain environment instead, without what your start-up files set."
		f.Repair, f.Command = "time "+shell+" -l -i -c true", true
	}
	return []api.Finding{f, path}
}

// Bytes writes a size for people.
func Bytes(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// ShellQuote makes s one word of a POSIX shell, as it stands where it needs no quotes.
func ShellQuote(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+:@%", r)
	}) < 0
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
