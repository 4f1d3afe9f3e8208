// Package chaos does at random, for as long as it is told to, what hurts: mode
// changes, prompts, kill -9 of the desktop, of backends and of wsl.exe, frozen
// backends, distros that are terminated, shut down, slow, failing or hanging.
// It drives the real programs against the simulated wsl.exe, the way a page
// and a bad day do, and checks after each step what must hold whatever happens:
//
//   - no process outlives its owner by more than its drain time
//   - a message that was acknowledged is there exactly once, one that was not at most once
//   - no two backends have one database open
//   - the configuration can be read, and is the last confirmed one or a newer wish
//   - the page's API answers within a bound, and so does a local backend that is said to be ready
//   - once the faults are gone, everything the configuration names comes up again
//
// `make chaos` runs it long, `make test` for half a minute. The steps follow
// from the seed; the instants do not, since they are the machine's.
package chaos
