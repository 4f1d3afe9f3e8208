//go:build !windows

package shell

// Integrated reports whether the system knows the app in this way; Integrate and
// Disintegrate change that for exe. The error is *api.Error here.
func Integrated(Integration, string) (bool, error) { return false, errNoIntegration() }
func Integrate(i Integration, exe string) error    { return errNoIntegration() }
func Disintegrate(i Integration, exe string) error { return errNoIntegration() }
