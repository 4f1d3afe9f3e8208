package claude_test

func fake(string) int { return 0 }
