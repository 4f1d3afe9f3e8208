//go:build unix

package store

// oddFolder would break a database address that is not escaped.
const oddFolder = "data folder #1?%20"

const hasModes = true
