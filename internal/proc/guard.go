package proc

// GuardMain must be the first call of every main: when this process was started
// as a guard it does that job and exits. TestMain calls it in test binaries
// that start guarded children.
func GuardMain() { guardMain() }

// What the parent writes into a guard's lifeline. Its end means guardKill.
const (
	guardTerminate byte = 'T'
	guardKill      byte = 'K'
)
