// Package wine runs true Windows programs under Wine, each test in a throw-away
// Windows of its own: a copy of a template prefix, entered through namespaces, so
// that a session can be watched from outside and leaves nothing behind. It needs
// Linux on amd64 and root; Install says what is missing. What it shows is called
// "under Wine"; where Wine differs from Windows is listed in package windows.
package wine
