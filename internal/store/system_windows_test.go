package store

// oddFolder would break a database address that is not escaped; ? is no character of names here.
const oddFolder = "data folder #1%20"

// globFolder is a folder whose name a pattern would not match; * is no character of names here.
const globFolder = "[data]"

const hasModes = false
