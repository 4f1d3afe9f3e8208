package proc

// Memory returns how many bytes of memory this process holds (its resident set;
// on Windows its working set), 0 where the system does not tell.
func Memory() int64 { return memory() }
