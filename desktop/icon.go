package main

import _ "embed"

// icon is the program's own, for the task bar. It is assets/icon-128.png.
//
//go:embed icon.png
var icon []byte
