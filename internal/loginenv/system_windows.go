package loginenv

// Windows gives every process the user's environment; there is nothing to ask.

func hasTerminal() bool { return true }

func userShell() string { return "" }
