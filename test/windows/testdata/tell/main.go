// Command tell sends a message to a program's window, as Windows itself would:
// tell CLASS MESSAGE WPARAM [LPARAM] prints the answer. tell --ctrl-c PROGRAM [ARG]...
// starts a program in a console of its own, presses Ctrl-C there when it has
// written a line, and prints its exit code. It stands for the system in stories.
package main

import "os"

func main() { os.Exit(tell(os.Args[1:])) }
