package shell

import "catamaran/internal/api"

// Integration is one way in which the system can know the app. None is on until
// the person, or the installer in the person's name, turns it on; all are for this
// user alone and need no administrator.
type Integration string

const (
	// IntegrateLinks makes catamaran: links open the app.
	IntegrateLinks Integration = "links"
	// IntegrateMenu puts "Open in Catamaran" into the file manager's menu of folders.
	IntegrateMenu Integration = "menu"
	// IntegrateLogin starts the app, without a window, when this user logs in.
	IntegrateLogin Integration = "login"
)

// Integrations lists all of them.
func Integrations() []Integration {
	return []Integration{IntegrateLinks, IntegrateMenu, IntegrateLogin}
}

// errNoIntegration is for systems where packages or the desktop environment do this.
func errNoIntegration() error {
	return &api.Error{Code: api.CodeUnavailable, Message: "Catamaran cannot change this on this system.", Hint: "On Linux the packages bring links and the menu entry; use the session's own settings to start it at login."}
}
