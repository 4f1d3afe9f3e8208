package api

// Methods of the gateway about the app's own updates.
const (
	MethodUpdateGet     = "update.get"     // Empty -> Update
	MethodUpdateCheck   = "update.check"   // Empty -> Update; asks the update server now
	MethodUpdateFetch   = "update.fetch"   // Empty -> Update; begins or resumes the download and answers at once
	MethodUpdateInstall = "update.install" // Empty -> Update; ends the app and starts the new version; refused while agents work
	MethodUpdateSet     = "update.set"     // UpdateSet -> Update
)

// UpdateState is where an update stands.
type UpdateState string

const (
	// UpdateOff: this build has no update server, or its files belong to a package manager.
	UpdateOff       UpdateState = "off"
	UpdateIdle      UpdateState = "idle" // nothing newer is known
	UpdateChecking  UpdateState = "checking"
	UpdateAvailable UpdateState = "available"
	UpdateFetching  UpdateState = "fetching"
	UpdateReady     UpdateState = "ready" // verified, to be installed
)

// Update is what the app knows of a newer version of itself.
type Update struct {
	State UpdateState `json:"state"`
	// Why says, with off, why there are no updates.
	Why     string `json:"why,omitempty"`
	Current string `json:"current"`
	// Version, Notes (Markdown) and Released are of the newer one.
	Version  string `json:"version,omitempty"`
	Notes    string `json:"notes,omitempty"`
	Released int64  `json:"released,omitempty"`
	// Bytes of Total have been fetched.
	Bytes int64 `json:"bytes,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Auto checks once a day; nothing is fetched or installed unasked.
	Auto    bool   `json:"auto"`
	Checked int64  `json:"checked,omitempty"`
	Error   *Error `json:"error,omitempty"`
	// RolledBack is the version that was installed and did not come up.
	RolledBack string `json:"rolledBack,omitempty"`
}

// UpdateSet turns the daily check on or off.
type UpdateSet struct {
	Auto bool `json:"auto"`
}
