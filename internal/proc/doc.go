// Package proc owns child processes: it is the only place that imports os/exec.
// Every child started here has an owner, a bounded stderr tail, a stop ladder,
// and dies with this process: a job object on Windows, a process group with a
// parent-death signal on Linux, a process group elsewhere and, with Spec.Guard
// on Linux, a guard process that takes the whole tree down, daemons included,
// even when this process is killed with SIGKILL.
//
// It never decides what to run, never logs, and never looks at a child's output
// beyond keeping the end of its stderr. Every package that needs a program
// calls it.
//
// Invariants: one goroutine per child starts it, waits for it and clears its
// group before anybody is told that it is gone; a group is only signalled while
// its leader is unreaped, so a recycled number is never hit; a program that
// outlives its child while holding its pipes cannot hang a reader.
package proc
