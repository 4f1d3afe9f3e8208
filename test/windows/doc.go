// Package windows tells whole-product stories with the Windows programs, as they
// are shipped, under Wine: the desktop and its commands, the native backend, WSL
// mode through the Windows build of the simulator, the registry, job objects and
// pipes. It also runs the unit tests of the packages with Windows parts there.
//
// The tests have the build tag wine: `make test-windows` installs Wine into the
// user's cache, builds the programs and runs them. What passes here passes under
// Wine 10 against a simulator of WSL; nothing here says "works on Windows". What
// Wine cannot do is skipped by an id of one list (limits_test.go), never silently.
package windows
