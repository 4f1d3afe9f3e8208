package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/doctor/host"
)

// Doctor is the desktop's own half of the checks.
type Doctor interface {
	// Check makes the desktop's findings.
	Check(ctx context.Context) []api.Finding
	// Version is the desktop's.
	Version() api.VersionInfo
	// ArchiveName is the name of an archive made now.
	ArchiveName() string
	// Archive makes the diagnostics archive; logs are the backends', by environment id.
	Archive(d api.Diagnosis, now api.Environments, logs map[string]string) (name string, zip []byte, err error)
}

// Forwarder keeps the list of forwarded variables; *forward.List is one.
type Forwarder interface {
	Get() api.Forwarding
	Set(c api.ForwardingChange) (api.Forwarding, error)
}

// Opener opens folders in programs of the desktop's system.
type Opener interface {
	Openers() []api.Opener
	// Open opens a folder of the distro, or of this system where distro is ""; with a line, from 1, a file.
	Open(ctx context.Context, distro, path string, line int, target string) error
}

// diagnoseWait bounds the checks of one backend; its own bound is lower.
const diagnoseWait = 60 * time.Second

// extras are the methods of what the desktop has beside its environments.
func (g *Gateway) extras(methods map[string]method) {
	if g.o.Doctor != nil {
		methods[api.MethodDiagnose] = typed(func(ctx context.Context, _ api.Empty) (api.Diagnosis, error) {
			d, _, _ := g.diagnose(ctx, false)
			return d, nil
		})
	}
	if f := g.o.Forward; f != nil {
		methods[api.MethodForwardGet] = typed(func(context.Context, api.Empty) (api.Forwarding, error) { return f.Get(), nil })
		methods[api.MethodForwardSet] = typed(func(_ context.Context, c api.ForwardingChange) (api.Forwarding, error) { return f.Set(c) })
	}
	if g.o.Updates != nil {
		updateMethods(g.o.Updates, methods)
	}
	if g.o.Dialogs != nil {
		methods[api.MethodPickFolder] = typed(g.pickFolder)
		if g.o.Doctor != nil {
			methods[api.MethodSaveDiagnostics] = typed(g.saveDiagnostics)
		}
	}
	if g.o.OpenURL != nil {
		methods[api.MethodOpenURL] = typed(g.openURL)
	}
	if g.o.Notifier != nil {
		methods[api.MethodNotify] = typed(g.notify)
	}
	if s := g.o.Settings; s != nil {
		methods[api.MethodSettingsGet] = typed(func(context.Context, api.Empty) (api.Settings, error) { return s.Get() })
		methods[api.MethodSettingsSet] = typed(func(_ context.Context, c api.SettingsChange) (api.Settings, error) {
			now, err := s.Set(c)
			if err == nil {
				g.tell(api.ServerFrame{Type: api.FrameEvent, Settings: &now})
			}
			return now, err
		})
	}
	if g.o.Opener != nil {
		methods[api.MethodOpeners] = typed(g.openers)
		methods[api.MethodOpenIn] = typed(g.openIn)
	}
}

// diagnose asks the desktop and every ready backend at the same time. One that
// does not answer is a finding, never the end of the others.
func (g *Gateway) diagnose(ctx context.Context, withLogs bool) (api.Diagnosis, api.Environments, map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, diagnoseWait)
	defer cancel()
	now := g.o.Environments.Snapshot()
	logs := map[string]string{}
	reports := make([]api.DoctorReport, len(now.Environments))
	var own []api.Finding
	var wg sync.WaitGroup
	wg.Go(func() { own = g.o.Doctor.Check(ctx) })
	for i, e := range now.Environments {
		if e.State != api.EnvReady && e.State != api.EnvDegraded {
			continue
		}
		wg.Go(func() {
			err := g.callBackendWithin(ctx, diagnoseWait, e.ID, api.MethodDoctorRun, api.DoctorRun{Now: g.o.Now().UnixMilli(), Fresh: true, Log: withLogs}, &reports[i])
			if err != nil {
				reports[i] = api.DoctorReport{Findings: []api.Finding{{
					ID: "checks", Severity: api.SeverityError, Title: fmt.Sprintf("%s could not be checked: %s", e.Name, g.public(err, "check "+e.ID).Message),
					Why: "What is wrong in it is not known.", Repair: "catamaran env stop " + e.ID + " && catamaran env start " + e.ID, Command: true,
				}}}
			}
		})
	}
	wg.Wait()
	d := api.Diagnosis{Version: g.o.Doctor.Version(), Checked: g.o.Now().UnixMilli(), Findings: own}
	states := host.Environments(now)
	for i, e := range now.Environments {
		d.Findings = append(d.Findings, states[i])
		for _, f := range reports[i].Findings {
			f.Environment = e.ID
			d.Findings = append(d.Findings, f)
		}
		if reports[i].Log != "" {
			logs[e.ID] = reports[i].Log
		}
	}
	if d.Findings == nil {
		d.Findings = []api.Finding{}
	}
	return d, now, logs
}

// export is POST /api/diagnostics: the archive, for a person to send along.
func (g *Gateway) export(w http.ResponseWriter, r *http.Request) {
	if g.o.Doctor == nil {
		auth.WriteError(w, &api.Error{Code: api.CodeUnavailable, Message: "This desktop makes no archive."})
		return
	}
	name, zip, err := g.o.Doctor.Archive(g.diagnose(r.Context(), true))
	if err != nil {
		auth.WriteError(w, g.public(err, "export diagnostics"))
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Write(zip)
}

func (g *Gateway) openers(_ context.Context, r api.EnvironmentRef) (api.Openers, error) {
	if _, err := g.environment(r.ID); err != nil {
		return api.Openers{}, err
	}
	return api.Openers{Openers: g.o.Opener.Openers(), Native: g.o.Dialogs != nil && g.o.Dialogs.Native()}, nil
}

// openIn passes the distro that runs, so that "default" never reaches an editor.
func (g *Gateway) openIn(ctx context.Context, r api.OpenIn) (api.Empty, error) {
	e, err := g.environment(r.Environment)
	if err != nil {
		return api.Empty{}, err
	}
	if e.ID != LocalEnvironment && e.Distro == "" {
		return api.Empty{}, &api.Error{Code: api.CodeEnvironmentDown, Message: "It is not known which distro " + e.Name + " runs in.", Hint: "Start it first.", Retryable: true}
	}
	return api.Empty{}, g.o.Opener.Open(ctx, e.Distro, r.Path, r.Line, r.Target)
}

func (g *Gateway) environment(id string) (api.Environment, error) {
	all := g.o.Environments.Snapshot().Environments
	i := slices.IndexFunc(all, func(e api.Environment) bool { return e.ID == id })
	if i < 0 {
		return api.Environment{}, &api.Error{Code: api.CodeEnvironmentUnknown, Message: fmt.Sprintf("There is no environment %q.", printable(id))}
	}
	return all[i], nil
}
