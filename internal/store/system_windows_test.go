package store

// oddFolder would break a database address that is not escaped; ? is no character of names here.
const oddFolder = "data folder #1%20"

const hasModes = false
