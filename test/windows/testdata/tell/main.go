// Command tell sends a message to a program's window, as Windows itself would:
// tell CLASS MESSAGE WPARAM [LPARAM] prints the answer. It stands for the system in stories.
package main

import "os"

func main() { os.Exit(tell(os.Args[1:])) }
