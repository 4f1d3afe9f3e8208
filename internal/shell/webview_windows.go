package shell

import "golang.org/x/sys/windows/registry"

// webViewID names Microsoft's WebView2 runtime among the programs that Edge's
// updater keeps; its value pv is the installed version ("Detect if a WebView2
// Runtime is already installed", Microsoft's WebView2 distribution guide).
const webViewID = `\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}`

// WebView reports whether the WebView2 runtime is installed, for the machine or
// for the user. Without it the window program would end in a message box.
func WebView() bool {
	for _, at := range []struct {
		root registry.Key
		path string
	}{
		{registry.LOCAL_MACHINE, `SOFTWARE\WOW6432Node\Microsoft` + webViewID},
		{registry.LOCAL_MACHINE, `SOFTWARE\Microsoft` + webViewID},
		{registry.CURRENT_USER, `Software\Microsoft` + webViewID},
	} {
		k, err := registry.OpenKey(at.root, at.path, registry.QUERY_VALUE)
		if err != nil {
			continue
		}
		version, _, err := k.GetStringValue("pv")
		k.Close()
		if err == nil && version != "" && version != "0.0.0.0" {
			return true
		}
	}
	return false
}
