// Package shell is what the desktop is to the system around it: one instance
// for each state folder, a control endpoint by which the same user's terminal
// commands and a second start reach the first, and the window (a child program,
// a browser in app mode, or the default browser).
//
// It never decides what the calls on the endpoint do (package gateway answers
// them), never shows a web view in this process, and never puts anything secret
// but a one-time code into a browser's arguments. cmd/catamaran calls it.
//
// Invariants: whoever holds the instance lock has a listening endpoint before
// anybody else can find out that the lock is held; a crash frees the lock.
package shell
