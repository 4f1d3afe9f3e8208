// Command broken says that it is version 1.2.0, as a new version of the app would,
// and does nothing else: an update to it must be undone.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(`{"version":"1.2.0"}`)
		return
	}
	os.Exit(1)
}
