// Package term owns terminals: a shell each at a pseudo-terminal (Unix) or
// pseudo-console (Windows), in a project's or a thread's folder, with the
// person's login environment. They outlive pages and connections and end with
// the backend, and everything in them with them. Package server is its door; it
// knows neither HTTP nor JSON frames.
//
// Output is numbered by bytes from the first one a terminal ever had. The last
// 8 MiB are kept in memory, and on disk a moment later, so that a viewer joins
// with what was there and goes on with what comes, without gap or repeat, and a
// restart of the backend leaves the history.
//
// Flow: a viewer gets at most api.TerminalWindow bytes that it has not
// acknowledged; the program's output is not read while a viewer is that far
// behind, so whoever keeps reading misses nothing and memory is bounded. A
// viewer that makes no progress for a while (stall) holds nobody up any more: it
// goes on from the history, and where that does not reach back, once, begins
// anew. Input is bounded per viewer the same way round.
//
// Invariants: one goroutine reads a terminal's program and one writes to it;
// everything else is under the terminal's lock, which nobody holds while
// waiting for a program, a viewer or a disk; there is no timer while nothing
// happens.
package term
