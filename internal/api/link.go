package api

// Envelope is the first line the desktop writes to a backend's stdin: one JSON
// object, newline-terminated, at most MaxEnvelopeBytes. It is the only way by
// which secrets reach a backend.
type Envelope struct {
	Protocol int `json:"protocol"`
	// Credential is exchanged once for a session token (SessionExchange).
	Credential string `json:"credential"`
	// Environment is the desktop's name for this backend: "local", "wsl:Ubuntu".
	Environment string `json:"environment"`
	// Env are variables for agents and terminals, set where the environment has none of that name.
	Env map[string]string `json:"env,omitempty"`
	// EnvWins names those of Env that replace what the environment has (W3.6).
	EnvWins        []string `json:"envWins,omitempty"`
	Limits         Limits   `json:"limits"`
	LogLevel       string   `json:"logLevel,omitempty"`
	DesktopVersion string   `json:"desktopVersion"`
}

// MaxEnvelopeBytes and MaxHelloBytes bound the two preamble lines.
const (
	MaxEnvelopeBytes = 1 << 20
	MaxHelloBytes    = 64 << 10
)

// Limits are bounds the desktop asks a backend to keep; zero means the backend's default.
type Limits struct {
	// DrainMillis is how long the backend may take to end after the link is gone.
	DrainMillis int `json:"drainMillis,omitempty"`
}

// Hello is a backend's answer to the envelope: one line, prefixed on the wire
// by a marker (package link), then binary frames.
type Hello struct {
	Protocol      int    `json:"protocol"`
	Version       string `json:"version"`
	PID           int    `json:"pid"`
	EnvironmentID string `json:"environmentId"`
	OS            string `json:"os"`
	Arch          string `json:"arch"`
	Phase         Phase  `json:"phase"`
	// Digest is the lower-case hex SHA-256 of the running executable, so that the
	// desktop notices a corrupted staged file; empty when it could not be read.
	Digest string `json:"digest,omitempty"`
	// Refusal is set when the backend cannot go on (wrong protocol, database owned by another).
	Refusal *Error `json:"refusal,omitempty"`
}

// Phase is how far a backend has come.
type Phase string

const (
	PhaseStarting  Phase = "starting"
	PhaseMigrating Phase = "migrating"
	PhaseReady     Phase = "ready"
	PhaseFailed    Phase = "failed"
)

// Descriptor is the answer of GET /api/descriptor.
type Descriptor struct {
	EnvironmentID string `json:"environmentId"`
	// Name is the desktop's name for the environment ("local", "wsl:Ubuntu").
	Name    string `json:"name"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	Phase   Phase  `json:"phase"`
	// Reason tells why Phase is failed.
	Reason *Error `json:"reason,omitempty"`
	// Home is the user's home directory in the environment.
	Home string `json:"home"`
	// Data is the folder with the backend's database, key and logs.
	Data string `json:"data,omitempty"`
	// MemoryBytes is what the backend's process holds in memory; only in the answer of
	// descriptor.get, measured for it, and 0 where the system does not tell.
	MemoryBytes int64 `json:"memoryBytes,omitempty"`
	// Started is when this backend process started.
	Started int64 `json:"started"`
	PID     int   `json:"pid"`
}

// SessionExchange is the body of POST /api/session/exchange.
type SessionExchange struct {
	Credential string `json:"credential"`
}

// SessionRenew is the body of POST /api/session/renew: a token this backend signed, expired or not, that was not
// revoked. The answer is a Session. The one-time credential is used up by then.
type SessionRenew struct {
	Token string `json:"token"`
}

// Session is a signed session token and its end.
type Session struct {
	Token         string `json:"token"`
	ExpiresAt     int64  `json:"expiresAt"`
	EnvironmentID string `json:"environmentId"`
	// Environments come with the answer to a launch code, so that a page need not ask for them next.
	Environments *Environments `json:"environments,omitempty"`
}

// LaunchExchange is the body of the door's POST /api/session: the one-time code of the launch URL's fragment.
type LaunchExchange struct {
	Code string `json:"code"`
}

// Launch is the one line of JSON that `catamaran --no-window` prints.
type Launch struct {
	URL     string `json:"url"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
}
