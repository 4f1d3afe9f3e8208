// Package host is the desktop's half of the doctor: what only the desktop can
// see (WSL as a whole, its networking, the distros, the programs that belong to
// the desktop), and the archive with everything that a person sends along with
// a problem. The backends' findings come over their links; this package asks no
// backend and starts no distro: what runs already is asked, nothing is woken up.
//
// Invariants: nothing leaves without going through the redaction; the files that
// hold secrets (keys, tokens) are never opened; every call has a deadline.
package host

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/doctor"
	"catamaran/internal/proc"
)

// callWait bounds each call into a distro.
const callWait = 8 * time.Second

// WSL is what the checks need of *wsl.Client.
type WSL interface {
	Discover(ctx context.Context) api.WSL
	Launch(d api.Distro, argv []string, stderr io.Writer) (*proc.Process, error)
}

// Options of the desktop's checks.
type Options struct {
	// OS is the desktop's own; State its state folder.
	OS, State string
	// Backend is the native backend's path, CarriedError why the Linux ones cannot be read.
	Backend      string
	CarriedError error
	// WSL is nil where there is none.
	WSL WSL
	// ForwardWarning is why the list of forwarded variables could not be read.
	ForwardWarning error
}

// Check makes the desktop's checks.
func Check(ctx context.Context, o Options) []api.Finding {
	all := []api.Finding{state(o), backend(o)}
	if o.ForwardWarning != nil {
		all = append(all, api.Finding{ID: "forward", Severity: api.SeverityWarning, Title: "The list of forwarded variables is not used: " + o.ForwardWarning.Error() + ".",
			Why: "The built-in list is used instead.", Repair: "Change the list in Settings > Environments, or delete the file."})
	}
	if o.WSL == nil {
		return all
	}
	found := o.WSL.Discover(ctx)
	all = append(all, wslItself(found))
	if e := found.Error; e == nil && o.CarriedError != nil {
		all = append(all, api.Finding{ID: "carried", Severity: api.SeverityError, Title: fmt.Sprintf("The Linux backends are missing: %v.", o.CarriedError),
			Why: "No backend can be put into a distro.", Repair: "Install Catamaran again."})
	}
	all = append(all, virtualization(found))
	for _, d := range found.Distros {
		all = append(all, distro(d))
	}
	if f, ok := networking(ctx, o.WSL, found); ok {
		all = append(all, f)
	}
	return all
}

func state(o Options) api.Finding {
	f := api.Finding{ID: "state", Severity: api.SeverityOK, Title: "State is kept in " + o.State + "."}
	if err := doctor.TryWrite(o.State); err != nil {
		f.Severity, f.Title = api.SeverityError, fmt.Sprintf("The state folder %s cannot be written: %v.", o.State, err)
		f.Why = "Threads, settings and logs are kept there."
		f.Repair = "Make it writable, or set CATAMARAN_HOME to a folder that is."
	}
	return f
}

func backend(o Options) api.Finding {
	f := api.Finding{ID: "backend", Severity: api.SeverityOK, Title: "The backend is " + o.Backend + "."}
	if _, err := proc.LookPath(o.Backend, ""); err != nil {
		f.Severity, f.Title = api.SeverityError, fmt.Sprintf("The backend %s cannot be run: %v.", o.Backend, err)
		f.Why, f.Repair = "Nothing works on this computer's own system without it.", "Install Catamaran again."
	}
	return f
}

// commands that repair what discovery reports.
var wslRepairs = map[api.Code]string{
	api.CodeWSLMissing:        "wsl.exe --install",
	api.CodeWSLNotInstalled:   "wsl.exe --install",
	api.CodeWSLNoDistro:       "wsl.exe --install Ubuntu",
	api.CodeWSLVirtualization: "wsl.exe --install --no-distribution",
	api.CodeWSLBroken:         "wsl.exe --update",
	api.CodeWSLHung:           "wsl.exe --shutdown",
}

