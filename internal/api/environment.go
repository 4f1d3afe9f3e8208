package api

// Mode is which environments run.
type Mode string

const (
	ModeLocal   Mode = "local"
	ModeBoth    Mode = "both"
	ModeWSLOnly Mode = "wsl-only"
)

// Valid reports whether m is one of the three modes.
func (m Mode) Valid() bool { return m == ModeLocal || m == ModeBoth || m == ModeWSLOnly }

// ModeConfig is a mode with the distro it uses. Distro is "" for the default
// distro; it is kept while Mode is local, as the staged choice.
type ModeConfig struct {
	Mode   Mode   `json:"mode"`
	Distro string `json:"distro,omitempty"`
	// Primary is the environment id that new projects go to; "" picks local in
	// local and both, the WSL one in wsl-only.
	Primary string `json:"primary,omitempty"`
}

// EnvironmentState is a state of the supervisor.
type EnvironmentState string

const (
	EnvOff       EnvironmentState = "off"
	EnvResolving EnvironmentState = "resolving"
	EnvStaging   EnvironmentState = "staging"
	EnvStarting  EnvironmentState = "starting"
	EnvReady     EnvironmentState = "ready"
	EnvDegraded  EnvironmentState = "degraded"
	EnvStopping  EnvironmentState = "stopping"
	EnvBackoff   EnvironmentState = "backoff"
	EnvFailed    EnvironmentState = "failed"
)

// Environment is one place where a backend runs, as the desktop sees it.
type Environment struct {
	// ID is local, wsl:<distro> or wsl:default; it is the route's name.
	ID   string `json:"id"`
	Name string `json:"name"` // for people: "This computer", "Ubuntu (WSL)"
	// Distro is the running or configured distro of a WSL environment.
	Distro string           `json:"distro,omitempty"`
	State  EnvironmentState `json:"state"`
	// Stage says in words what it is doing ("copying the backend into Ubuntu").
	Stage   string `json:"stage,omitempty"`
	Since   int64  `json:"since"`
	Attempt int    `json:"attempt"`
	// Begun is since when it has been on its way up, over all stages and attempts; 0 otherwise.
	Begun int64 `json:"begun,omitempty"`
	// RetryAt is when backoff ends.
	RetryAt int64  `json:"retryAt,omitempty"`
	Error   *Error `json:"error,omitempty"`
	// Twin explains that another environment has the same EnvironmentID, since one is
	// a copy of the other (code environment_twin); environment.newIdentity tells them apart.
	Twin *Error `json:"twin,omitempty"`
	// The rest is known once the backend has said hello.
	EnvironmentID string `json:"environmentId,omitempty"`
	Version       string `json:"version,omitempty"`
	OS            string `json:"os,omitempty"`
	Arch          string `json:"arch,omitempty"`
	PID           int    `json:"pid,omitempty"`
}

// Environments is the answer of GET /api/environments and the content of topic environments.
type Environments struct {
	Config ModeConfig `json:"config"`
	// Primary is the id of the environment the page opens on now.
	Primary      string        `json:"primary"`
	Environments []Environment `json:"environments"`
	WSL          WSL           `json:"wsl"`
	// Change is the mode change under way, or the last one that failed until it is dismissed.
	Change *ModeChange `json:"change,omitempty"`
	// Notice is shown once at the top, e.g. that a wsl-only preference fell back to local for this launch.
	Notice *Error `json:"notice,omitempty"`
}

// WSL is what discovery knows.
type WSL struct {
	// Available is true where WSL mode can be offered at all (Windows, or a simulated wsl.exe).
	Available bool     `json:"available"`
	Checked   int64    `json:"checked,omitempty"`
	Error     *Error   `json:"error,omitempty"`
	Version   string   `json:"version,omitempty"`
	Default   string   `json:"default,omitempty"`
	Distros   []Distro `json:"distros"`
}

// Distro is one registered WSL distribution.
type Distro struct {
	Name    string `json:"name"`
	ID      string `json:"id,omitempty"` // the registry's GUID in braces
	Default bool   `json:"default,omitempty"`
	Version int    `json:"version"` // 1 or 2; 0 unknown
	// State: Stopped, Running, Installing, Uninstalling, Converting, Exporting; other words are kept.
	State string `json:"state"`
	// Selectable is false for utility distros and for states other than installed.
	Selectable bool   `json:"selectable"`
	Utility    bool   `json:"utility,omitempty"`
	Why        string `json:"why,omitempty"` // why it is not selectable
}

