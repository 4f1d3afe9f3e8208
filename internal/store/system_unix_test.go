//go:build unix

package store

// oddFolder would break a database address that is not escaped.
const oddFolder = "data folder #1?%20"

// globFolder is a folder whose name a pattern would not match.
const globFolder = "[data]*"

const hasModes = true