func wslItself(w api.WSL) api.Finding {
	if e := w.Error; e != nil {
		f := api.Finding{ID: "wsl", Severity: api.SeverityWarning, Title: e.Message, Why: "Backends can run on this computer's own system only."}
		f.Repair, f.Command = wslRepairs[e.Code], wslRepairs[e.Code] != ""
		if f.Repair == "" {
			f.Repair = e.Hint
		}
		return f
	}
	if w.Version == "" {
		return api.Finding{ID: "wsl", Severity: api.SeverityWarning, Title: "WSL is the version that came with Windows.",
			Why: "It gets no fixes any more; the one from the Store does.", Repair: "wsl.exe --update", Command: true}
	}
	return api.Finding{ID: "wsl", Severity: api.SeverityOK, Title: fmt.Sprintf("WSL is %s, with %d %s.", w.Version, len(w.Distros), plural(len(w.Distros), "distro"))}
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// virtualization is proven by a distro of WSL 2 that runs, and known to be off by WSL's own words.
func virtualization(w api.WSL) api.Finding {
	f := api.Finding{ID: "virtualization", Severity: api.SeverityInfo, Title: "Whether virtualization works shows when a WSL 2 distro starts; none runs now."}
	if e := w.Error; e != nil && e.Code == api.CodeWSLVirtualization {
		return api.Finding{ID: "virtualization", Severity: api.SeverityWarning, Title: "Virtualization is off.", Why: "WSL 2 distros run in a virtual machine.",
			Repair: "Turn virtualization on in the firmware (BIOS or UEFI) settings; if it is on, run as administrator: wsl.exe --install --no-distribution"}
	}
	for _, d := range w.Distros {
		if d.Version == 2 && d.State == "Running" {
			f.Severity, f.Title = api.SeverityOK, "Virtualization works: "+d.Name+" runs in it."
		}
	}
	return f
}

func distro(d api.Distro) api.Finding {
	f := api.Finding{ID: "distro:" + d.Name, Severity: api.SeverityOK}
	facts := []string{}
	if d.Version > 0 {
		facts = append(facts, fmt.Sprintf("WSL %d", d.Version))
	}
	facts = append(facts, strings.ToLower(d.State))
	if d.Default {
		facts = append(facts, "the default")
	}
	f.Title = d.Name + " (" + strings.Join(facts, ", ") + ")"
	switch {
	case d.Utility:
		f.Severity, f.Title = api.SeverityInfo, f.Title+" belongs to another program."
		if d.Default {
			f.Severity, f.Why = api.SeverityWarning, "It is the default, and nothing can be done in it."
			f.Repair, f.Command = "wsl.exe --set-default <distro>", true
		}
	case !d.Selectable:
		f.Severity, f.Title = api.SeverityWarning, f.Title+" cannot be used now."
		f.Why, f.Repair = d.Why, "Wait until it is installed, then check again."
	case d.Version == 1:
		f.Severity, f.Title = api.SeverityInfo, f.Title+" can be used."
		f.Why = "WSL 1 has no Linux kernel of its own; some agents and tools need one."
		f.Repair, f.Command = "wsl.exe --set-version "+d.Name+" 2", true
	default:
		f.Title += " can be used."
	}
	return f
}

// networking asks a distro that runs; wslinfo came with WSL 2.0.
func networking(ctx context.Context, w WSL, found api.WSL) (api.Finding, bool) {
	for _, d := range found.Distros {
		if d.State != "Running" || !d.Selectable {
			continue
		}
		mode, err := ask(ctx, w, d, []string{"wslinfo", "--networking-mode"})
		if err != nil || !known(mode) {
			return api.Finding{ID: "networking", Severity: api.SeverityInfo, Title: "WSL's networking mode is not known: it has no wslinfo that says so.",
				Why: "Catamaran needs no network between Windows and the distro; agents need one to the internet."}, true
		}
		f := api.Finding{ID: "networking", Severity: api.SeverityOK, Title: "WSL's networking mode is " + mode + "."}
		if mode == "none" {
			f.Severity, f.Why = api.SeverityWarning, "Agents in the distro cannot reach their models."
			f.Repair = "Set networkingMode=nat under [wsl2] in %USERPROFILE%\\.wslconfig, then run: wsl.exe --shutdown"
		}
		return f, true
	}
	return api.Finding{}, false
}

func known(mode string) bool {
	switch mode {
	case "nat", "bridged", "mirrored", "consomme", "virtioproxy", "none", "wsl1":
		return true
	}
	return false
}

// ask runs a short command in a distro that runs and returns its first line.
func ask(ctx context.Context, w WSL, d api.Distro, argv []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	p, err := w.Launch(d, argv, nil)
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	p.Stdin().Close()
	b, err := io.ReadAll(io.LimitReader(p.Stdout(), 4<<10))
	if err != nil {
		p.Kill()
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err != nil || p.ExitCode() != 0 {
		return "", fmt.Errorf("%s ended with exit code %d", argv[0], p.ExitCode())
	}
	line, _, _ := strings.Cut(strings.TrimSpace(proc.Text(b)), "\n")
	return strings.ToLower(strings.TrimSpace(line)), nil
}

// Environments says how the supervised environments are.
func Environments(now api.Environments) []api.Finding {
	var all []api.Finding
	for _, e := range now.Environments {
		f := api.Finding{ID: "state", Environment: e.ID, Severity: api.SeverityOK, Title: fmt.Sprintf("%s is %s.", e.Name, e.State)}
		switch e.State {
		case api.EnvReady:
		case api.EnvFailed, api.EnvBackoff:
			f.Severity, f.Repair, f.Command = api.SeverityError, "catamaran env start "+e.ID, true
			if e.Error != nil {
				f.Title = fmt.Sprintf("%s is %s: %s", e.Name, e.State, e.Error.Message)
				f.Why = e.Error.Hint
			}
		default:
			f.Severity, f.Why = api.SeverityInfo, "It is checked once it runs."
			if e.State == api.EnvOff {
				f.Repair, f.Command = "catamaran env start "+e.ID, true
			}
		}
		all = append(all, f)
	}
	return all
}

// Failed tells whether a finding is an error: then the command's exit code is 1.
func Failed(findings []api.Finding) bool {
	for _, f := range findings {
		if f.Severity == api.SeverityError {
			return true
		}
	}
	return false
}

// readEnd reads the last max bytes of a file, whole lines only when it is cut.
func readEnd(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := info.Size() - max
	if from < 0 {
		from = 0
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, max))
	if from > 0 {
		// A secret that the cut went through could not be recognised.
		if i := strings.IndexByte(string(b), '\n'); i >= 0 {
			b = b[i+1:]
		} else {
			b = nil
		}
	}
	return b, err
}