// ModePhase is a step of a mode change as people see it.
type ModePhase string

const (
	PhasePreparing      ModePhase = "preparing"
	PhaseStartingTarget ModePhase = "starting"
	PhaseSession        ModePhase = "re-establishing session"
	PhaseSyncing        ModePhase = "syncing threads"
	PhaseRollingBack    ModePhase = "rolling back"
	PhaseDone           ModePhase = "done"
	PhaseChangeFailed   ModePhase = "failed"
)

// ModeChange is the progress or the outcome of one mode change.
type ModeChange struct {
	ID        string     `json:"id"`
	From      ModeConfig `json:"from"`
	To        ModeConfig `json:"to"`
	Phase     ModePhase  `json:"phase"`
	StartedAt int64      `json:"startedAt"`
	EndedAt   int64      `json:"endedAt,omitempty"`
	// FailedStep names the step that failed; RolledBack tells whether the way back worked.
	FailedStep string `json:"failedStep,omitempty"`
	RolledBack bool   `json:"rolledBack,omitempty"`
	Error      *Error `json:"error,omitempty"`
	// LogTail is the end of the failed backend's output.
	LogTail string `json:"logTail,omitempty"`
}

// Methods of the gateway, as POST /api/call/<method> and as call frames on its WebSocket.
const (
	MethodEnvironments     = "environment.list"        // Empty -> Environments
	MethodEnvironmentStart = "environment.start"       // EnvironmentRef -> Environment
	MethodEnvironmentStop  = "environment.stop"        // EnvironmentRef -> Environment
	MethodNewIdentity      = "environment.newIdentity" // EnvironmentRef -> Environment; restarts it under an id of its own
	MethodModeChange       = "mode.change"             // ModeConfig -> ModeChange (answers when it has ended)
	MethodModeCancel       = "mode.cancel"             // Empty -> Empty
	MethodModeDismiss      = "mode.dismiss"            // Empty -> Empty; forgets a failed change and the notice
	MethodDistrosRescan    = "distro.rescan"           // Empty -> WSL
	MethodOpenPath         = "desktop.open"            // OpenPath -> OpenedPath
	MethodWSLRestart       = "environment.restartWSL"  // Empty -> Empty; ends every distro, then starts what was wanted; explicit user action only
	MethodEnvironmentLog   = "environment.log"         // EnvironmentRef -> EnvironmentLog
	MethodDiagnose         = "diagnose.run"            // Empty -> Diagnosis; the desktop's findings and those of every ready backend
	MethodForwardGet       = "forward.get"             // Empty -> Forwarding
	MethodForwardSet       = "forward.set"             // ForwardingChange -> Forwarding
	MethodOpeners          = "desktop.openers"         // EnvironmentRef -> Openers
	MethodOpenIn           = "desktop.openIn"          // OpenIn -> Empty
)

// Methods of the desktop's control endpoint only (the same user's terminal commands and a second start).
const (
	MethodLaunch   = "desktop.launch"   // Empty -> Launch; a fresh address that signs a page in
	MethodActivate = "desktop.activate" // Empty -> Launch; opens or focuses a window
)

type EnvironmentRef struct {
	ID string `json:"id"`
}

// EnvironmentLog is the end of what a backend and its way up said, as the desktop keeps it.
type EnvironmentLog struct {
	Path string `json:"path"`
	// Text is at most the last MaxLogText bytes, "" when nothing was said.
	Text string `json:"text"`
	// Truncated says that the file has more.
	Truncated bool `json:"truncated,omitempty"`
}

// MaxLogText bounds EnvironmentLog.Text.
const MaxLogText = 64 << 10

// OpenPath asks the running desktop to add a project and open it.
type OpenPath struct {
	// Path is absolute, of the desktop's own system or a \\wsl.localhost\ path.
	Path string `json:"path"`
}

type OpenedPath struct {
	Environment string  `json:"environment"`
	Project     Project `json:"project,omitzero"`
	// Thread is set in the place of Project where a notification about it was clicked.
	Thread string `json:"thread,omitempty"`
}
