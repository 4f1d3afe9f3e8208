// Package window drives the native window on a display of its own (Xvfb), and
// the page in WebKit, the engine of that window on Linux, through WebKit's
// driver. Its tests have the build tag "window": they need a display server and
// a web view, which `make test-window` installs.
package window
